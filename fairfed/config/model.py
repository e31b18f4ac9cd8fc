"""The configuration of one run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairfed.config.sections import (
    Arm,
    AugmentConfig,
    DataConfig,
    FairnessConfig,
    GeneratorConfig,
    PartitionConfig,
    Section,
    SemanticConfig,
    TrainConfig,
)


class Config(Section):
    """Everything a run depends on. Relative paths start at the current directory."""

    name: str = Field("run", min_length=1, description="Name of the run.")
    seed: int = Field(
        0, ge=0, lt=2**31, description="Seed of everything random: same seed, same run."
    )
    rounds: int = Field(12, ge=1, description="Rounds of federated training.")
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
    model: Literal["cnn-bn", "cnn-gn", "clip-head"] = Field(
        "cnn-bn",
        description="The federated model: a small CNN with BatchNorm or with GroupNorm, or a head "
        "on the frozen CLIP of `semantic.encoder`.",
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
    arms: Annotated[tuple[Arm, ...], Field(strict=False)] = Field(
        (Arm(name="FedAvg"),),
        min_length=1,
        description="The arms that are compared. See `[[arms]]`.",
    )

    @model_validator(mode="after")
    def _distinct_arms(self) -> Config:
        for what in ("name", "slug"):
            counts = Counter(getattr(arm, what) for arm in self.arms)
            twice = [value for value, count in counts.items() if count > 1]
            if twice:
                raise ValueError(f"arms: two arms share the {what} {twice[0]!r}; names must differ")
        return self

    @property
    def run_directory(self) -> Path:
        """Where the run is written."""
        return Path(self.out.replace("{name}", self.name).replace("{seed}", str(self.seed)))

    def to_toml(self) -> str:
        """The whole configuration, defaults included; `parse_config` of it gives an equal one."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
