"""What a site would bring to a study: rows, plan, cost, and what would leave it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from fairfed.config import Arm, FederationConfig
from fairfed.config.base import required
from fairfed.config.federation import agreed
from fairfed.config.labels import LabelSpace
from fairfed.config.load import load_config
from fairfed.config.model import Config
from fairfed.config.site import SiteConfig, SiteData
from fairfed.config.training import arms_to_fill
from fairfed.data.grouping import name_groups
from fairfed.data.table import natural_order
from fairfed.sites import approval
from fairfed.sites.home import read_rows, site_of
from fairfed.sites.local_data import Columns, site_columns
from fairfed.sites.policy import most_made, refusals, said_counts
from fairfed.sites.report import DataReport
from fairfed.sites.simulated import attribute_rows, fingerprints
from fairfed.sites.site import Site
from fairfed.sites.trial import Trials
from fairfed.sites.workplace import Workplace
from generators.diffusion import load_generator
from generators.plan import Cells
from generators.requests import Request
from semantic.errors import InputError
from semantic.sight import Reading
from semantic.space import known_groups

CHANNELS = 3


def study_of(path: Path) -> Config:
    """Read a study; `InputError` if it is none, or says where data are."""
    found = load_config(path)
    if found.federation is None:
        raise InputError(
            f"{path}: [federation] is missing: a study names the classes that its sites have in "
            "common, and the groups"
        )
    return found


def at_site(study: Config, site: SiteConfig) -> Config:
    """The settings of the study's run with the site's own models in them, and the classes."""
    models, labels = site.models, required(study.federation)
    generator = {
        "model": models.generator, "lora": models.lora, "embeddings": models.embeddings,
        "device": site.compute.device,
    }  # fmt: skip
    semantic = {"encoder": models.encoder}
    data = {"classes": labels.classes, "image_size": labels.image_size}
    return study.model_copy(
        update={
            "generator": study.generator.model_copy(update=generator),
            "semantic": study.semantic.model_copy(update=semantic),
            "data": study.data.model_copy(update=data),
        }
    )


def sent_study(path: Path, site: SiteConfig) -> FederationConfig:
    """What a study sends: as a site has kept it of a message (JSON), or as its file comes to."""
    if path.suffix != ".json":
        own = at_site(study_of(path), site)
        return agreed(own, required(own.federation), attribute_rows(own), fingerprints(own))
    try:
        return FederationConfig.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
        raise InputError(
            f"{path}: no study ({what}); give its TOML file, or what a refusal has kept of it"
        ) from error


def permitted(site: SiteConfig, study: Path) -> bool:
    """Whether a person has approved a study, where the site's policy asks for it."""
    if site.policy.approve == "any" and not site.policy.studies:
        return True
    told = sent_study(study, site)
    return approval.permitted(site.policy, told, Path(site.state.directory))


@dataclass(frozen=True)
class Cost:
    """What the plan costs a site."""

    wanted: Cells  # synthetic images by cell, ``[n_classes, n_groups]``
    # Images that are made, pools of several clients included; and where many are rejected.
    images: int
    at_most: int
    # To make them; None where nothing has been timed.
    seconds: float | None
    seconds_at_most: float | None
    megabytes: float  # their disk space at most


@dataclass(frozen=True)
class Check:
    """What came of a check."""

    report: DataReport  # what became of the rows
    said: Cells  # training rows by class and group as the site would tell them
    # Cells without a training row, as pairs of class and group, of groups whose values are known.
    missing: tuple[tuple[str, str], ...]
    # None without a study, or where it makes no images or its models are not here.
    cost: Cost | None = None
    refusals: tuple[str, ...] = ()  # why the site cannot take part; empty where it can
    readings: tuple[Reading, ...] = ()  # what CLIP tells apart in the site's images
    # Whether the generator knows what the site wants of it.
    trials: Trials = field(default_factory=Trials)


