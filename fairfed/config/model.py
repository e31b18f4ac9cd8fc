"""The configuration of one run, and what of it the federation agrees on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from fairfed.config.adaptation import AdaptConfig, SpecialiseConfig
from fairfed.config.base import Device, Once, OneOf, Section, Strings, tabled
from fairfed.config.classifiers import LIBRARIES, MODELS, with_package
from fairfed.config.coherence import CHECKS
from fairfed.config.data import DataConfig, PartitionConfig
from fairfed.config.heads import HeadsConfig
from fairfed.config.inversion import InversionConfig
from fairfed.config.labels import LabelSpace
from fairfed.config.peers import PeersConfig
from fairfed.config.privacy import PrivacyConfig
from fairfed.config.sections import (
    Arm,
    FairnessConfig,
    GeneratorConfig,
    GeneratorSettings,
    SemanticConfig,
    SemanticSettings,
    TrainConfig,
)
from fairfed.config.shared import ArrivalConfig, SharedConfig
from fairfed.config.source import FRAME
from fairfed.config.synthesis import (
    ConditioningSettings,
    CurationSettings,
    SynthesisConfig,
    SynthesisSettings,
)
from fairfed.config.table import TableConfig
from fairfed.config.zsl import ZslConfig, ZslSettings

NETWORK = OneOf(tuple(MODELS), "function", LIBRARIES)


class Agreement(Section):
    """What all who take part agree on. Nothing in it says where anything is."""

    name: str = Field("run", min_length=1, description="Name of the run.")
    seed: int = Field(
        0, ge=0, lt=2**31, description="Seed of everything random: same seed, same run."
    )
    rounds: int = Field(12, ge=1, description="Rounds of federated training.")
    min_sites: int = Field(1, ge=1, description="Sites that the study has at least.")
    fraction: float = Field(
        1.0, gt=0, le=1, description="Share of the clients that train in a round; at least one."
    )
    model: Annotated[str, BeforeValidator(with_package), NETWORK] = Field(
        "cnn-bn",
        description="The federated model. Of images: a small CNN with BatchNorm or with GroupNorm, "
        "the LeNet of Flower's niid_bench without or with BatchNorm, a head on the frozen CLIP of "
        "`semantic.encoder`, or that `clip` adapted as `[adapt]` says. Of a table: logistic "
        "regression, or one hidden layer of 10 tanh units. Of images also any network of "
        "torchvision or timm (`resnet18`, `timm:vit_tiny_patch16_224`). Or one of your own, "
        "made by a function ([how](../CONTRIBUTING.md)), which a real site runs only if its "
        "`policy.own_code` has it.",
    )
    system: Annotated[str, OneOf(own="object")] | None = Field(
        None,
        description="A system of your own as `module:object` ([how](../CONTRIBUTING.md)), which a "
        "real site runs only if its `policy.own_code` has it. Without it, a section asks for a "
        "system, or the arms are compared.",
    )
    train: TrainConfig = tabled(TrainConfig, "train")
    semantic: SemanticSettings = tabled(SemanticSettings, "semantic")
    generator: GeneratorSettings = tabled(GeneratorSettings, "generator")
    synthesis: SynthesisSettings = tabled(SynthesisSettings, "synthesis")
    conditioning: ConditioningSettings = tabled(ConditioningSettings, "conditioning")
    curation: CurationSettings = tabled(CurationSettings, "curation")
    fairness: FairnessConfig = tabled(FairnessConfig, "fairness")
    privacy: PrivacyConfig = tabled(PrivacyConfig, "privacy")
    adapt: AdaptConfig = tabled(AdaptConfig, "adapt")
    specialise: SpecialiseConfig | None = Field(None, description="See `[specialise]`.")
    heads: HeadsConfig | None = Field(None, description="See `[heads]`.")
    inversion: InversionConfig | None = Field(None, description="See `[inversion]`.")
    zsl: ZslSettings | None = Field(None, description="See `[zsl]`.")
    peers: PeersConfig | None = Field(None, description="See `[peers]`.")
    shared: SharedConfig | None = Field(None, description="See `[shared]`.")
    arrival: ArrivalConfig | None = Field(None, description="See `[arrival]`.")
    arms: Annotated[tuple[Arm, ...], Field(strict=False)] = Field(
        (Arm(name="FedAvg"),),
        min_length=1,
        description="The arms that are compared. See `[[arms]]`.",
    )


class Config(Agreement):
    """Everything a run depends on. Relative paths start at the current directory."""

    engine: Literal["inprocess", "ray"] = Field(
        "inprocess",
        description="`inprocess` (no Ray, no ports) or `ray` (worker processes; needs the extra "
        "`ray`).",
    )
    workers: int = Field(
        2,
        ge=1,
        description="Clients that work at the same time. No more than there are cores: PyTorch's "
        "threads are divided among them.",
    )
    device: Device = Field(
        "cpu",
        description="Where clients train: `cpu`, `cuda` (of several GPUs, each in turn gets a "
        "client), `cuda:1`, `mps`, or `auto`, CUDA where there is any. (The generator's: "
        "`generator.device`.)",
    )
    weights: str | None = Field(
        None,
        description="File of weights (`.safetensors`, `.pt`) that the model begins with, by the "
        "names that its network gives them; a last layer of other classes is drawn anew. Without "
        "it, all are drawn.",
    )
    track: Literal["tensorboard", "mlflow", "wandb"] | None = Field(
        None,
        description="Tell each round's accuracy, worst client and loss also to TensorBoard (files "
        "in the run directory), MLflow or Weights & Biases, as they are set up here; the package "
        "must be installed. What else they record is theirs.",
    )
    out: str = Field(
        "runs/{name}",
        min_length=1,
        description="Run directory; `{name}` and `{seed}` stand for theirs.",
    )
    data: DataConfig = tabled(DataConfig, "data")
    partition: PartitionConfig = tabled(PartitionConfig, "partition")
    table: TableConfig | None = Field(
        None, description="See `[data.table]`: with `[federation]`, the columns of a table."
    )
    federation: LabelSpace | None = Field(
        None,
        description="See `[federation]`: what sites with data of their own agree on, instead of "
        "`[data]` and `[partition]`, which cut one data set into the clients of a simulation.",
    )
    sites: Annotated[Strings, Once] = Field(
        (),
        description="With `[federation]`: names of the sites that may take part, which may then "
        "come late. Without them, whoever is there when the run begins.",
    )
    min_sites: int = Field(
        2,
        ge=1,
        description="With `[federation]`: sites that must be there before a run begins and, over a "
        "network, in every round.",
    )
    wait: float = Field(
        600.0,
        ge=0,
        description="With `[federation]`, over a network: seconds to wait for `min_sites`, and at "
        "the beginning for all `sites`.",
    )
    deadline: float = Field(
        3600.0,
        gt=0,
        description="With `[federation]`, over a network: seconds that sites have for an exchange. "
        "One that is late has failed in that round, and takes part in the next.",
    )
    semantic: SemanticConfig = tabled(SemanticConfig, "semantic")
    generator: GeneratorConfig = tabled(GeneratorConfig, "generator")
    synthesis: SynthesisConfig = tabled(SynthesisConfig, "synthesis")
    zsl: ZslConfig | None = Field(None, description="See `[zsl]`.")

    @model_validator(mode="before")
    @classmethod
    def _of_sites(cls, settings: Any) -> Any:
        """A study of sites with data of their own says nothing of where data are."""
        if not isinstance(settings, dict) or settings.get("federation") is None:
            return settings
        for name in ("data", "partition"):
            if name in settings:
                raise ValueError(
                    f"{name}: with [federation], every site says in its own site.toml where its "
                    "data are; leave the section out"
                )
        kind = dict(settings["federation"]).get("kind")
        # What a run checks, it checks for the kind of rows that its data are.
        return settings | {"data": {"source": f"{FRAME}sites"}} if kind == "table" else settings

    @model_validator(mode="after")
    def _coherent(self) -> Config:
        for check in CHECKS:
            reason = check(self)
            if reason:
                raise ValueError(reason)
        return self

    @property
    def run_directory(self) -> Path:
        """Where the run is written."""
        return Path(self.out.replace("{name}", self.name).replace("{seed}", str(self.seed)))

    def to_toml(self) -> str:
        """The whole configuration, defaults included; `parse_config` of it gives an equal one."""
        import tomli_w

        unsaid = {"data", "partition"} if self.federation is not None else set()
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True, exclude=unsaid))
