"""Images that a later plan adds to those that a client has."""

from __future__ import annotations

import numpy as np

from generators.plan import Cells
from generators.requests import Image
from generators.synthesis import SHARED, Synthesiser, SyntheticSet, collected


def incremental_images(
    maker: Synthesiser, beyond: Cells, wanted: Cells, owner: str = SHARED
) -> SyntheticSet:
    """Accepted images that follow those of the cells' pools so far, in the order of the cells.

    A pool of `beyond` images grows by those `wanted`, so that the images are new: no draw from the
    pool before it can have had them. Images of a cell are judged in their order, whatever the
    pool's size, so the smaller pool is the beginning of the larger one. `reused` are those looked
    at without being made now, rejected ones included, and `rejected` says nothing.
    """
    found: dict[tuple[int, int], list[Image]] = {}
    generated = reused = 0
    for c, g in np.argwhere(wanted > 0).tolist():
        size, more = int(beyond[c, g]), int(wanted[c, g])
        had = maker.pool(c, g, size, owner)
        pool = maker.pool(c, g, size + more, owner)
        found[c, g] = pool.images[len(had.images) :][:more]
        # What the larger pool looked at beyond the smaller one; a batch may have made still more.
        judged = len(pool.verdicts) - len(had.verdicts)
        generated += pool.generated
        reused += max(0, judged - pool.generated)
    return collected(wanted, found, {}, generated, reused)
