"""The plan: which cells are missing or short, what will be made for them, and what that costs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.files import write_json
from fairfed.augmentation.source import Source
from fairfed.config import PipelineConfig
from generators.curation import max_candidates
from generators.plan import Budget, Cells, plan_cells
from generators.store import ImageStore
from semantic.errors import InputError

Floats = npt.NDArray[np.float64]
SAMPLED_FILES = 64
"""Files whose sizes give an estimate of all."""


def wanted_cells(config: PipelineConfig, source: Source) -> Cells:
    """Synthetic images per cell, ``[n_classes, n_groups]``; see `generators.plan.plan_cells`."""
    synthesis, real = config.synthesis, source.cells
    present = synthesis.per_class if synthesis.cells == "all" else 0
    budget = Budget(synthesis.per_class, synthesis.cell_target, present)
    wanted = plan_cells(real, budget, source.nameable)
    if source.joined:
        unsaid, together = _unsaid(source)
        carried = np.isin(ways(config, source), WAYS)
        alone = plan_cells(together, budget, source.nameable & ~unsaid)
        wanted = np.where(unsaid, np.where(carried, wanted, 0), np.where(together == 0, alone, 0))
    return np.where(real == 0, wanted, 0) if synthesis.cells == "missing" else wanted


def statuses(config: PipelineConfig, source: Source) -> npt.NDArray[np.str_]:
    """What each cell lacks, in words, ``[n_classes, n_groups]``."""
    real = source.cells
    found = np.full(real.shape, "full", dtype="<U13")
    found[real < config.synthesis.cell_target] = "short"
    found[real == 0] = "missing cell"
    found[real.sum(1) == 0] = "missing class"
    if source.joined:
        unsaid, together = _unsaid(source)
        found[~unsaid & (together > 0)] = "full"
    found[:, ~source.nameable] = "unnamed"
    return found


OWN, PROTOTYPE, NO_WAY = "own images", "prototype", "no way"
WAYS = OWN, PROTOTYPE
"""What carries a group that prompts cannot name."""


def carries(config: PipelineConfig) -> bool:
    """Whether images may come by a way that carries groups which prompts cannot name."""
    return config.conditioning.start_from_real or _by_own_prototypes(config)


def ways(config: PipelineConfig, source: Source) -> npt.NDArray[np.str_]:
    """What carries the group of each cell that prompts cannot name, ``[n_classes, n_groups]``.

    Empty for the others, `NO_WAY` where nothing does.
    """
    found = np.full(source.cells.shape, "", dtype="<U10")
    if not source.joined:
        return found
    unsaid, _ = _unsaid(source)
    found[:, unsaid] = NO_WAY
    if _by_own_prototypes(config):
        found[unsaid & (source.cells >= config.conditioning.minimum)] = PROTOTYPE
    if config.conditioning.start_from_real:
        found[unsaid & (source.cells > 0)] = OWN
    return found


def _by_own_prototypes(config: PipelineConfig) -> bool:
    """Whether cells have prototypes of their own; those that are released are of classes."""
    how = config.conditioning
    return how.mode == "prototype" and how.prototypes is None and how.epsilon is None


def _unsaid(source: Source) -> tuple[npt.NDArray[np.bool_], Cells]:
    """Which groups prompts cannot name; and real images by cell, of the others with all they join.

    ``[n_groups]``, and ``[n_classes, n_groups]`` with 0 for the former.
    """
    which = np.array(source.joined)
    unsaid = which != np.arange(len(which))
    return unsaid, source.cells @ np.eye(len(which), dtype=np.int64)[which]


@dataclass(frozen=True)
class Rate:
    """What one image costs on this machine; remembered beside the images in the store."""

    seconds: float  # wall-clock seconds to make it
    size: float  # bytes of its PNG


def most_per_cell(wanted: Cells, max_tries: Floats) -> Cells:
    """Images judged at most per cell, from those wanted and the budget of each cell."""
    most = np.zeros_like(wanted)
    for cell in np.ndindex(wanted.shape):
        most[cell] = max_candidates(int(wanted[cell]), float(max_tries[cell]))
    return most


def estimate(
    wanted: Cells,
    in_store: int,
    rate: Rate | None,
    max_tries: Floats,
    real_bytes: float,
    batch: int = 1,
) -> dict[str, Any]:
    """What the plan costs, of which the store holds `in_store` images already.

    Where nothing has been timed, seconds and disk are unknown. `max_tries` is the budget of each
    cell, as a multiple of the images wanted; it gives the upper ends. `real_bytes` are those of the
    real images that are copied. Of images made in a `batch`, the last one of a step costs as much
    as a full one.
    """
    images = int(wanted.sum())
    cost: dict[str, Any] = {
        "images": images,
        "in_store": in_store,
        "to_make": images - in_store,
        "to_make_at_most": int(most_per_cell(wanted, max_tries).sum()) - in_store,
        "seconds": None,
        "seconds_at_most": None,
        "disk_mb": None,
    }
    if rate is not None:
        # Every new image is written to the store; every one that is accepted to the export, too.
        disk = rate.size * (cost["to_make_at_most"] + images) + real_bytes
        cost |= {
            "seconds": round(rate.seconds * _filled(cost["to_make"], batch), 3),
            # One batch more: generating and replacing each end with one that is not full.
            "seconds_at_most": round(
                rate.seconds * _filled(cost["to_make_at_most"] + batch - 1, batch), 3
            ),
            "disk_mb": round(disk / 1e6, 2),
        }
    return cost


def _filled(images: int, batch: int) -> int:
    """Images that are paid for where whole batches are."""
    return math.ceil(images / batch) * batch


def plan_document(
    config: PipelineConfig,
    source: Source,
    wanted: Cells,
    prompts: dict[tuple[int, int], str],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Content of `plan.json`.

    The prompts are examples of what conditions the images of each cell that is filled, the facts
    further sections: generator, cost, composability, ….
    """
    table, found, carried = source.table, statuses(config, source), ways(config, source)
    cells = [
        {
            "class": table.classes[c],
            "group": table.group_names[g],
            "real": int(source.cells[c, g]),
            "status": str(found[c, g]),
            "wanted": int(wanted[c, g]),
            "prompt": prompts.get((c, g)),
            "way": str(carried[c, g]),
        }
        for c, g in np.ndindex(*wanted.shape)
    ]
    return {
        "schema": 1,
        "data": {
            "source": config.data.source,
            "digest": source.digest,
            "train": len(source.train),
            "test": len(source.test),
        },
        "classes": list(table.classes),
        "groups": list(table.group_names),
        "sensitive": list(config.data.sensitive),
        "cells": cells,
        "wanted": wanted.tolist(),
        **facts,
    }


