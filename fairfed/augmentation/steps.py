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
from fairfed.augmentation.output_dir import (
    CURATION,
    DATASET,
    GENERATION,
    MANIFEST,
    PLAN,
    QUALITY,
)
from fairfed.augmentation.pipeline import OWNER, Pipeline
from fairfed.augmentation.plan import (
    SAMPLED_FILES,
    Rate,
    estimate,
    most_per_cell,
    plan_document,
    planned_cells,
    read_rate,
    wanted_cells,
    write_rate,
)
from fairfed.augmentation.quality import assess_export
from fairfed.data.originals import original_rows
from fairfed.sites.trial import Known, Trials, some_of_each, try_generator
from generators.plan import Cells
from generators.requests import Request
from generators.store import ImageStore
from generators.synthesis import Pool, Synthesiser
from semantic.errors import InputError

STEPS = ("plan", "generate", "curate", "export")


def chosen_steps(until: str | None, only: str | None) -> tuple[str, ...]:
    """Steps to run, by the options `--until` and `--only`."""
    if until is not None and only is not None:
        raise InputError("--until and --only exclude each other; give one")
    for option, name in (("--until", until), ("--only", only)):
        if name is not None and name not in STEPS:
            raise InputError(f"{option} {name!r} is no step; choose one of {', '.join(STEPS)}")
    if only is not None:
        return (only,)
    return STEPS[: STEPS.index(until) + 1] if until is not None else STEPS


def run_steps(pipeline: Pipeline, steps: tuple[str, ...]) -> None:
    """Run steps in their order; one that is run alone needs what its predecessor has written."""
    actions: dict[str, Callable[[Pipeline], None]] = {
        "plan": plan, "generate": generate, "curate": curate, "export": export_folder,
    }  # fmt: skip
    for step in steps:
        actions[step](pipeline)


def plan(pipeline: Pipeline) -> None:
    """Decide what is made, try every cell once, and write `plan.json`.

    An earlier plan that was made for other data is not overwritten: something may follow from it.
    """
    if pipeline.output.has(PLAN):
        _planned(pipeline)
    source, config = pipeline.source, pipeline.config
    wanted = wanted_cells(config, source)
    pipeline.check(wanted)
    maker = pipeline.synthesiser()
    lacking = sum(1 for _ in _lacking(pipeline, maker, wanted))
    trials = _try_generator(pipeline, maker, wanted)
    prompts = {(c, g): maker.request(c, g, 0, OWNER).prompt for c, g in _cells(wanted)}
    found = audit(pipeline) if config.synthesis.correct_bias and wanted.any() else None
    tries = budgets(config.curation.max_tries, found, wanted.shape)
    rate = read_rate(pipeline.store, pipeline.engine, pipeline.workers) or _remember(pipeline)
    if rate is None and wanted.any():
        rate = _time_a_batch(pipeline, maker, wanted)
    batch, in_store = pipeline.generator.batch_size, int(wanted.sum()) - lacking
    cost = estimate(wanted, in_store, rate, tries, _real_bytes(pipeline), batch)
    cost |= {"made_to_time": lacking - sum(1 for _ in _lacking(pipeline, maker, wanted))}
    facts = {
        "generator": {"kind": config.synthesis.generator, "fingerprint": pipeline.store.generator},
        "max_tries": tries.tolist(),
        "sight": pipeline.sight.to_json(),
        "trial": trials.to_json(),
        "composable": composable_parts(pipeline, wanted),
        "cost": cost,
    }
    document = plan_document(config, source, wanted, prompts, facts)
    pipeline.output.begin()
    pipeline.output.write(PLAN, document)
    pipeline.watcher.planned(document)


def generate(pipeline: Pipeline) -> None:
    """Make every planned image that the store lacks, and write `generation.json`."""
    wanted = _planned(pipeline)
    maker = pipeline.synthesiser()
    pipeline.generator.announce(_lacking(pipeline, maker, wanted))
    pipeline.watcher.began("generate", int(wanted.sum()))
    start, made, reused = time.monotonic(), 0, 0
    for c, g in _cells(wanted):
        new, old = maker.prepare(c, g, int(wanted[c, g]), OWNER)
        made, reused = made + new, reused + old
    seconds = time.monotonic() - start
    _remember(pipeline)
    result = {"images": int(wanted.sum()), "made": made, "reused": reused,
              "seconds": round(seconds, 1)}  # fmt: skip
    pipeline.output.write(GENERATION, result)
    pipeline.watcher.ended("generate", result)


def curate(pipeline: Pipeline) -> None:
    """Judge the images, replace rejected ones, and write `curation.json` and `manifest.jsonl`."""
    wanted = _planned(pipeline)
    pipeline.output.read(GENERATION, "generate")
    tries = np.array(pipeline.output.read(PLAN, "plan")["max_tries"])
    makers = {
        own: pipeline.synthesiser(pipeline.references, own) for own in np.unique(tries).tolist()
    }
    pipeline.watcher.began("curate", int(wanted.sum()))
    pipeline.generator.announce(_replacements(pipeline, pipeline.synthesiser(), wanted, tries))
    pools = {
        (c, g): makers[float(tries[c, g])].pool(c, g, int(wanted[c, g]), OWNER)
        for c, g in _cells(wanted)
    }
    result = _curation(pipeline, pools)
    pipeline.output.write(CURATION, result)
    pipeline.output.write_rows(MANIFEST, [row for p in pools.values() for row in _rows(p)])
    pipeline.watcher.ended("curate", result)


