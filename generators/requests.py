"""What is asked of a generator: one request is one image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from semantic.space import Cell

Image = npt.NDArray[np.uint8]
"""One image or a batch, ``[…, H, W, 3]``, 0 to 255."""


@dataclass(frozen=True)
class Request:
    """One image to be made.

    Attributes
    ----------
    cell
        The class and group that it shall show.
    prompt
        The text that conditions it.
    seed
        Fixes its noise, 0 to 2⁶³ − 1.
    """

    cell: Cell
    prompt: str
    seed: int


def request_seed(seed: int, owner: str, cell: Cell, index: int) -> int:
    """Seed of the `index`-th image of a cell, independent of all others.

    Parameters
    ----------
    seed
        Of the run.
    owner
        Whose image it is: a client's name, or a common one where images are shared.
    """
    text = repr((seed, owner, cell.class_name, cell.group, index))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Generator(Protocol):
    """Makes images. The same request gives the same image, whatever the batch it rides in."""

    @property
    def fingerprint(self) -> str:
        """Identity of the weights and of every setting that changes an image."""
        ...

    @property
    def batch_size(self) -> int:
        """Images that are made together; asking for multiples of it wastes nothing."""
        ...

    def generate(self, requests: Sequence[Request]) -> Image:
        """Images of the requests, in order, ``[len(requests), H, W, 3]``."""
        ...

    def autoencode(self, images: Image) -> Image:
        """Images as the generator would render them, same shape as `images`.

        For domain matching: what a client learns from must not show which images are real.
        """
        ...
