"""The gallery of a simulation: real against synthetic images of the cells that clients lack.

It shows real images only from the test split, and is made only by somebody who has all of them.
Nothing of it ever travels in a message.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairfed.config.training import arms_to_fill, shares_images
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.study import Study
from fairfed.systems.classifier.prototypes import as_told
from generators.store import encode_png
from generators.synthesis import SHARED, Pool, owner
from semantic.space import known_groups

IMAGES_PER_CELL = 4
MOST_CELLS = 40
SPLIT = "test"
"""Whose real images are shown, in `gallery.json` for the privacy statement."""


def write_gallery(run: RunDirectory, study: Study) -> None:
    """Write `synthetic/gallery.json` and its images, where anything was synthesised."""
    if run.read_json("synthetic/clients.json") is None:
        return
    study = as_told(study, run)
    sites, place = study.simulated("the gallery"), study.place
    data = sites.images
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
        pool = _pool(study, sites, c, g)
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


def _pool(study: Study, sites: SimulatedSites, c: int, g: int) -> Pool:
    """Accepted images of a cell, of the first client that lacks it."""
    client = int(np.flatnonzero(sites.data().train_cells()[:, c, g] == 0)[0])
    site, arm = sites.cut(client, study.told), arms_to_fill(study.told)[0]
    whose = SHARED if shares_images(study.told) else owner(client)
    return site.synthesiser(arm).pool(c, g, int(site.pools(arm)[c, g]), whose)


def _write(run: RunDirectory, name: str, image: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """Write one image; returns its path relative to the run directory."""
    file = f"synthetic/gallery/{name}.png"
    path = run.path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(image, {"synthetic": str(name.startswith("synthetic")).lower()}))
    return file
