"""What is asked for, image by image: prompts, seeds and sources of a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from generators.requests import Generator, Image, Request, Source, refuse, request_seed
from semantic.conditioning import Conditioner
from semantic.errors import InputError
from semantic.space import Cell

SHARED = "shared"
"""Owner of images that all clients draw from."""


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
    conditioner: Conditioner
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
