"""The four steps of an augmentation: plan → generate → curate → export.

Each reads what the ones before have written and writes its own file whole, so that any of them can
be repeated, alone or after an interruption. Images are never made twice: they are in the store.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import numpy as np

from fairfed.augmentation.audit import Budgets, audit, budgets
from fairfed.augmentation.composing import composable_parts
from fairfed.augmentation.export import export
from fairfed.augmentation.job import OWNER, Job
from fairfed.augmentation.plan import (
    Rate,
    estimate,
    most_per_cell,
    plan_document,
    planned_cells,
    wanted_cells,
)
from fairfed.augmentation.quality import assess_export
from fairfed.augmentation.rate import SAMPLED_FILES, read_rate, write_rate
from fairfed.augmentation.workspace import (
    CURATION,
    DATASET,
    GENERATION,
    MANIFEST,
    PLAN,
    QUALITY,
)
from fairfed.data.originals import original_rows
from generators.plan import Cells
from generators.requests import Request
from generators.store import ImageStore
from generators.synthesis import Pool, Synthesiser
from semantic.errors import InputError

STEPS = ("plan", "generate", "curate", "export")


def chosen_steps(until: str | None, only: str | None) -> tuple[str, ...]:
    """Steps to run.

    Raises
    ------
    semantic.errors.InputError
        If a name is no step, or both are given.
    """
    if until is not None and only is not None:
        raise InputError("--until and --only exclude each other; give one")
    for option, name in (("--until", until), ("--only", only)):
        if name is not None and name not in STEPS:
            raise InputError(f"{option} {name!r} is no step; choose one of {', '.join(STEPS)}")
    if only is not None:
        return (only,)
    return STEPS[: STEPS.index(until) + 1] if until is not None else STEPS


def run_steps(job: Job, steps: tuple[str, ...]) -> None:
    """Run steps in their order.

    Raises
    ------
    semantic.errors.InputError
        If the user's data, configuration or models are not as they should be; if a step is run
        alone whose predecessor is missing.
    """
    actions: dict[str, Callable[[Job], None]] = {
        "plan": plan, "generate": generate, "curate": curate, "export": export_folder,
    }  # fmt: skip
    for step in steps:
        actions[step](job)


def plan(job: Job) -> None:
    """Decide what is made, try every cell once, and write `plan.json`.

    Raises
    ------
    semantic.errors.InputError
        If an earlier plan was made for other data: what followed from it is not overwritten.
    """
    if job.workspace.has(PLAN):
        _planned(job)
    source, config = job.source, job.config
    wanted = wanted_cells(config, source)
    job.check(wanted)
    maker = job.synthesiser()
    prompts = {(c, g): maker.request(c, g, 0, OWNER).prompt for c, g in _cells(wanted)}
    found = audit(job) if config.synthesis.correct_bias and wanted.any() else None
    tries = budgets(config.curation.max_tries, found, wanted.shape)
    in_store = _in_store(job, maker, wanted)
    rate = read_rate(job.store, job.engine, job.workers)
    tried = 0
    if rate is None and wanted.any():
        rate, tried = _time_a_batch(job, maker, wanted)
    batch = job.generator.batch_size
    cost = estimate(wanted, in_store, rate, tries, _real_bytes(job), batch)
    cost |= {"made_to_time": tried}
    facts = {
        "generator": {"kind": config.synthesis.generator, "fingerprint": job.store.generator},
        "max_tries": tries.tolist(),
        "sight": job.sight.to_json(),
        "composable": composable_parts(job, wanted),
        "cost": cost,
    }
    document = plan_document(config, source, wanted, prompts, facts)
    job.workspace.begin()
    job.workspace.write(PLAN, document)
    job.watcher.planned(document)


def generate(job: Job) -> None:
    """Make every planned image that the store lacks, and write `generation.json`."""
    wanted = _planned(job)
    maker = job.synthesiser()
    _announce(job, maker, wanted)
    job.watcher.began("generate", int(wanted.sum()))
    start, made, reused = time.monotonic(), 0, 0
    for c, g in _cells(wanted):
        new, old = maker.prepare(c, g, int(wanted[c, g]), OWNER)
        made, reused = made + new, reused + old
    seconds = time.monotonic() - start
    _remember(job)
    result = {"images": int(wanted.sum()), "made": made, "reused": reused,
              "seconds": round(seconds, 1)}  # fmt: skip
    job.workspace.write(GENERATION, result)
    job.watcher.ended("generate", result)


def curate(job: Job) -> None:
    """Judge the images, replace rejected ones, and write `curation.json` and `manifest.jsonl`."""
    wanted = _planned(job)
    job.workspace.read(GENERATION, "generate")
    tries = np.array(job.workspace.read(PLAN, "plan")["max_tries"])
    makers = {own: job.synthesiser(job.references, own) for own in np.unique(tries).tolist()}
    job.watcher.began("curate", int(wanted.sum()))
    job.generator.announce(_replacements(job, job.synthesiser(), wanted, tries))
    pools = {
        (c, g): makers[float(tries[c, g])].pool(c, g, int(wanted[c, g]), OWNER)
        for c, g in _cells(wanted)
    }
    result = _curation(job, pools)
    job.workspace.write(CURATION, result)
    job.workspace.write_rows(MANIFEST, [row for p in pools.values() for row in _rows(p)])
    job.watcher.ended("curate", result)


def export_folder(job: Job) -> None:
    """Write the image folder, and `quality.json` over what is in it."""
    _planned(job)  # refuses data that has changed
    rows = _accepted(job)
    fingerprint = job.workspace.read(PLAN, "plan")["generator"]["fingerprint"]
    store = ImageStore(job.store_root, fingerprint)
    target = job.workspace.path / DATASET
    copied = len(job.source.table) if job.config.export.real == "copy" else 0
    job.watcher.began("export", copied + len(rows))
    counts = export(job.config, job.source, rows, store, target)
    result = {"folder": str(target), "rows": counts}
    job.watcher.ended("export", result)
    report = assess_export(job, rows, store)
    job.workspace.write(QUALITY, report.to_json())
    job.watcher.assessed(report)


def _accepted(job: Job) -> list[dict[str, Any]]:
    """Rows of the manifest; the summary's files are looked at before anything is written, too."""
    rows = job.workspace.read_rows(MANIFEST, "curate")
    accepted = job.workspace.read(CURATION, "curate")["accepted"]
    job.workspace.read(GENERATION, "generate")
    if len(rows) != accepted:
        why = f"expected {accepted} rows, as {CURATION} says, and there are {len(rows)}"
        raise job.workspace.damaged(MANIFEST, "curate", why)
    return rows


