"""The arms of a comparison, and the fairness that steers them.

The names of rules, signals, optimisers and aggregators stand here as well as in
`fairfed.strategies`, because reading a configuration imports nothing heavy; a test compares them.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fairfed.config.adaptation import Adaptation
from fairfed.config.base import OneOf, Section
from fairfed.config.synthesis import Mode

RULES = (
    "fedavg", "fairfed", "fairfed-exp", "afl", "qffl", "term", "fedminmax", "fair-fate", "fedmgda",
    "fedfb", "parity",
)  # fmt: skip
SIGNALS = ("gap", "signed-gap", "probe", "loss", "accuracy", "worst-group-recall")
OPTIMISERS = ("fedavg", "fedavgm", "fedadam", "fedyogi")
AGGREGATORS = ("mean", "median", "trimmed-mean", "krum")
Debias = Literal["none", "reweighing", "fairbatch"]
Augmentation = Literal["none", "randaugment", "mixup"]
System = Literal["federated", "local", "centralised", "zero-shot", "synthetic", "one-shot"]
Inverter = Literal["client", "server"]
Options = Annotated[dict[str, float], Field(strict=False)]
"""A TOML table of numbers, whole ones included."""


def slug(name: str) -> str:
    """A name in lower case with only letters, digits and dashes: a file name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class FairnessConfig(Section):
    """The group fairness that steers the weights."""

    metric: str = Field(
        "equalized_odds_difference",
        description="Fairness metric of `evaluation`, in fairlearn's definition.",
    )
    beta: float = Field(
        0.1, ge=0, description="FairFed's budget β: how far gaps move the weights. 0: FedAvg."
    )
    max_weight: float = Field(
        0.8,
        gt=0,
        le=1,
        description="No client alone decides more than this of a round's model; what is cut goes "
        "to the others. With K clients that hold examples it is never below 1/K. 1: no cap.",
    )
    min_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="No rule silences a client: each keeps at least this part of its share of the "
        "real examples, as far as the cap allows. 0: no floor; 1: weights by examples alone.",
    )
    as_published: bool = Field(
        False,
        description="Run the rules exactly as they were published: without cap and floor. Reports "
        "say so, and name clients that such a rule draws below half of their share.",
    )
    probe: int = Field(
        0,
        ge=0,
        description="Synthetic images of each class × group cell that the server makes for itself, "
        "to judge the clients' models on them (rule `fair-fate`, signal `probe`). 0: none.",
    )
    probe_source: Literal["synthetic", "validation"] = Field(
        "synthetic",
        description="What the server judges models on: `synthetic`, those `probe` images (no "
        "table), or `validation`, the validation rows of `[data.table]`, which no client has (only "
        'a table). With `data.table.measure = "validation"` a half of them, and the other half is '
        "measured.",
    )

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, name: str) -> str:
        from evaluation import get_metric  # numpy, which the default alone does not cost

        get_metric(name)
        return name


