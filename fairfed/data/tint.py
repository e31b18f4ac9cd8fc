"""Drawing the sensitive feature `tint` for images that have none.

The shares of the four tints differ by client and class, as sensitive groups do in reality: a client
may hold only blue bags. Or the tint goes with the class, at all clients alike: a shortcut that a
model learns and no exchange between clients corrects. Test images have even shares, so that every
cell can be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fairfed.data.table import ImageTable
from semantic.tint import TINTS, tint_images

_TRAIN_STREAM = 21
_TEST_STREAM = 22


def draw_tints(
    table: ImageTable,
    clients: Sequence[npt.NDArray[np.int64]],
    alpha: float | None,
    seed: int,
    correlation: float | None = None,
) -> npt.NDArray[np.int64]:
    """Draw a tint for every row: ``[n]`` positions in `semantic.tint.TINTS`.

    For each class, a client draws the shares of the tints among its training images from a
    Dirichlet distribution of concentration `alpha`; None, and rows of no client, for even shares.
    With `correlation` in its place a training image has the tint of its class with that
    probability, in [0, 1] (see `class_shares`).

    The test images' tints depend on the seed alone, and not on who holds them: arms with different
    splits are measured on the same pixels.
    """
    tints = np.empty(len(table), np.int64)
    for label in range(len(table.classes)):
        for is_test in (False, True):
            rows = np.flatnonzero((table.labels == label) & (table.test == is_test))
            tints[rows] = _even(rows.size, np.random.default_rng([seed, _TEST_STREAM, label]))
    for client, client_rows in enumerate(clients):
        train = client_rows[~table.test[client_rows]]
        for label in np.unique(table.labels[train]).tolist():
            rows = train[table.labels[train] == label]
            rng = np.random.default_rng([seed, _TRAIN_STREAM, client, label])
            if correlation is not None:
                shares = class_shares(label, correlation)
            elif alpha is not None:
                shares = rng.dirichlet([alpha] * len(TINTS))
            else:
                tints[rows] = _even(rows.size, rng)
                continue
            tints[rows] = rng.choice(len(TINTS), rows.size, p=shares)
    return tints


def class_shares(label: int, correlation: float) -> npt.NDArray[np.float64]:
    """Shares of the tints among the training images of a class, ``[4]``.

    The tint at the class's position, counted round after the fourth, has `correlation`; the others
    have equal parts of the rest.
    """
    shares = np.full(len(TINTS), (1.0 - correlation) / (len(TINTS) - 1))
    shares[label % len(TINTS)] = correlation
    return shares


def shade(table: ImageTable, tints: npt.NDArray[np.int64]) -> ImageTable:
    """The table with images shaded in their tints, which become its groups."""
    return replace(
        table,
        images=tint_images(np.asarray(table.images), tints),
        groups=tints,
        group_names=tuple(TINTS),
    )


def _even(size: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """`size` tints in shuffled order, their counts no more than one apart."""
    order = rng.permutation(len(TINTS))
    return rng.permutation(np.resize(order, size))