def _planned(job: Job) -> Cells:
    return planned_cells(job.workspace.read(PLAN, "plan"), job.source)


def _cells(wanted: Cells) -> Iterator[tuple[int, int]]:
    """Cells to fill, in their order."""
    yield from ((int(c), int(g)) for c, g in np.argwhere(wanted > 0))


def _in_store(job: Job, maker: Synthesiser, wanted: Cells) -> int:
    """How many planned images need not be made."""
    return int(wanted.sum()) - sum(1 for _ in _lacking(job, maker, wanted))


def _lacking(job: Job, maker: Synthesiser, wanted: Cells) -> Iterator[Request]:
    """Requests of the plan that the store has no file for."""
    for c, g in _cells(wanted):
        for index in range(int(wanted[c, g])):
            request = maker.request(c, g, index, OWNER)
            if job.lacks(request):
                yield request


def _replacements(job: Job, maker: Synthesiser, wanted: Cells, tries: Budgets) -> Iterator[Request]:
    """Requests that replace rejected images, the first ones of all cells before the second ones."""
    spare = most_per_cell(wanted, tries) - wanted
    for k in range(int(spare.max(initial=0))):
        for c, g in np.argwhere(spare > k).tolist():
            request = maker.request(c, g, int(wanted[c, g]) + k, OWNER)
            if job.lacks(request):
                yield request


def _announce(job: Job, maker: Synthesiser, wanted: Cells) -> None:
    job.generator.announce(_lacking(job, maker, wanted))


def _time_a_batch(job: Job, maker: Synthesiser, wanted: Cells) -> tuple[Rate | None, int]:
    """Make one batch over as many cells as it has room for; the store keeps its images.

    Returns
    -------
    The rate, and the number of images made.
    """
    room = job.generator.inner.batch_size
    tried = np.zeros_like(wanted)
    for most in (1, room):  # every prompt once, then as many images as fit
        for c, g in _cells(wanted):
            more = min(int(wanted[c, g]), most, int(tried[c, g]) + room - int(tried.sum()))
            tried[c, g] = max(int(tried[c, g]), more)
    _announce(job, maker, tried)
    made = sum(maker.prepare(c, g, int(tried[c, g]), OWNER)[0] for c, g in _cells(tried))
    return _remember(job), made


def _remember(job: Job) -> Rate | None:
    return write_rate(job.store, job.engine, job.workers, job.generator.seconds_per_image)


def _real_bytes(job: Job) -> float:
    """Estimated size of the real images that the export copies."""
    if job.config.export.real == "none":
        return 0.0
    some = islice(original_rows(job.config, job.source.table), SAMPLED_FILES)
    return float(np.mean([len(row.content) for row in some])) * len(job.source.table)


def _curation(job: Job, pools: dict[tuple[int, int], Pool]) -> dict[str, Any]:
    """Content of `curation.json`."""
    rejected: Counter[str] = Counter()
    cells = []
    for (c, g), pool in pools.items():
        rejected += pool.rejected
        cell = job.space.cell(c, g)
        cells.append({"class": cell.class_name, "group": cell.group, **pool.summary()})
    return {
        "requested": sum(pool.requested for pool in pools.values()),
        "accepted": sum(len(pool.images) for pool in pools.values()),
        "short": sum(pool.short for pool in pools.values()),
        "replacements": sum(pool.generated for pool in pools.values()),
        "rejected": dict(sorted(rejected.items())),
        "warnings": list(job.sight.warnings),
        "groups_read": job.references.sees_groups.to_json(),
        "cells": cells,
    }


def _rows(pool: Pool) -> list[dict[str, Any]]:
    """Manifest rows of a pool; a real image that one started from is named in none of them."""
    return [
        {name: value for name, value in asdict(entry).items() if name != "source"}
        for entry in pool.entries
    ]