def export_folder(pipeline: Pipeline) -> None:
    """Write the image folder, and `quality.json` over what is in it."""
    _planned(pipeline)  # refuses data that has changed
    rows = _accepted(pipeline)
    planned = pipeline.output.read(PLAN, "plan")
    store = ImageStore(pipeline.store_root, planned["generator"]["fingerprint"])
    target = pipeline.output.path / DATASET
    copied = len(pipeline.source.table) if pipeline.config.export.real == "copy" else 0
    pipeline.watcher.began("export", copied + len(rows))
    counts = export(pipeline.config, pipeline.source, rows, store, target)
    result = {"folder": str(target), "rows": counts}
    pipeline.watcher.ended("export", result)
    report = assess_export(pipeline, rows, store)
    known = {name: planned[name] for name in ("sight", "trial")}
    pipeline.output.write(QUALITY, {**report.to_json(), **known})
    pipeline.watcher.assessed(report)


def _accepted(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Rows of the manifest; the summary's files are looked at before anything is written, too."""
    rows = pipeline.output.read_rows(MANIFEST, "curate")
    accepted = pipeline.output.read(CURATION, "curate")["accepted"]
    pipeline.output.read(GENERATION, "generate")
    if len(rows) != accepted:
        why = f"expected {accepted} rows, as {CURATION} says, and there are {len(rows)}"
        raise pipeline.output.damaged(MANIFEST, "curate", why)
    return rows


def _planned(pipeline: Pipeline) -> Cells:
    return planned_cells(pipeline.output.read(PLAN, "plan"), pipeline.source)


def _cells(wanted: Cells) -> Iterator[tuple[int, int]]:
    """Cells to fill, in their order."""
    yield from ((int(c), int(g)) for c, g in np.argwhere(wanted > 0))


def _lacking(pipeline: Pipeline, maker: Synthesiser, wanted: Cells) -> Iterator[Request]:
    """Requests of the plan that the store has no file for."""
    for c, g in _cells(wanted):
        for index in range(int(wanted[c, g])):
            request = maker.request(c, g, index, OWNER)
            if pipeline.lacks(request):
                yield request


def _replacements(
    pipeline: Pipeline, maker: Synthesiser, wanted: Cells, tries: Budgets
) -> Iterator[Request]:
    """Requests that replace rejected images, the first ones of all cells before the second ones."""
    spare = most_per_cell(wanted, tries) - wanted
    for k in range(int(spare.max(initial=0))):
        for c, g in np.argwhere(spare > k).tolist():
            request = maker.request(c, g, int(wanted[c, g]) + k, OWNER)
            if pipeline.lacks(request):
                yield request


def _try_generator(pipeline: Pipeline, maker: Synthesiser, wanted: Cells) -> Trials:
    """Look at the first images of every class that is wanted; refuse an unknown one."""
    config, source, n = pipeline.config, pipeline.source, pipeline.config.curation.trial
    if config.synthesis.generator != "diffusion" or not (n and wanted.any()):
        return Trials()
    rows = source.train[some_of_each(source.table.labels[source.train])]
    pixels = source.table.images[rows]
    real = Known(pixels, pipeline.scorer.embed(pixels), source.table.labels[rows])
    trials = try_generator(maker, wanted, n, real, config.data.sensitive, OWNER)
    if not config.semantic.allow_unknown:
        trials.refuse_unknown()
    return trials


def _time_a_batch(pipeline: Pipeline, maker: Synthesiser, wanted: Cells) -> Rate | None:
    """Make one batch over as many cells as it has room for; the store keeps its images."""
    room = pipeline.generator.inner.batch_size
    tried = np.zeros_like(wanted)
    for most in (1, room):  # every prompt once, then as many images as fit
        for c, g in _cells(wanted):
            more = min(int(wanted[c, g]), most, int(tried[c, g]) + room - int(tried.sum()))
            tried[c, g] = max(int(tried[c, g]), more)
    pipeline.generator.announce(_lacking(pipeline, maker, tried))
    for c, g in _cells(tried):
        maker.prepare(c, g, int(tried[c, g]), OWNER)
    return _remember(pipeline)


def _remember(pipeline: Pipeline) -> Rate | None:
    return write_rate(
        pipeline.store, pipeline.engine, pipeline.workers, pipeline.generator.seconds_per_image
    )


def _real_bytes(pipeline: Pipeline) -> float:
    """Estimated size of the real images that the export copies."""
    if pipeline.config.export.real == "none":
        return 0.0
    some = islice(original_rows(pipeline.config, pipeline.source.table), SAMPLED_FILES)
    return float(np.mean([len(row.content) for row in some])) * len(pipeline.source.table)


def _curation(pipeline: Pipeline, pools: dict[tuple[int, int], Pool]) -> dict[str, Any]:
    """Content of `curation.json`."""
    rejected: Counter[str] = Counter()
    cells = []
    for (c, g), pool in pools.items():
        rejected += pool.rejected
        cell = pipeline.space.cell(c, g)
        cells.append({"class": cell.class_name, "group": cell.group, **pool.summary()})
    return {
        "requested": sum(pool.requested for pool in pools.values()),
        "accepted": sum(len(pool.images) for pool in pools.values()),
        "short": sum(pool.deficit for pool in pools.values()),
        "replacements": sum(pool.generated for pool in pools.values()),
        "rejected": dict(sorted(rejected.items())),
        "warnings": list(pipeline.sight.warnings),
        "groups_read": pipeline.references.sees_groups.to_json(),
        "cells": cells,
    }


def _rows(pool: Pool) -> list[dict[str, Any]]:
    """Manifest rows of a pool; a real image that one started from is named in none of them."""
    return [
        {name: value for name, value in asdict(entry).items() if name != "source"}
        for entry in pool.entries
    ]
