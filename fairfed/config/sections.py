"""The sections of the configuration file.

Every field is described here and nowhere else: `fairfed.config.reference` makes the reference page
from these descriptions.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fairfed.config.arms import Arm as Arm
from fairfed.config.arms import Augmentation, Debias
from fairfed.config.arms import FairnessConfig as FairnessConfig
from fairfed.config.base import Once, Section, Strings
from fairfed.config.presets import with_preset
from fairfed.config.table import TableConfig, is_table


class TintConfig(Section):
    """A sensitive feature for images that have none: each image is shaded in a flat colour."""

    enabled: bool = Field(
        True,
        description="Shade the images of `bundled` and `fashion-mnist` in grey, red, green or "
        "blue. Other sources have their own sensitive columns and are never shaded.",
    )
    alpha: float = Field(
        0.5,
        gt=0,
        description="Concentration of the Dirichlet distribution from which each client × class "
        "draws its shares of the four tints. Small: one tint each; large: even shares. Test "
        "images have even shares.",
    )
    correlation: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Probability that a training image has the tint of its class (the first class "
        "grey, then red, green, blue, grey, …), at every client; the other three share the rest. "
        "0.25: no correlation. Test images keep even shares. Instead of `alpha`, which then has no "
        "effect.",
    )


class DataConfig(Section):
    """The rows (images, or those of a table), their labels and the sensitive features."""

    source: str = Field(
        "bundled",
        min_length=1,
        description="`bundled` (8,000 images of Fashion-MNIST), `fashion-mnist` (all 70,000), "
        "`hf:NAME` (a Hugging Face dataset), or the path of an image folder with a `metadata.csv`. "
        "A table: the path of a `.csv` or `.parquet` file, `frame:NAME` (a DataFrame of your "
        "program), or `adult`, `compas`, `law`, `dutch`, whose columns are known.",
    )
    directory: str | None = Field(
        None,
        description="Where the four IDX files of `fashion-mnist` are; without it, where Debian's "
        "package `dataset-fashion-mnist` puts them, else through `datasets`. Where `adult.data` "
        "(without it: through OpenML), `compas.csv`, `law.csv` or `dutch.csv` is.",
    )
    classes: Strings = Field(
        (),
        description="The label space, in order. Empty: the labels found, sorted. A label that is "
        "not in it is an error.",
    )
    label: str = Field("label", min_length=1, description="Column of the label.")
    sensitive: Annotated[Strings, Once] = Field(
        ("tint",),
        description="Sensitive columns; several are crossed (`a × b`). `tint` is made by "
        "`data.tint`. Empty: one group, `all`.",
    )
    client: str | None = Field(
        None, description='Column that names a row\'s client, for `partition.name = "column"`.'
    )
    split: str = Field(
        "split",
        description="Column that says `train` or `test`. Where it is absent, a seeded fifth of "
        "each class is for testing.",
    )
    image_column: str = Field("image", description="Column of the image in a Hugging Face dataset.")
    image_size: int = Field(
        32, ge=8, le=1024, description="Side, in pixels, that images are brought to."
    )
    tint: TintConfig = Field(default_factory=TintConfig, description="See `[data.tint]`.")
    table: TableConfig = Field(default_factory=TableConfig, description="See `[data.table]`.")

    @model_validator(mode="before")
    @classmethod
    def _known_table(cls, settings: Any) -> Any:
        return with_preset(settings) if isinstance(settings, dict) else settings

    @model_validator(mode="after")
    def _one_label_space(self) -> DataConfig:
        if self.classes and self.table.positive is not None:
            raise ValueError("classes and table.positive both say what the classes are; drop one")
        return self

    @property
    def tabular(self) -> bool:
        """Whether the source is a table, and not images."""
        return is_table(self.source)


class PartitionConfig(Section):
    """How the images are divided among the clients."""

    name: str = Field(
        "pathological",
        description="A partitioner of `flwr_datasets.partitioner`, in snake case without "
        "`_partitioner` (`iid`, `dirichlet`, `shard`, `pathological`, `distribution`, …), or "
        "`column`: the data's own clients (`data.client`).",
    )
    clients: int = Field(
        10,
        ge=1,
        description="Number of clients; with `column` the data decides, and this is unused.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the partitioner, as its documentation names them, e.g. "
        "`{ alpha = 0.3 }` for `dirichlet`. `pathological` without options gives 2 classes each. "
        "`partition_by` is `label`, `group`, `cell` (label × group) or `client`.",
    )


class TrainConfig(Section):
    """Training at a client, in every round (stochastic gradient descent)."""

    epochs: int = Field(1, ge=1, description="Passes over the client's images in a round.")
    batch_size: int = Field(32, ge=1, description="Images in a step.")
    lr: float = Field(0.05, gt=0, description="Learning rate.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay (L2).")
    proximal: float = Field(
        0.0,
        ge=0,
        description="FedProx's µ: how strongly training pulls towards the received model.",
    )
    debias: Debias = Field(
        "none",
        description="`reweighing` (Kamiran & Calders): examples weigh as if group and class were "
        "independent at the client. `fairbatch` (Roh et al.): within every class the weight moves, "
        "round by round, to the groups with the larger error at the client.",
    )
    fairbatch_alpha: float = Field(
        0.1, ge=0, description="FairBatch's step: how far a difference of errors moves weight."
    )
    augmentation: Augmentation = Field(
        "none",
        description="Classical augmentation of every batch: `randaugment` (Cubuk et al. 2020: two "
        "random operations of strength 9 an image; pixels only) or `mixup` (Zhang et al. 2018: "
        "pairs of images and of labels are blended, shares from Beta(0.2, 0.2)).",
    )


class SemanticConfig(Section):
    """What classes mean: CLIP, attributes and prompts."""

    encoder: str = Field(
        "bundled",
        description="CLIP: `bundled`, a directory in open_clip's format, or `MODEL/PRETRAINED` of "
        "open_clip (`ViT-B-32/laion2b_s34b_b79k`).",
    )
    attributes: str = Field(
        "bundled",
        description="Class × attribute table: `bundled` (Fashion-MNIST), the path of a CSV file, "
        "or `names`: the class names alone, as they stand in the data.",
    )
    templates: Strings = Field(
        (), description="Prompt templates. Empty: those that the encoder was trained with."
    )


class GeneratorConfig(Section):
    """Stable Diffusion, through diffusers."""

    model: str = Field(
        "bundled",
        description="`bundled`, a diffusers directory, or the name of a model on the hub: Stable "
        "Diffusion 1, 2, Turbo, XL, LCM or unCLIP.",
    )
    scheduler: str = Field(
        "dpmsolver++",
        description="Solver of the reverse process: `dpmsolver++`, `ddim`, `euler`, `unipc`, `lcm` "
        "(for LCM and its LoRA), or `default`, the model's own (for Turbo).",
    )
    steps: int = Field(8, ge=1, le=1000, description="Solver steps.")
    guidance: float = Field(
        2.0, ge=0, description="Guidance scale; 1 and below: no guidance, half the time."
    )
    guidance_from: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the noise schedule after which guidance begins to act.",
    )
    guidance_until: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the noise schedule after which guidance ends; the rest takes half "
        "the time.",
    )
    negative: str = Field("", description="Negative prompt: what images shall not show.")
    prompt_noise: float = Field(
        0.0,
        ge=0,
        description="Noise on the prompts' embeddings, for diversity: its standard deviation "
        "relative to the embedding's root mean square (SKA: 0.1).",
    )
    strength: float = Field(
        0.6,
        gt=0,
        le=1,
        description="How far an image made from a real one departs from it (img2img): share of the "
        "steps that are run.",
    )
    lora: Strings = Field(
        (), description="LoRA files that are added to the model, as `FILE` or `FILE:WEIGHT`."
    )
    embeddings: Strings = Field(
        (),
        description="Files of textual inversion, as `FILE` or `FILE=TOKEN`: words for prompts.",
    )
    safety_checker: bool = Field(
        False,
        description="Keep the model's safety checker. Images that it blackens are rejected as "
        "blank.",
    )
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="Precision; on a CPU, `float32` is the fastest."
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.",
    )
    batch_size: int = Field(64, ge=1, description="Images generated together.")


class AugmentConfig(Section):
    """Synthetic images for the cells that a client lacks, and domain matching."""

    per_class: int = Field(
        120,
        ge=0,
        description="Synthetic images of each class that a client lacks, spread over the groups.",
    )
    cell_target: int = Field(
        30,
        ge=0,
        description="A client's class × group cell with fewer real training images, in a class "
        "that it has, is filled up to this with synthetic ones.",
    )
    pool: int = Field(
        60,
        ge=1,
        description="Different images of one cell that the clients' requests draw from, made "
        "however few are asked for. The smaller, the less is generated.",
    )
    domain_matching: bool = Field(
        True,
        description="Keep a client from learning `looks real → my class`: autoencode real images "
        "and synthesise the classes that it has, too. An arm can set it for itself.",
    )
    domain_matching_present: int = Field(
        120,
        ge=0,
        description="With domain matching: synthetic images of each class that a client *has*.",
    )
    autoencode: float = Field(
        0.5,
        ge=0,
        le=1,
        description="With domain matching: probability that a real training image passes through "
        "the generator's autoencoder.",
    )
    balance: bool = Field(
        True, description="Balance the batches by class and source (real or synthetic)."
    )
    margin: float = Field(
        0.0,
        description="Least margin of an image's CLIP score for its cell over all other cells; "
        "one below it is rejected.",
    )
    max_tries: float = Field(
        2.0,
        ge=1,
        description="Images generated at most, as a multiple of those asked for: the budget that "
        "replaces rejected ones.",
    )
    replan_budget: int = Field(
        120,
        ge=1,
        description="With `replan` in an arm: images that every client synthesises more at each "
        "step, in the cells that the model serves worst.",
    )
    replan_cell: int = Field(
        30, ge=1, description="With `replan` in an arm: most images of one cell in one step."
    )
    unseen: Annotated[Strings, Once] = Field(
        (),
        description="Classes that the generator has never seen: they are composed from the "
        "attribute table, and not called by name ([measured](zero_shot.md)).",
    )
    epsilon: float = Field(
        4.0,
        gt=0,
        description="With system `one-shot`: privacy ε of the prototypes that a client sends, for "
        "adding or removing one image.",
    )
    delta: float = Field(1e-5, gt=0, lt=1, description="The δ that goes with it.")
    minimum: int = Field(
        20, ge=1, description="There, too: a class with fewer images (by noised count) is withheld."
    )
    store: str | None = Field(
        None,
        description="Directory of the store of synthetic images. Without it, `fairfed` in the "
        "user's cache directory.",
    )
    share: bool = Field(True, description="Let clients on one machine share images of the store.")
