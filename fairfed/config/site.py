"""A site's own configuration, `site.toml`: read at the site, and never sent.

A study (the federation's configuration) names no path; what it asks for by name or fingerprint, a
site takes from where this file says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fairfed.config.base import Device, Once, OneOf, Section, Strings, tabled
from fairfed.config.data import ReadingConfig
from fairfed.config.load import load_model
from fairfed.config.presets import with_preset
from fairfed.config.source import BUNDLED, FASHION, HUB, source_of
from fairfed.config.systems import ACTIONS, Action

FINGERPRINT = r"^[0-9a-f]{64}$"
"""A study's; see `fairfed.config.federation.FederationConfig`."""


class SiteData(ReadingConfig):
    """A site's rows, and what the federation calls that which they are labelled with."""

    source: str = Field(
        min_length=1,
        description="Image folder, table, Hugging Face dataset (`hf:NAME`) or function of your own "
        "(`module:function`), as in a run's `[data]`.",
    )
    sensitive: dict[str, str] = Field(
        default_factory=dict,
        description="The federation's sensitive columns → the site's own, e.g. "
        '`{ sex = "gender" }`. One that the site lacks is left out: its rows count as `missing`.',
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Of a table: the federation's input columns → the site's own, where these are "
        'called otherwise, e.g. `{ age = "alter" }`.',
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="The site's labels → the federation's classes, where these are called "
        'otherwise, e.g. `{ MEL = "melanoma", "L82.1" = "keratosis", 3 = "nevus", other = "" }`. '
        'Rows of a label with `""` are left out, and counted. Numbers and codes are texts.',
    )
    groups: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="By the federation's sensitive column, the site's values → the federation's, "
        'e.g. `groups.sex = { w = "female", m = "male", d = "" }`. Rows of a value with `""` count '
        "as `missing`.",
    )
    unknown: Literal["error", "drop"] = Field(
        "error",
        description="A label that the federation does not know, or no label: an error; or its rows "
        "are left out, and counted.",
    )
    unknown_groups: Literal["error", "missing"] = Field(
        "error",
        description="A sensitive value that the federation does not know: an error; or its rows "
        "count as `missing`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _known_table(cls, settings: Any) -> Any:
        if not isinstance(settings, dict):
            return settings
        filled = with_preset(settings)
        if "sensitive" in filled and "sensitive" not in settings:
            filled["sensitive"] = {name: name for name in filled["sensitive"]}
        return filled

    @field_validator("source")
    @classmethod
    def _own(cls, source: str) -> str:
        if source in FASHION:
            raise ValueError(
                f"{source!r} is data to simulate with; name the site's own folder, table or dataset"
            )
        return source

    @model_validator(mode="after")
    def _coherent(self) -> SiteData:
        owners: dict[str, str] = {}
        for name, own in self.sensitive.items():
            first = owners.setdefault(own, name)
            if first != name:
                raise ValueError(
                    f"sensitive: {first} and {name} are both the column {own!r}; name each once"
                )
        for name in self.groups:
            if name not in self.sensitive:
                raise ValueError(
                    f"groups.{name}: no column of sensitive; write sensitive = {{ {name} = "
                    '"COLUMN" }, or drop it'
                )
        if self.columns and not self.tabular:
            raise ValueError("columns names the inputs of a table, and the source is none; drop it")
        return self


class SiteModels(Section):
    """Where the site has the models that a study names by their fingerprints."""

    encoder: str = Field(
        BUNDLED,
        description="CLIP: `bundled`, a directory in open_clip's format, or `MODEL/PRETRAINED`.",
    )
    generator: str = Field(
        BUNDLED, description="`bundled`, a diffusers directory, or the name of a model on the hub."
    )
    weights: str | None = Field(
        None,
        description="File of the weights that a study's network begins with; needed where arms "
        "train a part of it (`adapt`).",
    )
    lora: Strings = Field((), description="LoRA files, as `FILE` or `FILE:WEIGHT`.")
    embeddings: Strings = Field(
        (), description="Files of textual inversion, as `FILE` or `FILE=TOKEN`."
    )


class SiteCompute(Section):
    """What the site computes with."""

    device: Device = Field(
        "auto",
        description="Of the generator: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.",
    )
    training: Device = Field(
        "cpu",
        description="Of classifiers, likewise.",
    )
    threads: int | None = Field(
        None, ge=1, description="PyTorch's threads; without it, all that the machine has."
    )


class SiteState(Section):
    """What the site keeps."""

    directory: str = Field(
        "state",
        min_length=1,
        description="Directory of synthetic images, releases and the ledger of all that left the "
        "site. Losing it spends the privacy of releases anew.",
    )


class SiteBudget(Section):
    """Privacy that the site may spend, over all studies."""

    epsilon: float = Field(
        gt=0,
        description="Most ε that all noised releases together may spend of each of its examples: "
        "training under `train.dp`, prototypes, audits. Then the site refuses. Training without "
        "noise is refused at once.",
    )
    delta: float = Field(1e-5, gt=0, lt=1, description="The δ that this ε is of.")


class SitePolicy(Section):
    """What may leave the site, and what a study may ask of it."""

    actions: Annotated[tuple[Action, ...], Once, Field(strict=False)] = Field(
        ACTIONS,
        description="What a study may ask for: " + ", ".join(f"`{name}`" for name in ACTIONS) + ".",
    )
    counts: Literal["exact", "suppress"] = Field(
        "exact",
        description="Counts of rows by class and group: as they are; or those from 1 to below "
        "`min_count` are not said, and nothing that is follows from them.",
    )
    min_count: int = Field(
        10, ge=1, description="With `suppress`: the smallest count that is said, besides 0."
    )
    approve: Literal["any", "ask"] = Field(
        "any",
        description="Studies that the site takes part in: any that the policy allows, or only "
        "those that a person has looked at (`fairfed site approve`).",
    )
    studies: Annotated[
        tuple[Annotated[str, Field(pattern=FINGERPRINT)], ...], Once, Field(strict=False)
    ] = Field(
        (),
        description="Fingerprints of studies that are permitted like those that a person has "
        "approved; where any is named, no other is permitted.",
    )
    min_sites: int = Field(
        1,
        ge=1,
        description="Smallest number of sites that a study may have (its `min_sites`), and that "
        "a sum under masks is of.",
    )
    dp: SiteBudget | None = Field(
        None, description="Budget of differential privacy: `{ epsilon, delta }`; without it, none."
    )
    weights: Literal["any", "masked"] = Field(
        "any",
        description="Weights and sums that leave: as the study asks; or `masked`, only under masks "
        "that cancel in the sum of all sites (`privacy.secure_sum` of the study).",
    )
    max_share: float = Field(
        0.9,
        gt=0,
        le=1,
        description="Largest share of a sum under masks that the site may be: a sum that is nearly "
        "all its own hides little.",
    )
    max_rounds: int | None = Field(
        None,
        ge=1,
        description="Most rounds of a study that the site takes part in, and most trainings of "
        "each of its arms that leave the site, over all runs of studies of that name. The same "
        "question asked again, as after a crash, is not counted.",
    )
    max_synthetic: int | None = Field(
        None, ge=0, description="Most synthetic images that the site makes for a study."
    )
    allow_download: bool = Field(
        False, description="Load models and datasets from the hub that are not on the disk."
    )
    own_code: Annotated[
        tuple[Annotated[str, OneOf(own="object")], ...], Once, Field(strict=False)
    ] = Field(
        (),
        description="Models and systems, as `module:object`, that the site runs although they are "
        "no part of fairfed, where a study names them. They must be installed here, and can do "
        "with the site's rows what they like.",
    )


class SiteCoordinator(Section):
    """Who asks."""

    receipts_key: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9+/]{43}=$",
        description="Public key of the coordinator's receipts (Ed25519, in base64). Without it "
        "receipts are kept, and not verified.",
    )


