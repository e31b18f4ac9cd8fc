"""Images that a later plan adds to those that a client has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generators.plan import Cells
from generators.requests import Image
from generators.synthesis import SHARED, Synthesiser


@dataclass(frozen=True, eq=False)
class FurtherImages:
    """What a plan added.

    Attributes
    ----------
    images
        ``[n, H, W, 3]``, 0 to 255; shape ``[0, 0, 0, 3]`` if there are none.
    labels, groups
        ``[n]`` class and group indices.
    generated, reused
        Images made now, and looked at without being made now; rejected ones included.
    """

    images: Image
    labels: np.ndarray[tuple[int], np.dtype[np.int64]]
    groups: np.ndarray[tuple[int], np.dtype[np.int64]]
    generated: int
    reused: int


def further_images(
    maker: Synthesiser, beyond: Cells, wanted: Cells, owner: str = SHARED
) -> FurtherImages:
    """Accepted images that follow those of the cells' pools so far.

    A pool grows by what is wanted, so that the images are new: no draw from the pool before it
    can have had them. Images of a cell are judged in their order, whatever the pool's size, so the
    smaller pool is the beginning of the larger one.

    Parameters
    ----------
    beyond
        Sizes of the pools so far, ``[n_classes, n_groups]``.
    wanted
        Further images per cell, same shape.
    owner
        Whose pools they are.
    """
    images: list[Image] = []
    where: list[tuple[int, int]] = []
    generated = reused = 0
    for c, g in np.argwhere(wanted > 0).tolist():
        size, more = int(beyond[c, g]), int(wanted[c, g])
        had = maker.pool(c, g, size, owner)
        pool = maker.pool(c, g, size + more, owner)
        added = pool.images[len(had.images) :][:more]
        images += added
        where += [(c, g)] * len(added)
        # What the larger pool looked at beyond the smaller one; a batch may have made still more.
        judged = len(pool.verdicts) - len(had.verdicts)
        generated += pool.generated
        reused += max(0, judged - pool.generated)
    cells = np.array(where, np.int64).reshape(-1, 2)
    return FurtherImages(
        images=np.stack(images) if images else np.zeros((0, 0, 0, 3), np.uint8),
        labels=cells[:, 0],
        groups=cells[:, 1],
        generated=generated,
        reused=reused,
    )
