"""From a plan to accepted images: generate, score, curate, replace what was rejected, store."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from generators.plan import Cells
from generators.requests import Generator, Image, Request, request_seed
from generators.store import Entry, ImageStore, request_key
from semantic.space import Cell, CellScorer, SemanticSpace, margins

SHARED = "shared"
"""Owner of images that all clients draw from."""


def owner(client: int) -> str:
    """Owner of images that one client alone draws from."""
    return f"client {client}"


BLANK = 6.0
"""An image whose pixels deviate by less (0 to 255) shows nothing."""


@dataclass(frozen=True)
class Curation:
    """What an image must fulfil, and how often one may be replaced.

    Attributes
    ----------
    margin
        Least margin of its CLIP score for its cell over all others, in nats.
    max_tries
        Images made at most, as a multiple of those wanted.
    """

    margin: float = 0.0
    max_tries: float = 2.0

    def verdict(self, entry: Entry) -> str | None:
        """Reason to reject an image, or None to accept it."""
        if entry.deviation < BLANK:
            return "blank"
        return "margin" if entry.margin < self.margin else None


@dataclass
class Pool:
    """Accepted images of one cell, in the order of their indices, and what they cost."""

    images: list[Image] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    generated: int = 0
    reused: int = 0


@dataclass(frozen=True)
class SyntheticSet:
    """A client's synthetic images.

    Attributes
    ----------
    images
        ``[n, H, W, 3]``, 0 to 255.
    labels, groups
        ``[n]`` class and group indices.
    requested, accepted
        Per cell, ``[n_classes, n_groups]``; `accepted` falls short where curation left too few.
    rejected
        By reason, images rejected in the pools that were drawn from, per cell; clients that share
        a pool count the same ones.
    generated, reused
        Images made now, and taken from the store.
    """

    images: Image
    labels: np.ndarray[tuple[int], np.dtype[np.int64]]
    groups: np.ndarray[tuple[int], np.dtype[np.int64]]
    requested: Cells
    accepted: Cells
    rejected: dict[str, Cells]
    generated: int
    reused: int


class Synthesiser:
    """Fills cells with accepted images, taking from the store what is there."""

    def __init__(
        self,
        generator: Generator,
        scorer: CellScorer,
        store: ImageStore,
        curation: Curation,
        seed: int,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._generator = generator
        self._scorer = scorer
        self._store = store
        self._curation = curation
        self._seed = seed
        self._progress = progress
        self._pools: dict[tuple[int, int, int, str], Pool] = {}

    @property
    def space(self) -> SemanticSpace:
        """The label space with meaning."""
        return self._scorer.space

    def autoencode(self, images: Image) -> Image:
        """Images as the generator would render them, ``[n, H, W, 3]``."""
        return self._generator.autoencode(images)

    def _request(self, cell: Cell, owner: str, index: int) -> Request:
        prompt = self.space.prompts(cell)[0]
        return Request(cell, prompt, request_seed(self._seed, owner, cell, index))

    def pool(self, class_index: int, group_index: int, size: int, owner: str = SHARED) -> Pool:
        """The first `size` accepted images of a cell, fewer if the tries run out.

        A pool that was asked for before is kept in memory and costs nothing more.
        """
        key = class_index, group_index, size, owner
        cell = self.space.cell(class_index, group_index)
        batch = self._generator.batch_size
        most = math.ceil(size * self._curation.max_tries / batch) * batch
        pool = Pool()
        with self._store.locked(f"{owner}/{cell.class_name}/{cell.group}"):
            if key in self._pools:
                return replace(self._pools[key], generated=0, reused=0)
            for start in range(0, most, batch):
                requests = [self._request(cell, owner, start + i) for i in range(batch)]
                self._extend(pool, requests, class_index, group_index)
                if len(pool.images) >= size:
                    break
            del pool.images[size:], pool.entries[size:]
            self._pools[key] = pool
        return pool

    def _extend(self, pool: Pool, requests: list[Request], label: int, group: int) -> None:
        """Judge a batch of requests, after making those that the store does not have."""
        keys = [request_key(request, self._store.generator) for request in requests]
        found = {key: sound for key in keys if (sound := self._sound(key)) is not None}
        lacking = [r for r, key in zip(requests, keys, strict=True) if key not in found]
        found |= self._make(lacking, label, group)
        if self._progress is not None:
            self._progress(len(requests))
        pool.generated += len(lacking)
        pool.reused += len(requests) - len(lacking)
        for key in keys:
            entry, image = found[key]
            reason = self._curation.verdict(entry)
            if reason is None:
                pool.entries.append(entry)
                pool.images.append(image)
            else:
                pool.rejected[reason] += 1

    def _sound(self, key: str) -> tuple[Entry, Image] | None:
        found = self._store.get(key)
        return found if found and found[0].scorer == self._scorer.fingerprint else None

    def _make(
        self, requests: list[Request], label: int, group: int
    ) -> dict[str, tuple[Entry, Image]]:
        """Generate, score and store; by key."""
        if not requests:
            return {}
        images = self._generator.generate(requests)
        log_scores = self._scorer.scores(images)
        scores = np.exp(log_scores[:, label, group])
        made: dict[str, tuple[Entry, Image]] = {}
        for request, image, score, margin in zip(
            requests, images, scores, margins(log_scores, label, group), strict=True
        ):
            entry = self._store.put(
                request,
                image,
                scorer=self._scorer.fingerprint,
                score=float(score),
                margin=float(margin),
            )
            made[entry.key] = entry, image
        return made

    def fill(self, wanted: Cells, client: int, pool_size: int, share: bool = True) -> SyntheticSet:
        """Images for a client's plan.

        Parameters
        ----------
        wanted
            Images per cell, ``[n_classes, n_groups]``.
        client
            The client's partition id; decides what it draws from shared pools, and with which cell
            it begins, so that clients at work together do not wait for each other.
        pool_size
            Different images per cell that clients draw from, at least what this one wants.
        share
            Draw from pools common to all clients, or from the client's own.
        """
        cells = [(int(c), int(g)) for c, g in np.argwhere(wanted > 0)]
        turn = (client * 7) % max(1, len(cells))
        drawn: dict[tuple[int, int], list[Image]] = {}
        rejected: dict[str, Cells] = {}
        generated = reused = 0
        for c, g in cells[turn:] + cells[:turn]:
            count = int(wanted[c, g])
            whose = SHARED if share else owner(client)
            pool = self.pool(c, g, max(pool_size, count) if share else count, whose)
            order = np.random.default_rng((self._seed, client, c, g)).permutation(len(pool.images))
            drawn[c, g] = [pool.images[i] for i in order[:count]]
            for reason, rejections in pool.rejected.items():
                rejected.setdefault(reason, np.zeros_like(wanted))[c, g] = rejections
            generated += pool.generated
            reused += pool.reused
        return self._collect(wanted, cells, drawn, rejected, generated, reused)

    def _collect(
        self,
        wanted: Cells,
        cells: list[tuple[int, int]],
        drawn: dict[tuple[int, int], list[Image]],
        rejected: dict[str, Cells],
        generated: int,
        reused: int,
    ) -> SyntheticSet:
        accepted = np.zeros_like(wanted)
        for cell in cells:
            accepted[cell] = len(drawn[cell])
        images = [image for cell in cells for image in drawn[cell]]
        where = np.repeat(
            np.array(cells, np.int64).reshape(-1, 2), [len(drawn[c]) for c in cells], 0
        )
        return SyntheticSet(
            images=np.stack(images) if images else np.zeros((0, 0, 0, 3), np.uint8),
            labels=where[:, 0],
            groups=where[:, 1],
            requested=wanted.copy(),
            accepted=accepted,
            rejected=dict(sorted(rejected.items())),
            generated=generated,
            reused=reused,
        )