class SiteConfig(Section):
    """Everything about a site. Relative paths start at the folder of this file."""

    name: str = Field(
        min_length=1,
        description="What the site is called in tables, logs and reports: letters, digits, `-`, "
        "`_`. Sites are ordered by it.",
    )
    data: SiteData = Field(description="See `[data]`.")
    models: SiteModels = tabled(SiteModels, "models")
    compute: SiteCompute = tabled(SiteCompute, "compute")
    state: SiteState = tabled(SiteState, "state")
    policy: SitePolicy = tabled(SitePolicy, "policy")
    coordinator: SiteCoordinator = tabled(SiteCoordinator, "coordinator")
    peers: dict[str, str] = Field(
        default_factory=dict,
        description="Public keys of the other sites by name, as their `fairfed site join` printed "
        "them and they sent them to you: sums under masks are made with these alone.",
    )

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        return plain_name(name)

    def placed(self, folder: Path) -> SiteConfig:
        """The same with the paths that are relative starting at `folder`."""
        data, models = self.data, self.models
        source = data.source
        if source.startswith(HUB):
            source = HUB + _placed_if_there(folder, source.removeprefix(HUB))
        elif source_of(source).is_path:
            source = _placed(folder, source)
        directory = data.directory and _placed(folder, data.directory)
        state = _placed(folder, self.state.directory)
        cache = _placed(folder, data.cache) if data.cache else str(Path(state) / "decoded")
        weights = models.weights and _placed(folder, models.weights)
        files = {
            "lora": tuple(_placed_file(folder, name, ":") for name in models.lora),
            "embeddings": tuple(_placed_file(folder, name, "=") for name in models.embeddings),
        }
        named = {
            name: _placed_if_there(folder, getattr(models, name))
            for name in ("encoder", "generator")
        }
        return self.model_copy(
            update={
                "data": data.model_copy(
                    update={"source": source, "directory": directory, "cache": cache}
                ),
                "models": models.model_copy(update={**files, **named, "weights": weights}),
                "state": SiteState(directory=state),
            }
        )


def plain_name(name: str) -> str:
    """A site's name as it is, if it may be one."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"{name!r}: expected letters, digits, - and _ alone")
    return name


def load_site(path: str | Path) -> SiteConfig:
    """Read a `site.toml`; its relative paths then start at its folder.

    Raises
    ------
    semantic.errors.InputError
        If the file cannot be read, or a setting is unknown or has a wrong value.
    """
    return load_model(SiteConfig, path).placed(Path(path).absolute().parent)


def _placed(folder: Path, name: str) -> str:
    return str(folder / Path(name).expanduser())


def _placed_if_there(folder: Path, name: str) -> str:
    """A name that may be a path or a model's: a path where it looks like one or is there."""
    is_path = name.startswith((".", "/", "~")) or (name != BUNDLED and (folder / name).exists())
    return _placed(folder, name) if is_path else name


def _placed_file(folder: Path, name: str, mark: str) -> str:
    """``FILE`` or ``FILE:WEIGHT`` with the file placed."""
    file, sign, rest = name.rpartition(mark)
    return _placed(folder, file or rest) + (sign + rest if file else "")
