"""The configuration of one run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairfed.config.adaptation import AdaptConfig, SpecialiseConfig
from fairfed.config.base import Section
from fairfed.config.data import DataConfig, PartitionConfig
from fairfed.config.inversion import InversionConfig
from fairfed.config.peers import PeersConfig
from fairfed.config.sections import (
    Arm,
    AugmentConfig,
    FairnessConfig,
    GeneratorConfig,
    SemanticConfig,
    TrainConfig,
)
from fairfed.config.shared import ArrivalConfig, SharedConfig
from fairfed.config.zsl import ZslConfig

TABULAR_MODELS = ("logistic", "mlp")
"""Models of tables; all others are of images."""
TASKS = ("zsl", "peers", "specialise", "shared")
"""Sections that make a run something else than a comparison of arms."""
PUBLIC = "bundled"
"""The source whose rows everybody has, so that they need no protection."""


class Config(Section):
    """Everything a run depends on. Relative paths start at the current directory."""

    name: str = Field("run", min_length=1, description="Name of the run.")
    seed: int = Field(
        0, ge=0, lt=2**31, description="Seed of everything random: same seed, same run."
    )
    rounds: int = Field(12, ge=1, description="Rounds of federated training.")
    fraction: float = Field(
        1.0, gt=0, le=1, description="Share of the clients that train in a round; at least one."
    )
    engine: Literal["inprocess", "ray"] = Field(
        "inprocess",
        description="`inprocess` (no Ray, no ports) or `ray` (Flower's simulation; needs the extra "
        "`ray`).",
    )
    workers: int = Field(
        2,
        ge=1,
        description="Clients that work at the same time. No more than there are cores: PyTorch's "
        "threads are divided among them.",
    )
    out: str = Field(
        "runs/{name}",
        min_length=1,
        description="Run directory; `{name}` and `{seed}` stand for theirs.",
    )
    data: DataConfig = Field(default_factory=DataConfig, description="See `[data]`.")
    partition: PartitionConfig = Field(
        default_factory=PartitionConfig, description="See `[partition]`."
    )
    model: Literal[
        "cnn-bn", "cnn-gn", "lenet", "lenet-bn", "clip-head", "clip", "logistic", "mlp"
    ] = Field(
        "cnn-bn",
        description="The federated model. Of images: a small CNN with BatchNorm or with GroupNorm, "
        "the LeNet of Flower's niid_bench without or with BatchNorm, a head on the frozen CLIP of "
        "`semantic.encoder`, or that `clip` adapted as `[adapt]` says. Of a table: logistic "
        "regression, or one hidden layer of 10 tanh units.",
    )
    train: TrainConfig = Field(default_factory=TrainConfig, description="See `[train]`.")
    semantic: SemanticConfig = Field(
        default_factory=SemanticConfig, description="See `[semantic]`."
    )
    generator: GeneratorConfig = Field(
        default_factory=GeneratorConfig, description="See `[generator]`."
    )
    augment: AugmentConfig = Field(default_factory=AugmentConfig, description="See `[augment]`.")
    fairness: FairnessConfig = Field(
        default_factory=FairnessConfig, description="See `[fairness]`."
    )
    adapt: AdaptConfig = Field(default_factory=AdaptConfig, description="See `[adapt]`.")
    specialise: SpecialiseConfig | None = Field(None, description="See `[specialise]`.")
    inversion: InversionConfig | None = Field(None, description="See `[inversion]`.")
    zsl: ZslConfig | None = Field(None, description="See `[zsl]`.")
    peers: PeersConfig | None = Field(None, description="See `[peers]`.")
    shared: SharedConfig | None = Field(None, description="See `[shared]`.")
    arrival: ArrivalConfig | None = Field(None, description="See `[arrival]`.")
    arms: Annotated[tuple[Arm, ...], Field(strict=False)] = Field(
        (Arm(name="FedAvg"),),
        min_length=1,
        description="The arms that are compared. See `[[arms]]`.",
    )

    @model_validator(mode="after")
    def _one_task(self) -> Config:
        asked = [name for name in TASKS if getattr(self, name) is not None]
        if len(asked) > 1:
            raise ValueError(
                f"{asked[1]}: a run is of one kind, and [{asked[0]}] asks for another; keep one of "
                "these sections"
            )
        return self

    @model_validator(mode="after")
    def _inversion_begins(self) -> Config:
        start = (self.inversion or InversionConfig()).start
        inverts = [arm.name for arm in self.arms if arm.inversion]
        if inverts and start > self.rounds:
            raise ValueError(
                f"inversion.start: {inverts[0]!r} would invert from round {start} on, and the run "
                f"ends after {self.rounds}; lower it, or raise rounds"
            )
        return self

    @model_validator(mode="after")
    def _arrival_in_a_shared_space(self) -> Config:
        if self.arrival is not None and self.shared is None:
            raise ValueError(
                "arrival: a class can arrive where classes are embeddings; add a section [shared]"
            )
        return self

    @model_validator(mode="after")
    def _distinct_arms(self) -> Config:
        for what in ("name", "slug"):
            counts = Counter(getattr(arm, what) for arm in self.arms)
            twice = [value for value, count in counts.items() if count > 1]
            if twice:
                raise ValueError(f"arms: two arms share the {what} {twice[0]!r}; names must differ")
        return self

    @model_validator(mode="after")
    def _model_of_the_data(self) -> Config:
        if self.data.tabular == (self.model in TABULAR_MODELS):
            return self
        what = "a table" if self.data.tabular else "images"
        fitting = "'logistic' or 'mlp'" if self.data.tabular else "'cnn-bn', 'cnn-gn', 'clip-head'"
        raise ValueError(
            f"model: {self.model!r} does not suit data.source {self.data.source!r}, which is "
            f"{what}; choose {fitting}"
        )

    @model_validator(mode="after")
    def _augmentation_of_images(self) -> Config:
        for arm in self.arms:
            if arm.augment and self.data.tabular:
                raise ValueError(
                    f"arms: {arm.name!r} asks for synthetic images, but data.source "
                    f"{self.data.source!r} is a table; drop its augment = true"
                )
            if arm.inversion and self.data.tabular:
                raise ValueError(
                    f"arms: {arm.name!r} inverts a model into images, but data.source "
                    f"{self.data.source!r} is a table; drop its inversion"
                )
        return self

    @model_validator(mode="after")
    def _systems_of_the_data(self) -> Config:
        for arm in self.arms:
            augmentation = arm.augmentation or self.train.augmentation
            if self.data.tabular and (arm.server_trains or arm.system == "zero-shot"):
                raise ValueError(
                    f"arms: {arm.name!r} has system {arm.system!r}, which is of images, but "
                    f"data.source {self.data.source!r} is a table; choose another system"
                )
            if augmentation == "randaugment" and (self.data.tabular or self.model == "clip-head"):
                raise ValueError(
                    f"arms: {arm.name!r} asks for randaugment, which changes pixels, but model "
                    f"{self.model!r} takes none; use 'mixup' or 'none'"
                )
            if arm.system == "centralised" and self.fraction < 1:
                raise ValueError(
                    f"arms: {arm.name!r} is centralised: one client holds all rows and must not be "
                    "left out of a round; set fraction = 1"
                )
        return self

    @model_validator(mode="after")
    def _adaptations_of_the_model(self) -> Config:
        for arm in self.arms:
            reason = _misadapted(self, arm)
            if reason:
                raise ValueError(f"arms: {arm.name!r}: {reason}")
        return self

    @model_validator(mode="after")
    def _seeded_noise_of_public_data(self) -> Config:
        if self.peers is not None and self.peers.seeded_noise and self.data.source != PUBLIC:
            raise ValueError(
                "peers.seeded_noise: whoever knows the seed can subtract the noise, so it is for "
                f"data.source {PUBLIC!r} alone, which is public; with {self.data.source!r} leave "
                "it out"
            )
        return self

    @property
    def run_directory(self) -> Path:
        """Where the run is written."""
        return Path(self.out.replace("{name}", self.name).replace("{seed}", str(self.seed)))

    def to_toml(self) -> str:
        """The whole configuration, defaults included; `parse_config` of it gives an equal one."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def _misadapted(config: Config, arm: Arm) -> str:
    """Why an arm's adaptation does not go with the rest; empty if it does."""
    if config.model != "clip":
        if arm.adapt or arm.from_scratch:
            return f"adapt and from_scratch are of model 'clip', and model is {config.model!r}"
        return ""
    method = arm.adapt or config.adapt.method
    if arm.from_scratch and method != "full":
        return f"from_scratch leaves nothing pretrained to adapt by {method!r}; set adapt = 'full'"
    if arm.inversion:
        return "inversion is of a model trained from scratch, not of an adapted one; drop one"
    augmentation = arm.augmentation or config.train.augmentation
    if augmentation == "randaugment" and method in ("head", "prompt"):
        return f"randaugment changes pixels, and {method!r} embeds every image once; drop one"
    return ""