def planned_cells(plan: dict[str, Any], source: Source) -> Cells:
    """Images per cell of a stored plan; one that was made for other data is refused."""
    if plan["data"]["digest"] != source.digest:
        raise InputError(
            f"{plan['data']['source']}: the images, labels or sensitive values have changed since "
            "the plan was made; start over with --fresh"
        )
    return np.array(plan["wanted"], np.int64).reshape(len(plan["classes"]), len(plan["groups"]))


def _path(store: ImageStore) -> Path:
    return store.folder / "rate.json"


def _key(engine: str, workers: int) -> str:
    return f"{engine} {workers}" if engine == "ray" else engine


def read_rate(store: ImageStore, engine: str, workers: int) -> Rate | None:
    """The remembered rate of a way to make images, or None."""
    found = _read(_path(store)).get(_key(engine, workers))
    return Rate(found["seconds"], found["size"]) if found else None


def write_rate(store: ImageStore, engine: str, workers: int, seconds: float | None) -> Rate | None:
    """Remember the seconds of an image; None (nothing was made) remembers nothing."""
    if seconds is None:
        return None
    some = islice(store.folder.glob("images/*/*.png"), SAMPLED_FILES)
    sizes = [path.stat().st_size for path in some]
    rate = Rate(seconds, sum(sizes) / max(1, len(sizes)))
    known = _read(_path(store)) | {_key(engine, workers): asdict(rate)}
    write_json(_path(store), known)
    return rate


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Rates by way; nothing where the file is absent or damaged: they are only remembered."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
