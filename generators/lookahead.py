"""Full batches over many cells: a batch that one cell does not fill takes what comes next.

A generator fills every batch up to its size, so that an image does not depend on its company
(`generators.requests.Generator`). Where forty cells lack a few images each, nearly all of that work
would be thrown away. The images are the same with and without looking ahead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from generators.requests import Generator, Image, Request, Wrapped

MOST_BYTES = 2**28
"""Images made ahead are kept in memory up to this; the oldest give way, and are made again if they
are asked for after all."""


class LookAhead(Wrapped):
    """A generator that uses the rest of a batch for requests that were announced.

    Nothing is wasted by asking for less than a batch, if more is announced.
    """

    def __init__(self, inner: Generator) -> None:
        super().__init__(inner)
        self._queue: dict[Request, None] = {}
        self._ahead: dict[Request, Image] = {}
        self._seconds = 0.0
        self._batches = 0

    @property
    def seconds_per_image(self) -> float | None:
        """Wall-clock seconds of an image in full batches, so far; None before the first one."""
        if self._batches == 0:
            return None
        return self._seconds / (self._batches * self.inner.batch_size)

    def announce(self, requests: Iterable[Request]) -> None:
        """Name requests that may follow, the likeliest first; forgets those named before."""
        self._queue = dict.fromkeys(r for r in requests if r not in self._ahead)

    def generate(self, requests: Sequence[Request]) -> Image:
        """Images of the requests, in order."""
        for request in requests:
            self._queue.pop(request, None)
        lacking = list(dict.fromkeys(r for r in requests if r not in self._ahead))
        if lacking:
            self._make(lacking)
        if not requests:
            return self.inner.generate([])
        images = np.stack([self._ahead[request] for request in requests])
        for request in requests:
            self._ahead.pop(request, None)
        for request in list(self._ahead)[: -(MOST_BYTES // images[0].nbytes)]:
            del self._ahead[request]
        return images

    def _make(self, lacking: list[Request]) -> None:
        """Make requests, and announced ones as far as the batch has room."""
        batch = self.inner.batch_size
        further = list(islice(self._queue, -len(lacking) % batch))
        start = time.monotonic()
        images = self.inner.generate([*lacking, *further])
        self._seconds += time.monotonic() - start
        self._batches += math.ceil(len(images) / batch)
        self._ahead |= dict(zip([*lacking, *further], images, strict=True))
        for request in further:
            del self._queue[request]
