"""What a model trains on where memory does not hold it: images that are read batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class Stored(Protocol):
    """Images ``[n, H, W, 3]``, uint8, that are somewhere else (`fairfed.data.stored`)."""

    @property
    def nbytes(self) -> int: ...  # noqa: D102

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> npt.NDArray[np.uint8]: ...

    def chosen(self, rows: Any) -> Stored: ...  # noqa: D102

    def joined(self, others: Sequence[Any]) -> Stored: ...  # noqa: D102


class StoredInputs:
    """Such images with as much of a tensor as training asks for: a batch is read when indexed."""

    dtype = torch.uint8

    def __init__(self, images: Stored) -> None:
        self.images = images

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.images.nbytes

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def rows(self, part: slice) -> StoredInputs:
        """Some of them, not read yet."""
        return StoredInputs(self.images.chosen(part))

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The images at some positions, ``[k, H, W, 3]``."""
        return torch.from_numpy(self.images[rows.numpy()])


Inputs = Tensor | StoredInputs


def in_memory(inputs: Inputs) -> Tensor:
    """All rows, read now where they are stored."""
    return inputs if isinstance(inputs, Tensor) else inputs[torch.arange(len(inputs))]


def first(inputs: Inputs, n: int) -> Inputs:
    """The first `n` rows; nothing is copied."""
    return inputs.rows(slice(n)) if isinstance(inputs, StoredInputs) else inputs[:n]


def together(parts: Sequence[Inputs]) -> Inputs:
    """Rows one after the other; stored ones, which come first, stay where they are."""
    lead, *others = parts
    if not isinstance(lead, StoredInputs):
        return torch.cat([part for part in parts if isinstance(part, Tensor)])
    arrays = [one.images if isinstance(one, StoredInputs) else one.numpy() for one in others]
    return StoredInputs(lead.images.joined(arrays))
