"""What a site would bring to a study: rows, plan, cost, and what would leave it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from fairfed.config.labels import LabelSpace
from fairfed.config.load import load_config
from fairfed.config.model import Config
from fairfed.config.site import SiteConfig, SiteData
from fairfed.data.grouping import name_groups
from fairfed.data.table import natural_order
from fairfed.sites.generation import diffusion_settings
from fairfed.sites.local_data import Columns, load_site_data, site_columns
from fairfed.sites.policy import most_made, pool_sizes, refusals, said_counts
from fairfed.sites.report import DataReport
from generators.diffusion import load_generator
from generators.plan import Budget, Cells, plan_cells
from generators.requests import Request
from semantic.errors import InputError
from semantic.space import Cell, known_groups

Said = tuple[tuple[int | None, ...], ...]
CHANNELS = 3


def study_of(path: Path) -> Config:
    """Read a study.

    Raises
    ------
    semantic.errors.InputError
        If it is none, or says where data are.
    """
    found = load_config(path)
    if found.federation is None:
        raise InputError(
            f"{path}: [federation] is missing: a study names the classes that its sites have in "
            "common, and the groups"
        )
    return found


def label_space(study: Config) -> LabelSpace:
    """The label space of a study."""
    if study.federation is None:
        raise TypeError("the configuration is of a simulation")
    return study.federation


def at_site(study: Config, site: SiteConfig) -> Config:
    """The settings of the study's run with the site's own models in them, and the classes."""
    config, models, labels = study, site.models, label_space(study)
    generator = {
        "model": models.generator, "lora": models.lora, "embeddings": models.embeddings,
        "device": site.compute.device, "batch_size": site.compute.batch_size,
    }  # fmt: skip
    semantic = {"encoder": models.encoder, "attributes": models.attributes}
    data = {"classes": labels.classes, "image_size": labels.image_size}
    return config.model_copy(
        update={
            "generator": config.generator.model_copy(update=generator),
            "semantic": config.semantic.model_copy(update=semantic),
            "data": config.data.model_copy(update=data),
        }
    )


@dataclass(frozen=True)
class Cost:
    """What the plan costs a site.

    Attributes
    ----------
    wanted
        Synthetic images by cell, ``[n_classes, n_groups]``.
    images, at_most
        Images that are made, pools of several clients included; and where many are rejected.
    seconds, seconds_at_most
        To make them; None where nothing has been timed.
    megabytes
        Their disk space at most.
    """

    wanted: Cells
    images: int
    at_most: int
    seconds: float | None
    seconds_at_most: float | None
    megabytes: float


@dataclass(frozen=True)
class Check:
    """What came of a check.

    Attributes
    ----------
    report
        What became of the rows.
    said
        Training rows by class and group as the site would tell them.
    missing
        Cells without a training row, as pairs of class and group, of groups whose values are
        known.
    cost
        None without a study, or where it makes no images.
    refusals
        Why the site cannot take part; empty where it can.
    """

    report: DataReport
    said: Said
    missing: tuple[tuple[str, str], ...]
    cost: Cost | None = None
    refusals: tuple[str, ...] = ()


def check(site: SiteConfig, study: Config | None, timed: bool = False) -> Check:
    """Load a site's rows as a study would have them, and plan.

    Parameters
    ----------
    study
        None: what the site holds, under its own names.
    timed
        Make one batch of images to tell the time that the plan takes.

    Raises
    ------
    semantic.errors.InputError
        If the rows cannot be read or mapped.
    """
    if study is None:
        own, labels = own_space(site)
        return _checked(load_site_data(own, labels, 0)[1], site)
    config = study
    _, report = load_site_data(site, label_space(study), config.seed, study.table)
    found = _checked(report, site)
    cost = _cost(report, study, site, timed) if any(arm.augment for arm in config.arms) else None
    made = cost.at_most if cost is not None else 0
    reasons = tuple(refusals(site.policy, config, made))
    return Check(report, found.said, found.missing, cost, reasons)


def _checked(report: DataReport, site: SiteConfig) -> Check:
    known = known_groups(report.groups)
    missing = tuple(
        (report.classes[c], report.groups[g])
        for c, row in enumerate(report.train)
        for g, count in enumerate(row)
        if known[g] and not count
    )
    return Check(report, said_counts(report.train, site.policy), missing)


def own_space(site: SiteConfig) -> tuple[SiteConfig, LabelSpace]:
    """The label space of the names that a site has, and its configuration without a mapping.

    Labels that are mapped to none stay left out.

    Raises
    ------
    semantic.errors.InputError
        If a column is not there, or holds measurements and no groups.
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


def _cost(report: DataReport, study: Config, site: SiteConfig, timed: bool) -> Cost:
    """What the arm costs that wants the most: those that match domains want more."""
    config = study
    augment = config.augment
    matching = any(
        augment.domain_matching if arm.domain_matching is None else arm.domain_matching
        for arm in config.arms
        if arm.augment
    )
    present = augment.domain_matching_present if matching else 0
    budget = Budget(augment.per_class, augment.cell_target, present)
    said = said_counts(report.train, site.policy)
    held = np.array([[1 if count is None else count for count in row] for row in said])
    wanted = plan_cells(held, budget, known_groups(report.groups))
    sizes = pool_sizes(wanted, augment)
    at_most = most_made(sizes, augment)
    seconds = _seconds_an_image(study, site) if timed and sizes else None
    return Cost(
        wanted=wanted,
        images=sum(sizes),
        at_most=at_most,
        seconds=None if seconds is None else seconds * sum(sizes),
        seconds_at_most=None if seconds is None else seconds * at_most,
        megabytes=at_most * CHANNELS * label_space(study).image_size ** 2 / 1e6,
    )


def _seconds_an_image(study: Config, site: SiteConfig) -> float:
    """Wall-clock seconds of an image in a batch; an image before it loads and warms up."""
    own, labels = at_site(study, site), label_space(study)
    unknown = own.semantic.allow_unknown
    generator = load_generator(diffusion_settings(own.generator, labels.image_size, unknown))
    cell = Cell(labels.classes[0], labels.groups[0])
    requests = [Request(cell, cell.class_name, seed) for seed in range(generator.batch_size)]
    generator.generate(requests[:1])
    start = time.perf_counter()
    generator.generate(requests)
    return (time.perf_counter() - start) / len(requests)
