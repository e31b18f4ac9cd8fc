"""What a client gains by lying, failing or having nothing: one table, every rule.

Five simulated clients train a logistic regression in numpy for ten rounds; the strategy is the
real one, in the default configuration, and talks to them in Flower messages. One client has an
accident or attacks. A cell is its mean weight over the rounds, and the factor by which that differs
from its weight in the honest run. Seconds; no data is needed.

    python benchmarks/adversaries.py

Writes docs/adversaries.json and prints the table of docs/steering.md.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from scipy.special import expit

from fairfed.config import Arm, Config, LabelSpace
from fairfed.config.federation import agreed
from fairfed.engines.inprocess import InProcessGrid
from fairfed.sites.model_sources import sources_of
from fairfed.sites.workplace import Workplace
from fairfed.strategies.rules import RULES
from fairfed.strategies.steered import FairnessSteered
from fairfed.systems.classifier.build import build_strategy

Floats = np.ndarray[Any, np.dtype[np.float64]]
Whole = np.ndarray[Any, np.dtype[np.int64]]
Report = dict[str, Any]

CLIENTS, ROUNDS, ROWS = 5, 10, 200
SHARES = (0.5, 0.3, 0.4, 0.6, 0.7)
"""Share of group 1 among the rows of each client; the first client is the one to watch."""
STEPS, RATE = 5, 0.5
SERVER_SEED = 99
COLUMNS: dict[str, dict[str, str]] = {
    **{rule: {"rule": rule} for rule in RULES},
    "fairfed, probe": {"rule": "fairfed", "signal": "probe"},
}


@dataclass(frozen=True)
class Rows:
    """Examples: inputs, classes and groups of two."""

    x: Floats
    y: Whole
    group: Whole

    def counts(self, model: Floats) -> Whole:
        """Confusion counts of a model, by group, true and predicted class."""
        counts = np.zeros((2, 2, 2), np.int64)
        np.add.at(counts, (self.group, self.y, (self.x @ model > 0).astype(np.int64)), 1)
        return counts

    def loss(self, model: Floats) -> float:
        """Mean cross-entropy."""
        return float(np.logaddexp(0.0, -(2 * self.y - 1) * (self.x @ model)).mean())

    def train(self, model: Floats, cells: Floats) -> Floats:
        """Descend a few steps on the cross-entropy, weighted by group and class."""
        weight = cells[self.group, self.y]
        for _ in range(STEPS):
            error = weight * (expit(self.x @ model) - self.y)
            model = model - RATE * error @ self.x / weight.sum()
        return model


@dataclass(frozen=True)
class Accident:
    """What differs at the client to watch: its rows, or what it sends."""

    rows: Callable[[Rows], Rows] = lambda rows: rows
    report: Callable[[Report], Report] = lambda report: report


def draw(seed: int, share: float, size: int = ROWS) -> Rows:
    """Two inputs and an intercept; the second input tells the classes of group 0 alone."""
    rng = np.random.default_rng(seed)
    y = np.arange(size) % 2
    group = (np.arange(size) // 2 < round(share * size / 2)).astype(np.int64)
    sign = 2 * y - 1
    first = 0.7 * sign + rng.normal(size=size)
    second = 1.5 * sign * (group == 0) + rng.normal(size=size)
    return Rows(np.stack([first, second, np.ones(size)], axis=1), y, group)


def flipped(rows: Rows) -> Rows:
    """Turn the classes of group 1 around."""
    return replace(rows, y=np.where(rows.group == 1, 1 - rows.y, rows.y))


def without_group(rows: Rows) -> Rows:
    """The same number of rows, all of group 0."""
    return draw(0, 0.0, len(rows.y))


def perfect(report: Report) -> Report:
    """Claim that the received model makes no error here."""
    rows = np.reshape(report["counts"], (2, 2, 2)).sum(axis=2)
    counts = np.stack([np.diag(cells) for cells in rows])
    return report | {"counts": counts.ravel().tolist(), "received-loss": 0.0}


def perfect_everywhere(report: Report) -> Report:
    """Claim the same of a million times the rows, so that the pooled counts are the claim."""
    claimed = perfect(report)
    return claimed | {"counts": [count * 10**6 for count in claimed["counts"]]}


def times(name: str, factor: float) -> Callable[[Report], Report]:
    """Multiply one number of the report."""
    return lambda report: report | {name: report[name] * factor}


def silent(report: Report) -> Report:
    """Fail instead of answering."""
    raise ConnectionError("the client is gone")


NAN = float("nan")
ACCIDENTS = {
    "reports a perfect metric and loss 0": Accident(report=perfect),
    "reports 1,000 × the loss": Accident(report=times("received-loss", 1000)),
    "reports 1,000 × the examples": Accident(report=times("n-real", 1000)),
    "loss is NaN": Accident(report=times("received-loss", NAN)),
    "number of examples is NaN": Accident(report=times("n-real", NAN)),
    "model has a NaN": Accident(report=times("model", NAN)),
    "has one group only": Accident(rows=without_group),
    "does not answer": Accident(report=silent),
    "flips group 1's labels, reports truthfully": Accident(rows=flipped),
    "flips them, reports a perfect metric": Accident(flipped, perfect),
    "flips them, reports it of 10⁶ × the rows": Accident(flipped, perfect_everywhere),
}


def client_app(accident: Accident) -> ClientApp:
    """Five clients, of which the first has the accident."""
    app = ClientApp()
    sites = [draw(k, share) for k, share in enumerate(SHARES)]
    sites[0] = accident.rows(sites[0])

    @app.train()
    def train(message: Message, context: Context) -> Message:
        k = int(context.node_config["partition-id"])
        rows, received = sites[k], message.content.array_records["arrays"]["x"].numpy()
        asked = message.content.config_records["config"].get("cell-weights", [1.0] * 4)
        report: Report = {
            "model": rows.train(received, np.reshape(asked, (2, 2))),
            "partition-id": k,
            "loss": 0.0,
            "received-loss": rows.loss(received),
            "n-real": float(len(rows.y)),
            "n-synthetic": 0,
            "counts": rows.counts(received).ravel().tolist(),
        }
        sent = accident.report(report) if k == 0 else report
        arrays = ArrayRecord({"x": Array(sent.pop("model"))})
        content = RecordDict({"arrays": arrays, "metrics": MetricRecord(sent)})
        return Message(content, reply_to=message)

    return app


def strategy(column: dict[str, str]) -> FairnessSteered:
    """The strategy of an arm in the default configuration."""
    on_server = draw(SERVER_SEED, 0.5, 400)
    config = Config(rounds=ROUNDS)
    labels = LabelSpace(
        classes=("0", "1"), sensitive={"group": ("0", "1")}, found_groups=("0", "1")
    )
    return build_strategy(
        Workplace(agreed(config, labels, None, {}), sources_of(config)),
        Arm.model_validate({"name": "arm", **column}),
        lambda model: on_server.counts(model["x"]),
    )


def run(column: dict[str, str], accident: Accident) -> dict[str, Any]:
    """Train, and say what became of the watched client."""
    parts, arrays = strategy(column), ArrayRecord({"x": Array(np.zeros(3))})
    with InProcessGrid(client_app(accident), CLIENTS) as grid:
        for number in range(1, ROUNDS + 1):
            requests = parts.configure_train(number, arrays, ConfigRecord(), grid)
            merged, _ = parts.aggregate_train(number, grid.send_and_receive(requests))
            arrays = merged or arrays
    watched = [
        next((row for row in parts.train_log[number] if row["client"] == 0), None)
        for number in range(1, ROUNDS + 1)
    ]
    weights = [row["weight"] if row else 0.0 for row in watched]
    cells = parts.parts.rule.cell_weights()
    reasons = [(row["error"] or row["guard"]) if row else "no reply" for row in watched]
    return {
        "weight": _rounded(float(np.mean(weights))),
        "largest": _rounded(max(weights)),
        "cell_weights": None if cells is None else [_rounded(float(w)) for w in cells.ravel()],
        "rejected": max(weights) == 0.0,
        "reason": next((reason for reason in reversed(reasons) if reason), None),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def measure() -> dict[str, Any]:
    """Every column honestly, and with every accident."""
    honest = {name: run(column, Accident()) for name, column in COLUMNS.items()}
    return {
        "clients": CLIENTS,
        "rounds": ROUNDS,
        "cap": Config().fairness.max_weight,
        "floor": Config().fairness.min_share,
        "honest": honest,
        "accidents": {
            name: {
                column: {"factor": _rounded(cell["weight"] / honest[column]["weight"]), **cell}
                for column, cell in ((c, run(COLUMNS[c], accident)) for c in COLUMNS)
            }
            for name, accident in ACCIDENTS.items()
        },
    }


def table(result: dict[str, Any]) -> str:
    """Format the result as Markdown."""
    lines = [
        "| the client … | " + " | ".join(f"`{name}`" for name in COLUMNS) + " |",
        "|---|" + "---:|" * len(COLUMNS),
        _row("is honest", [f"{result['honest'][c]['weight']:.2f}" for c in COLUMNS]),
    ]
    for name, cells in result["accidents"].items():
        lines.append(_row(name, [_cell(cells[column]) for column in COLUMNS]))
    return "\n".join(lines)


def _row(name: str, cells: list[str]) -> str:
    return f"| {name} | " + " | ".join(cells) + " |"


def _cell(cell: dict[str, Any]) -> str:
    if cell["rejected"]:
        return "rejected"
    factor = cell["factor"] if cell["factor"] >= 0.01 else 0
    return f"{cell['weight']:.2f} (×{factor:.2g})"


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/adversaries.json"))
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # rejected replies are the point, and are in the table
    result = measure()
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