class Arm(Section):
    """One arm of the comparison: trained on the same split and seed as the others."""

    name: str = Field(
        min_length=1, max_length=60, description="Name in tables and figures; unique."
    )
    system: System = Field(
        "federated",
        description="What is run ([the baselines](systems.md)). `federated`: rounds of clients and "
        "server. `local`: every client trains alone, nothing is sent, and its own model is "
        "measured. `centralised`: all training rows in one place. `zero-shot`: CLIP with the "
        "classes' prompts, untrained. `synthetic`: the server trains on synthetic images of every "
        "class alone. `one-shot`: likewise, but the clients have once sent noised prototypes to "
        "condition them.",
    )
    server_rounds: int = Field(
        0,
        ge=0,
        description="With `one-shot`: rounds at the server, after which clients train as in "
        "`federated`. 0: all rounds.",
    )
    rule: Annotated[str, OneOf(RULES)] = Field(
        "fedavg", description="Rule of the weights ([what each one does](steering.md))."
    )
    options: Options = Field(
        default_factory=dict,
        description="Parameters of the rule, e.g. `{ q = 2 }` for `qffl`; `fairness.beta` stands "
        "for FairFed's.",
    )
    as_published: bool | None = Field(
        None, description="Overrides `fairness.as_published` for this arm."
    )
    signal: Annotated[str, OneOf(SIGNALS)] | None = Field(
        None,
        description="What steers the rule, instead of the signal that it was published with.",
    )
    server_optimiser: Annotated[str, OneOf(OPTIMISERS)] = Field(
        "fedavg", description="What the server makes of the aggregate. `fedavg`: the next model."
    )
    server_options: Options = Field(
        default_factory=dict, description="Parameters of the server optimiser."
    )
    aggregator: Annotated[str, OneOf(AGGREGATORS)] = Field(
        "mean",
        description="`mean`: weighted by the rule. The others are robust and use no weights.",
    )
    aggregator_options: Options = Field(
        default_factory=dict, description="Parameters of a robust aggregator."
    )
    control_variates: bool = Field(
        False,
        description="SCAFFOLD: clients correct every step by the difference of the server's "
        "control variate and their own. Messages to and from training are twice as large.",
    )
    debias: Debias | None = Field(None, description="Overrides `train.debias` for this arm.")
    augmentation: Augmentation | None = Field(
        None, description="Overrides `train.augmentation` for this arm."
    )
    proximal: float | None = Field(
        None, ge=0, description="Overrides `train.proximal` for this arm."
    )
    personal: float | None = Field(
        None,
        ge=0,
        description="Ditto's λ: every client also keeps a model of its own, pulled towards the "
        "global one with this strength. It never leaves the client, and is what is measured.",
    )
    augment: bool = Field(False, description="Train on synthetic images as well.")
    domain_matching: bool | None = Field(
        None, description="Overrides `synthesis.domain_matching` for this arm."
    )
    conditioning: Mode | None = Field(
        None, description="Overrides `conditioning.mode` for this arm."
    )
    replan: int = Field(
        0,
        ge=0,
        description="The closed loop: after every so many rounds, `synthesis.replan_budget` more "
        "synthetic images go to the cells that the model serves worst. 0: never.",
    )
    inversion: Inverter | None = Field(
        None,
        description="Zero-shot data augmentation: images by batch-norm inversion of the model "
        "itself (`[inversion]`). `client` (Fed-ZDAC): of the received model, for the classes that "
        "a client lacks. `server` (Fed-ZDAS): in a pool on which the aggregate is fine-tuned.",
    )
    adapt: Adaptation | None = Field(
        None,
        description="What of a pretrained network this arm trains and sends: with `model = "
        '"clip"`, instead of `adapt.method`. Of a network of torchvision, timm or your own: `head` '
        "(its last layer), `bias` (that and all biases), `lora` (these and low-rank changes) or "
        "`full`; the frozen rest is that of `weights`, which every site must have.",
    )
    from_scratch: bool = Field(
        False,
        description="Draw CLIP's image tower anew instead of taking the pretrained one: what "
        'pretraining saves (`adapt = "full"` alone).',
    )
    iid: bool = Field(
        False, description="Train on an IID split of the same images: the ceiling of any method."
    )
    reference: bool = Field(
        False, description="A reference line, not a contender: ranked with no other arm."
    )

    @property
    def slug(self) -> str:
        """The name as that of files and directories."""
        return slug(self.name)

    @property
    def method(self) -> str:
        """How the arm differs from plain averaging, in words; `fedavg` if in nothing."""
        if self.system not in ("federated", "one-shot"):
            return self.system
        parts = [
            self.system if self.system != "federated" else "",
            "scaffold" if self.control_variates else "",
            self.augmentation if self.augmentation not in (None, "none") else "",
            self.server_optimiser if self.server_optimiser != "fedavg" else "",
            self.aggregator if self.aggregator != "mean" else "",
            self.debias if self.debias not in (None, "none") else "",
            "proximal" if self.proximal else "",
            "ditto" if self.personal is not None else "",
            f"by {self.conditioning}" if self.conditioning else "",
            f"replan {self.replan}" if self.replan else "",
            f"inversion at the {self.inversion}" if self.inversion else "",
            f"adapt {self.adapt}" if self.adapt else "",
            "from scratch" if self.from_scratch else "",
        ]
        return ", ".join([self.rule, *filter(None, parts)])

    @property
    def sends_model(self) -> bool:
        """Whether a model travels between server and clients."""
        return self.system not in ("local", "zero-shot")

    @property
    def server_trains(self) -> bool:
        """Whether the server trains on images that it synthesises."""
        return self.system in ("synthetic", "one-shot")

    @property
    def own_models(self) -> bool:
        """Whether every client is measured with a model of its own."""
        return self.personal is not None or self.system == "local"

    @model_validator(mode="after")
    def _system_has_what_it_needs(self) -> Arm:
        reason = _misfit(self)
        if reason:
            raise ValueError(f"{self.name!r}: {reason}")
        return self

    @model_validator(mode="after")
    def _named(self) -> Arm:
        if not self.slug:
            raise ValueError(f"name {self.name!r} has no letter or digit")
        return self

    @model_validator(mode="after")
    def _has_images_to_plan(self) -> Arm:
        if self.replan and not self.augment:
            raise ValueError(
                f"{self.name!r}: replan says when to synthesise more, so it needs augment = true, "
                "which a table cannot have; set that, or drop replan"
            )
        return self

    @model_validator(mode="after")
    def _one_source_of_images(self) -> Arm:
        if self.augment and self.inversion == "client":
            raise ValueError(
                f"{self.name!r}: augment = true and inversion = 'client' both fill a client's "
                "missing classes; keep one of them"
            )
        return self


