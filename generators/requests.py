"""What is asked of a generator: one request is one image; and the requests of a cell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from semantic.conditioning import Describer
from semantic.errors import InputError
from semantic.space import Cell

Image = npt.NDArray[np.uint8]
"""One image or a batch, ``[…, H, W, 3]``, 0 to 255."""

SHARED = "shared"
"""Owner of images that all clients draw from."""


@dataclass(frozen=True)
class Source:
    """An image that a generator starts from instead of noise (img2img).

    Attributes
    ----------
    pixels
        ``[H, W, 3]``, 0 to 255.
    digest
        SHA-256 of the pixels; stands for them wherever sources are compared or written down.
    """

    pixels: Image = field(compare=False, repr=False)
    digest: str = ""

    @classmethod
    def of(cls, pixels: Image) -> Source:
        """Source with its digest."""
        return cls(pixels, hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest())


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
    negative
        What it shall not show, as a prompt; empty for nothing.
    terms
        Further prompts with weights, each a guidance term of its own beside `prompt`
        (composition of scores; Liu et al. 2022, arXiv 2206.01714).
    prototype
        Unit CLIP image embedding that conditions it beside the prompt; empty for none.
    source
        Image to start from, for img2img.
    """

    cell: Cell
    prompt: str
    seed: int
    negative: str = ""
    terms: tuple[tuple[str, float], ...] = ()
    prototype: tuple[float, ...] = ()
    source: Source | None = None


def request_seed(seed: int, owner: str, cell: Cell, index: int) -> int:
    """Seed of the `index`-th image of a cell, independent of all others.

    The `owner` is a client's name, or a common one where images are shared.
    """
    text = repr((seed, owner, cell.class_name, cell.group, index))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Generator(Protocol):
    """Makes images. The same request gives the same image, whatever the batch it rides in.

    A generator may also have `refuse(request)`, which raises `InputError` for what it cannot make;
    and `settings` (a dataclass) and `weights` (a text), which a store writes down beside its
    images.
    """

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


def refuse(generator: Generator, request: Request) -> None:
    """Refuse a request that a generator cannot make, as on making it, where it can say so."""
    say = getattr(generator, "refuse", None)
    if say is not None:
        say(request)


class Wrapped:
    """A generator around another one, whose every member it has that it does not replace."""

    fingerprint: str
    batch_size: int
    autoencode: Callable[[Image], Image]

    def __init__(self, inner: Generator) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        # The above, and `refuse`, `settings` and `weights`, where the inner generator has them.
        return getattr(self.inner, name)


def owner(client: int) -> str:
    """Owner of images that one client alone draws from."""
    return f"client {client}"


def _unseeded(request: Request) -> Request:
    return replace(request, seed=0, source=None)


@dataclass(frozen=True)
class Asker:
    """Turns a cell and indices into requests, the same ones on every call.

    `negative` is what no image shall show, as a prompt. `sources` are a client's own images of a
    cell to start from (img2img), ``[H, W, 3]`` each: the i-th image starts from source i mod n, or
    from noise where there are none.
    """

    seed: int
    conditioner: Describer
    negative: str = ""
    sources: Callable[[Cell], Sequence[Image]] | None = None

    def requests(self, cell: Cell, indices: range, owner: str) -> list[Request]:
        """Requests for the images of these indices.

        Refused if shared images would start from a client's own, or the conditioner lacks what it
        needs for the class.
        """
        if self.sources is not None and owner == SHARED:
            raise InputError(
                "img2img starts from a client's own images, so what it makes cannot be shared: "
                "let every client synthesise its own images, or switch img2img off"
            )
        sources = self.sources(cell) if self.sources is not None else ()
        return [self._request(cell, index, owner, sources) for index in indices]

    def check(self, generator: Generator, cell: Cell, indices: range, owner: str) -> None:
        """Refuse, before any is made, what the generator could not make of these images."""
        for request in dict.fromkeys(map(_unseeded, self.requests(cell, indices, owner))):
            refuse(generator, request)

    def _request(self, cell: Cell, index: int, owner: str, sources: Sequence[Image]) -> Request:
        seed = request_seed(self.seed, owner, cell, index)
        shown = self.conditioner.describe(cell, seed)
        source = Source.of(sources[index % len(sources)]) if len(sources) else None
        return Request(
            cell, shown.prompt, seed, self.negative, shown.terms, shown.prototype, source
        )
