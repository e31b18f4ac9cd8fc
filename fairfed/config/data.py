"""The sections of the configuration file that say what the data are, and who holds them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fairfed.config.base import Once, Pair, Section, Strings, tabled
from fairfed.config.presets import with_preset
from fairfed.config.source import Kind, source_of
from fairfed.config.table import TableConfig


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


class ReadingConfig(Section):
    """What rows are read from, and how: the same in a simulation and at a site."""

    source: str = Field(
        "bundled",
        min_length=1,
        description="`bundled` (8,000 images of Fashion-MNIST), `fashion-mnist` (all 70,000), "
        "`hf:NAME` (a Hugging Face dataset, or a parquet file with images), or the path of an "
        "image folder: with a `metadata.csv`, `.jsonl` or `.parquet`, or with a folder for each "
        "class. A table: the path of a `.csv` or `.parquet` file, `frame:NAME` (a DataFrame of "
        "your program), or `adult`, `compas`, `law`, `dutch`, whose columns are known. Or a "
        "function of your own as `module:function`, which is run ([how](../CONTRIBUTING.md)).",
    )
    kind: Kind | None = Field(
        None,
        description="What a source of your own gives; `images` where it is left out. `images` of a "
        "`.csv` or `.parquet` file: a table that names image files, relative to itself. Any other "
        "source says so itself.",
    )
    directory: str | None = Field(
        None,
        description="Where the four IDX files of `fashion-mnist` are; without it, where Debian's "
        "package `dataset-fashion-mnist` puts them, else through `datasets`. Where `adult.data` "
        "(without it: through OpenML), `compas.csv`, `law.csv` or `dutch.csv` is.",
    )
    label: str = Field("label", min_length=1, description="Column of the label.")
    missing: Strings = Field(
        ("NA", "N/A", "<NA>", "NaN", "None", "null"),
        description="Texts that stand for no value, in any case, as blank ones do: a sensitive "
        "value becomes the group `missing`, a label or client is refused. Empty: blank ones alone. "
        "(For a table: `data.table.missing`.)",
    )
    split: str = Field(
        "split",
        description="Column that says `train`, `val` or `test` (also `training`, `valid`, "
        "`validation`, `dev`, `testing`). Where it is absent, and no folder or split of that name "
        "says it, a seeded fifth of each class is for testing.",
    )
    split_by: str | None = Field(
        None,
        min_length=1,
        description="Column that says whom a row is of (`patient`): where test rows are set aside, "
        "all rows of a person go to the same side; where the data say which rows test, persons on "
        "both sides are counted in a warning. A row without a value is a person of its own.",
    )
    validation: Literal["unused", "train", "test"] | None = Field(
        None,
        description="What images for validation are used for; nothing is chosen on them. Without "
        "it: as test images where there are no others, else `unused`.",
    )
    synthetic: Literal["leave-out", "train", "error"] = Field(
        "leave-out",
        description="Rows that `augment` has marked `synthetic` in its export: left out; or used "
        "for training, never for testing, and counted as the clients' own; or refused.",
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="Images with the same pixels under several names are named in a warning. "
        "`drop`: one of them is kept, a test image if there is one; none where the labels differ.",
    )
    unreadable: Literal["skip", "error"] = Field(
        "skip",
        description="Image files that cannot be read are left out and listed, as long as they are "
        "1 % at most; or they are an error.",
    )
    image_column: str = Field(
        "image",
        description="Column of the image in a Hugging Face dataset, or of the file in a table "
        "where it is not called `file_name`, `image`, `path`, ….",
    )
    window: Pair | None = Field(
        None,
        description="Values that become black and white in image files with more than 8 bits. "
        "Without it, one window for all: from 0 to the largest value of the bit depth that the "
        "data use (10 bits in files of 16: 1023); numbers that are not whole: 0 to 1 where they "
        "lie there, else the data's range. Sites with different devices should set it.",
    )
    background: str = Field(
        "white",
        description="Colour on which transparent image files are laid, as Pillow names it "
        "(`black`, `#808080`).",
    )
    max_megapixels: float = Field(
        179.0,
        gt=0,
        description="An image file with more pixels is not read: a small file can hold enough to "
        "fill the memory.",
    )
    memory: float = Field(
        4.0,
        ge=0,
        description="GiB of decoded images that are held in memory. More are decoded once into a "
        "file in `cache`, and read from there batch by batch: a training over any number of images "
        "takes the memory of its batches.",
    )
    cache: str | None = Field(
        None,
        description="Folder of such files; without it, `~/.cache/fairfed/decoded`, of a site "
        "`decoded` in its state. Only its owner may read it. A file is named after the images and "
        "how they are decoded; remove it when you no longer need it.",
    )
    table: TableConfig = tabled(TableConfig, "data.table")

    @field_validator("background")
    @classmethod
    def _known_colour(cls, name: str) -> str:
        from PIL import ImageColor

        ImageColor.getrgb(name)
        return name

    @field_validator("window")
    @classmethod
    def _rising(cls, window: tuple[float, float] | None) -> tuple[float, float] | None:
        if window is not None and not window[0] < window[1]:
            raise ValueError(f"{window[0]:g} is not below {window[1]:g}")
        return window

    @model_validator(mode="after")
    def _of_that_kind(self) -> ReadingConfig:
        known = source_of(self.source, self.kind).kind
        if self.kind not in (None, known):
            raise ValueError(
                f"kind is {self.kind!r}, but source {self.source!r} gives {known!r}; leave kind out"
            )
        return self

    @property
    def tabular(self) -> bool:
        """Whether the source is a table, and not images."""
        return source_of(self.source, self.kind).kind == "table"


class DataConfig(ReadingConfig):
    """The rows (images, or those of a table), their labels and the sensitive features."""

    classes: Strings = Field(
        (),
        description="The label space, in order. Empty: the labels found, sorted. A label that is "
        "not in it is an error.",
    )
    sensitive: Annotated[Strings, Once] = Field(
        ("tint",),
        description="Sensitive columns; several are crossed (`a × b`). `tint` is made by "
        "`data.tint`. Empty: one group, `all`. A column with more than ten different numbers "
        "needs `data.table.groups`, also with images.",
    )
    client: str | None = Field(
        None, description='Column that names a row\'s client, for `partition.name = "column"`.'
    )
    image_size: int = Field(
        32, ge=8, le=1024, description="Side, in pixels, that images are brought to."
    )
    tint: TintConfig = tabled(TintConfig, "data.tint")

    @model_validator(mode="before")
    @classmethod
    def _known_table(cls, settings: Any) -> Any:
        return with_preset(settings) if isinstance(settings, dict) else settings

    @model_validator(mode="after")
    def _one_label_space(self) -> DataConfig:
        if self.classes and self.table.positive is not None:
            raise ValueError("classes and table.positive both say what the classes are; drop one")
        return self


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