def _misfit(arm: Arm) -> str:
    """Why an arm's system does not go with its other settings; empty if it does."""
    if arm.server_rounds and arm.system != "one-shot":
        return "server_rounds is of system 'one-shot' alone; drop it, or set that"
    if arm.control_variates and arm.aggregator != "mean":
        return (
            f"aggregator {arm.aggregator!r} drops clients, whose control variates would no longer "
            "sum to the server's; use aggregator = 'mean', or drop control_variates"
        )
    if arm.domain_matching is not None and not arm.augment:
        return "domain_matching is of real beside synthetic images; set augment = true, or drop it"
    if arm.conditioning is not None and not (arm.augment or arm.server_trains):
        return "conditioning is of synthetic images; set augment = true, or drop it"
    if arm.system == "federated":
        return ""
    steered = (arm.rule, arm.server_optimiser, arm.aggregator) != ("fedavg", "fedavg", "mean")
    if steered and not (arm.system == "one-shot" and arm.server_rounds):
        return (
            f"system {arm.system!r} averages no clients, so rule, server_optimiser and aggregator "
            "would have no effect; drop them"
        )
    for name, meaning in (
        ("augment", "fills the gaps of clients"),
        ("control_variates", "corrects clients that are averaged"),
        ("inversion", "inverts models that are averaged"),
    ):
        if getattr(arm, name):
            return f"system {arm.system!r} does not go with {name}, which {meaning}; drop one"
    alone = arm.system == "zero-shot" or (arm.server_trains and not arm.server_rounds)
    if alone and arm.debias not in (None, "none"):
        return f"system {arm.system!r} does not go with debias, which weighs clients' rows; drop it"
    if arm.system == "zero-shot" and (arm.augmentation not in (None, "none") or arm.proximal):
        return "system 'zero-shot' trains nothing; drop augmentation and proximal"
    if arm.personal is not None:
        return f"system {arm.system!r} does not go with personal, a pull to a common model; drop it"
    return ""
