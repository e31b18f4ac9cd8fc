"""Images that show nothing, and images that are there twice."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairfed.data.saying import say, some
from fairfed.data.splits import Bools
from fairfed.data.stored import Images

if TYPE_CHECKING:
    from fairfed.config import DataConfig

Rows = npt.NDArray[np.int64]


def seen_alike(images: Images) -> tuple[Bools, list[list[int]]]:
    """Which images are one colour all over, ``[n]``; and positions of those with equal pixels.

    The latter two and more together, in their order.
    """
    flat, found = np.zeros(len(images), bool), defaultdict[bytes, list[int]](list)
    for row, image in enumerate(images):
        flat[row] = (image[0] == image[0, 0]).all() and (image == image[0, 0]).all()
        found[hashlib.blake2b(image.tobytes(), digest_size=16).digest()].append(row)
    return flat, [rows for rows in found.values() if len(rows) > 1]


def check_content(
    images: Images,
    labels: Rows,
    test: Bools,
    name: Callable[[int], str],
    where: str,
    data: DataConfig,
) -> Rows:
    """Say which images show nothing and which are copies; the positions of those to keep.

    That is all; with `data.duplicates = "drop"` one image of each set of copies, a test image if
    there is one; of a set whose labels differ none, because nobody knows which one is right.
    `labels` and `test` are ``[n]``, `name` says what the image at a position is called.
    """
    flat, alike = seen_alike(images)
    if flat.any():
        some_flat = some([name(row) for row in np.flatnonzero(flat).tolist()])
        say(f"{where}: {flat.sum():,} of {len(images):,} images are one flat colour: {some_flat}")
    dropped: list[int] = []
    both = unlike = 0
    sets = [rows for rows in alike if not flat[rows[0]]]
    for rows in sets:
        differ = len(set(labels[rows].tolist())) > 1
        unlike += differ
        both += 0 < test[rows].sum() < len(rows)
        first = rows[int(test[rows].argmax())]
        dropped += rows if differ else [row for row in rows if row != first]
    if sets:
        named = some([" = ".join(name(row) for row in rows) for rows in sets])
        drop = data.duplicates == "drop"
        say(
            f"{where}: {sum(map(len, sets)):,} of {len(images):,} images have the same pixels as "
            f"another ({named}); {both:,} of these {len(sets):,} sets both train and test, "
            f"{unlike:,} have several labels; "
            + (f"{len(dropped):,} are left out" if drop else "data.duplicates = 'drop' leaves "
               "copies out")
        )  # fmt: skip
        if drop:
            return np.setdiff1d(np.arange(len(images)), dropped)
    return np.arange(len(images))
