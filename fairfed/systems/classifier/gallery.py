"""The gallery of a simulation: real against synthetic images of the cells that clients lack.

It shows real images only from the test split, and is made only by somebody who has all of them.
Nothing of it ever travels in a message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.simulated import SimulatedSites
from generators.store import encode_png
from generators.synthesis import Pool, owner
from semantic.space import known_groups

IMAGES_PER_CELL = 4
MOST_CELLS = 40
SPLIT = "test"
"""Whose real images are shown, in `gallery.json` for the privacy statement."""


def write_gallery(run: RunDirectory, sites: SimulatedSites) -> None:
    """Write `synthetic/gallery.json` and its images, where anything was synthesised."""
    if run.read_json("synthetic/clients.json") is None:
        return
    data, place = sites.images, sites.place(sites.study)
    table = data.table
    lacking = (data.train_cells() == 0).sum(0) * known_groups(table.group_names)
    rng = np.random.default_rng(run.config.seed)
    cells = []
    names = [place.spoken.get(name, name) for name in table.group_names]
    shown_as: set[tuple[int, str]] = set()
    for c, g in np.argwhere(lacking > 0)[:MOST_CELLS].tolist():
        if (c, names[g]) in shown_as:  # of both, the same is said and shown
            continue
        shown_as.add((c, names[g]))
        alike = [i for i, name in enumerate(names) if name == names[g]]
        pool = _pool(sites, c, g)
        of_cell = (table.labels == c) & np.isin(table.groups, alike)
        rows = np.flatnonzero(table.test & of_cell)
        shown = rng.permutation(rows)[:IMAGES_PER_CELL]
        real = [_write(run, f"real-{c}-{g}-{i}", table.images[row]) for i, row in enumerate(shown)]
        synthetic: list[dict[str, Any]] = []
        for i, (image, entry) in enumerate(zip(pool.images, pool.entries, strict=True)):
            if i == IMAGES_PER_CELL:
                break
            file = _write(run, f"synthetic-{c}-{g}-{i}", image)
            synthetic.append({"file": file, "score": entry.score, "margin": entry.margin})
        cell = {"class": table.classes[c], "group": names[g]}
        cells.append({**cell, "lacking": int(lacking[c, g]), "real": real, "synthetic": synthetic})
    run.write_json("synthetic/gallery.json", {"split": SPLIT, "cells": cells})


def _pool(sites: SimulatedSites, c: int, g: int) -> Pool:
    """Accepted images of a cell: the shared ones, or those of the first client that lacks it."""
    augment, place = sites.study.augment, sites.place(sites.study)
    if augment.share:
        return place.synthesiser.pool(c, g, augment.pool)
    cells = sites.data().train_cells()
    client = int(np.flatnonzero(cells[:, c, g] == 0)[0])
    wanted = place.plan(cells[client], augment.domain_matching)
    return place.synthesiser.pool(c, g, int(wanted[c, g]), owner(client))


def _write(run: RunDirectory, name: str, image: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """Write one image; returns its path relative to the run directory."""
    file = f"synthetic/gallery/{name}.png"
    path = run.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(image, {"synthetic": str(name.startswith("synthetic")).lower()}))
    return file
