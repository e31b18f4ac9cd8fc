"""The settings of `group_fairness.py`, with the rows that their papers publish."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Settings = dict[str, Any]


METHODS: dict[str, Settings] = {
    "FedAvg": {},
    "Local reweighing": {"arm": {"debias": "reweighing"}},
    "FairFed": {"arm": {"rule": "fairfed"}},
    "FairFed + reweighing": {"arm": {"rule": "fairfed", "debias": "reweighing"}},
    "Ours": {
        "arm": {
            "rule": "parity",
            "options": {"integral": 0.07, "proportional": 2.0, "memory": 0.5},
            "server_optimiser": "fedavgm",
            "server_options": {"momentum": 0.0, "final": 0.05},
        }
    },
    "FedFB": {"arm": {"rule": "fedfb"}},
    "FedMinMax": {"arm": {"rule": "fedminmax"}},
    "FAIR-FATE": {"arm": {"rule": "fair-fate"}, "fairness": {"probe_source": "validation"}},
    "FairBatch": {"arm": {"debias": "fairbatch"}},
    "AFL": {"arm": {"rule": "afl"}},
    "q-FFL": {"arm": {"rule": "qffl"}},
    "TERM": {"arm": {"rule": "term"}},
    "FedMGDA+": {"arm": {"rule": "fedmgda"}},
}
"""What each method sets; `arm` is of the only arm."""


@dataclass(frozen=True)
class Protocol:
    """One data set in one setting.

    Attributes
    ----------
    name
        Unique.
    settings
        Of the configuration.
    unprivileged
        Group whose true positive rate comes first in the signed difference.
    seeds
        Runs; FAIR-FATE's paper has 10, which takes twice the time.
    tail
        Last rounds that are averaged.
    scaled
        Whether numbers are scaled by the table's true extremes, as the paper does. A federation
        would not know them.
    own
        By method, what it sets here besides.
    published
        By method, the values that the paper gives.
    methods
        Those that are run here.
    others
        Runs of the methods that are not in `COMPARED`: a run on Law takes a minute and a half.
    """

    name: str
    settings: Settings
    unprivileged: str
    seeds: int
    tail: int
    scaled: bool = False
    own: Settings = field(default_factory=dict)
    published: dict[str, dict[str, float]] = field(default_factory=dict)
    methods: tuple[str, ...] = tuple(METHODS)
    others: int = 5


COMPARED = ("FedAvg", "Local reweighing", "Ours")
"""Methods that have all runs in every setting."""
FAIR_FED_METHODS = ("FedAvg", "Local reweighing", "FairFed + reweighing", "Ours")
"""What FairFed's paper compares, and ours."""
OPPORTUNITY: Settings = {
    "Ours": {"arm": {"options": {**METHODS["Ours"]["arm"]["options"], "first": 1}}}
}
"""What a method sets besides where a protocol judges by equal opportunity, not equalized odds."""
AS_PUBLISHED: Settings = {"fairness": {"as_published": True}}
"""The papers' aggregators have neither cap nor floor."""


def _fair_fate(
    data: str, clients: int, drawn: int, alpha: float | None, published: Any, group: str
) -> Protocol:
    divided: Settings = {"name": "iid", "clients": clients}
    if alpha is not None:
        divided["name"] = "dirichlet"
        divided["options"] = {"alpha": alpha, "partition_by": "cell"}
    settings = {
        "rounds": 100,
        "fraction": drawn / clients,
        "model": "mlp",
        "data": {"source": data, "table": {"scale": "minmax"}},
        "partition": divided,
        "train": {"epochs": 10, "batch_size": 10, "lr": 0.01, "momentum": 0.0},
    }
    split = "iid" if alpha is None else f"alpha {alpha:g}"
    columns = ("accuracy", "eqo_ratio", "eqo_difference")
    rows = {method: dict(zip(columns, row, strict=False)) for method, row in published.items()}
    others = 5 if data == "compas" else 2 if alpha else 1
    return Protocol(f"{data} {split}", settings, group, 5, 10, True, published=rows, others=others)


def _fair_fed(
    data: str, group: str, published: dict[str, tuple[float, float]], **divided: int
) -> Protocol:
    settings = {
        "rounds": 100,
        "model": "logistic",
        "data": {"source": data},
        "partition": {
            "name": "dirichlet",
            "clients": 5,
            "options": {"alpha": 0.1, "partition_by": "group", **divided},
        },
        "train": {"epochs": 1, "batch_size": 32, "lr": 0.01, "momentum": 0.0},
        "fairness": {"metric": "equal_opportunity_difference"},
    }
    rows = {method: {"accuracy": a, "signed_eod": e} for method, (a, e) in published.items()}
    return Protocol(
        f"{data} FairFed", settings, group, 20, 1, False, OPPORTUNITY, rows, FAIR_FED_METHODS, 20
    )


PROTOCOLS = (
    _fair_fate("compas", 10, 3, None, {"FedAvg": (0.685, 0.739, 0.172),
               "Local reweighing": (0.679, 0.923, 0.042)}, "other"),
    _fair_fate("compas", 10, 3, 0.5, {"FedAvg": (0.603, 0.430, 0.454),
               "Local reweighing": (0.611, 0.723, 0.175)}, "other"),
    _fair_fate("law", 12, 4, None, {"FedAvg": (0.899, 0.744, 0.237),
               "Local reweighing": (0.892, 0.968, 0.028)}, "Non-White"),
    _fair_fate("law", 12, 4, 0.5, {"FedAvg": (0.892, 0.481, 0.506)}, "Non-White"),
    _fair_fed("adult", "Female", {"FedAvg": (0.835, -0.174), "Local reweighing": (0.831, 0.052),
              "FairFed + reweighing": (0.830, -0.017)}),
    # Two groups at 0.1: a client of a few rows is the rule, and the partitioner would give up.
    _fair_fed("compas", "other", {"FedAvg": (0.674, -0.065)}, min_partition_size=1),
)  # fmt: skip