def check(
    config: SiteConfig,
    study: Config | FederationConfig | None,
    timed: bool = False,
    *,
    plan: bool = True,
) -> Check:
    """Build the site that would take part in a study, or else has its own names, and ask it.

    `plan` takes the models; `timed` makes one batch of images to tell the time that the plan takes.
    """
    if study is None:
        config, labels = own_space(config)
        told = FederationConfig(labels=labels, table=config.data.table)
    elif isinstance(study, FederationConfig):
        told = study
    else:
        own = at_site(study, config)
        told = agreed(own, required(study.federation), attribute_rows(own), {})
    rows, report = read_rows(config, told)
    table, empty = rows.table, np.array(report.train) == 0
    missing = tuple(
        (table.classes[c], table.group_names[g])
        for c, g in np.argwhere(empty & known_groups(table.group_names)).tolist()
    )
    said = said_counts(table.cells(rows.train), config.policy)
    arm, cost, reasons = next(iter(arms_to_fill(told)), None), None, list[str]()
    readings, trials = tuple[Reading, ...](), Trials()
    if study is None:
        return Check(report, said, missing)
    if arm is not None and plan:
        try:
            site = site_of(config, told, rows)
            readings = site.place.sight.readings
            cost = _cost(site, arm, timed)
            if timed:
                trials = site.trials(arm)
                if not told.semantic.allow_unknown:
                    trials.refuse_unknown()
        except InputError as error:  # said with the other reasons, below what the site holds
            reasons.append(str(error))
    reasons += refusals(config.policy, told, cost.at_most if cost else 0)
    return Check(report, said, missing, cost, tuple(reasons), readings, trials)


def own_space(site: SiteConfig) -> tuple[SiteConfig, LabelSpace]:
    """The label space of the names that a site has, and its configuration without a mapping.

    Labels that are mapped to none stay left out. Raises `InputError` if a column is not there, or
    holds measurements and no groups.
    """
    data = site.data
    read = site_columns(data)
    left_out = {name: "" for name, target in data.labels.items() if not target}
    classes = natural_order([t for t in read.labels if t is not None and t not in left_out])
    if not classes:
        raise InputError(f"{read.where}: no row has a label in column {data.label!r}")
    values = {
        name: natural_order([text for text in _groups(name, data, read) if text is not None])
        for name in data.sensitive
    }
    nothing = [name for name, own in values.items() if not own]
    if nothing:
        raise InputError(
            f"{read.where}: column {data.sensitive[nothing[0]]!r} has no value in any row; drop it "
            "from data.sensitive"
        )
    own = data.model_copy(update={"labels": left_out, "groups": {}, "unknown": "drop"})
    try:
        labels = LabelSpace(
            kind="table" if data.tabular else "images", classes=classes, sensitive=values
        )
    except ValidationError as error:
        raise InputError(f"{read.where}: {error.errors()[0]['msg']}") from error
    return site.model_copy(update={"data": own}), labels


def _groups(name: str, data: SiteData, read: Columns) -> list[str | None]:
    """Values of a sensitive column as groups; measurements are refused."""
    column = data.sensitive[name]
    if column in data.table.groups:
        return read.sensitive[name]
    return name_groups(read.sensitive[name], column, None, read.where)


def _cost(site: Site, arm: Arm, timed: bool) -> Cost:
    """What an arm's plan costs a site."""
    pools = site.pools(arm)
    images, at_most = int(pools.sum()), most_made(pools.ravel().tolist(), site.study)
    seconds = _seconds_an_image(site.place) if timed and images else None
    return Cost(
        wanted=site.plan(arm),
        images=images,
        at_most=at_most,
        seconds=None if seconds is None else seconds * images,
        seconds_at_most=None if seconds is None else seconds * at_most,
        megabytes=at_most * CHANNELS * site.study.labels.image_size**2 / 1e6,
    )


def _seconds_an_image(place: Workplace) -> float:
    """Wall-clock seconds of an image in a batch; an image before it loads and warms up."""
    generator = load_generator(place.diffusion)
    cell = place.space.cell(0, 0)
    requests = [Request(cell, cell.class_name, seed) for seed in range(generator.batch_size)]
    generator.generate(requests[:1])
    start = time.perf_counter()
    generator.generate(requests)
    return (time.perf_counter() - start) / len(requests)
