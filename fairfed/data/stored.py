"""Images that are kept decoded in a file, because memory would not hold them.

They are read as they are asked for, by position, and never mapped: a training over them takes as
much memory as its batches, however many images there are.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fairfed.data.pixels import Pixels

Positions = npt.NDArray[np.int64]


class PixelFile:
    """A file of images ``[n, side, side, 3]``, uint8, one after the other."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        self._size = int(np.prod(shape[1:]))
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __reduce__(self) -> tuple[type[PixelFile], tuple[Path, tuple[int, ...]]]:
        """Travel to another process of this machine by name."""
        return type(self), (self.path, self.shape)

    def __getitem__(self, rows: Positions) -> Pixels:
        """Copies of the images at some positions, in their order."""
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for own, row in zip(found, rows.tolist(), strict=True):
            if os.preadv(self._file, [own], row * self._size) != self._size:
                raise OSError(f"{self.path} was cut while it was in use; start again")
        return found


class StoredImages:
    """Some images of files and of arrays, in an order of their own.

    Indexing copies them into an array, as an index of positions does with NumPy's; `chosen` and
    `joined` copy nothing.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, parts: Sequence[PixelFile | Pixels], of: Positions, at: Positions) -> None:
        # ``[n]`` each: in which part an image is, and at which position there.
        self._parts, self._of, self._at = tuple(parts), of, at

    @classmethod
    def whole(cls, part: PixelFile | Pixels) -> StoredImages:
        """All images of a file or an array."""
        n = part.shape[0]
        return cls((part,), np.zeros(n, np.int64), np.arange(n))

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, side, side, 3)``."""
        return len(self._at), *self._parts[0].shape[1:]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        own = (part.nbytes for part in self._parts if isinstance(part, np.ndarray))
        return sum(own) + self._of.nbytes + self._at.nbytes

    def __len__(self) -> int:
        """Number of images."""
        return len(self._at)

    def __getitem__(self, rows: Any) -> Pixels:
        """The images at some positions; of one position one image, ``[side, side, 3]``."""
        if isinstance(rows, int | np.integer):
            one: Pixels = self[[rows]][0]
            return one
        of, at = self._of[rows], self._at[rows]
        found = np.empty((len(at), *self.shape[1:]), np.uint8)
        for place in np.unique(of).tolist():
            found[of == place] = self._parts[place][at[of == place]]
        return found

    def __iter__(self) -> Iterator[Pixels]:
        """One image after the other."""
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All of them in memory."""
        return self[:].astype(dtype or np.uint8, copy=False)

    def chosen(self, rows: Any) -> StoredImages:
        """Some of them, still where they are."""
        return StoredImages(self._parts, self._of[rows], self._at[rows])

    def joined(self, others: Sequence[Images]) -> StoredImages:
        """These and others after them, still where they are."""
        every = [self, *(o if isinstance(o, StoredImages) else self.whole(o) for o in others)]
        starts = np.cumsum([0, *(len(one._parts) for one in every)])
        return StoredImages(
            [part for one in every for part in one._parts],
            np.concatenate([one._of + start for one, start in zip(every, starts, strict=False)]),
            np.concatenate([one._at for one in every]),
        )


Images = Pixels | StoredImages


def chosen(images: Images, rows: Any) -> Images:
    """Some of the images, copied only where all are in memory."""
    return images.chosen(rows) if isinstance(images, StoredImages) else images[rows]


def joined(parts: Sequence[Images]) -> Images:
    """Images one after the other; in memory if all of them are."""
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts):
        return np.concatenate(arrays)
    return StoredImages.whole(np.empty((0, *parts[0].shape[1:]), np.uint8)).joined(parts)
