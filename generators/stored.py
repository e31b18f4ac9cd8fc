"""A generator that keeps what it makes: a request that the store knows costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from generators.curation.measures import examined
from generators.requests import Generator, Image, Request, Wrapped
from generators.store import ImageStore, describe_generator, request_key

UNSCORED = ""
"""Scorer of an image that no CLIP has compared with its cell; whoever wants a score takes one."""


class StoredGenerator(Wrapped):
    """Images from the store where it has them, else from a generator and into the store.

    For images that nobody curates, such as those of an audit. A batch is stored as soon as it is
    made: an interruption loses one batch at most. Processes with one store make nothing twice.
    `progress` is told how many more images were made or found.
    """

    def __init__(
        self, inner: Generator, store: ImageStore, progress: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(inner)
        self._store = store
        self._progress = progress
        store.describe(describe_generator(inner))

    def generate(self, requests: Sequence[Request]) -> Image:
        """Images of the requests, in order, ``[n, H, W, 3]``; black where one has failed."""
        if not requests:
            return self.inner.generate(requests)
        with self._store.locked("stored"):
            found = {request: self._kept(request) for request in requests}
            lacking = [request for request, image in found.items() if image is None]
            images = {request: image for request, image in found.items() if image is not None}
            images |= self._make(lacking)
        if self._progress is not None:
            self._progress(len(requests))
        return np.stack([images[request] for request in requests])

    def _kept(self, request: Request) -> Image | None:
        key = request_key(request, self._store.generator)
        entry = self._store.get(key)
        return entry[1] if entry is not None else self._store.orphan(key)

    def _make(self, requests: list[Request]) -> dict[Request, Image]:
        if not requests:
            return {}
        made = {}
        for request, output in zip(requests, self.inner.generate(requests), strict=True):
            image, fault = examined(output)
            self._store.put(request, image, scorer=UNSCORED, score=0.0, margin=0.0, fault=fault)
            made[request] = image
        return made
