"""From a plan to accepted images: generate, score, curate, replace what was rejected, store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np

from generators.curation import Curation, Judge, Pool, References, max_candidates
from generators.curation.measures import examined
from generators.lookahead import LookAhead
from generators.plan import Cells
from generators.requests import SHARED, Asker, Generator, Image, Request, owner
from generators.store import Entry, ImageStore, describe_generator, request_key
from semantic.arrays import Indices
from semantic.conditioning import Conditioner, Describer
from semantic.space import Cell, CellScorer, SemanticSpace, margins

__all__ = ["SHARED", "Curation", "Pool", "Synthesiser", "SyntheticSet", "owner"]


@dataclass(frozen=True)
class SyntheticSet:
    """A client's synthetic images, ``[n, H, W, 3]``, with class and group indices.

    `requested` and `accepted` are per cell, ``[n_classes, n_groups]``; the latter falls short where
    curation left too few. `rejected` has, by reason, images rejected in the pools that were drawn
    from: clients that share a pool count the same ones. `generated` were made now, `reused` taken
    from the store.
    """

    images: Image
    labels: Indices
    groups: Indices
    requested: Cells
    accepted: Cells
    rejected: dict[str, Cells]
    generated: int
    reused: int


class Synthesiser:
    """Fills cells with accepted images, taking from the store what is there.

    Parameters
    ----------
    generator, scorer, store
        What makes, reads and keeps images.
    curation
        What an image must fulfil.
    seed
        Of the run; fixes every image.
    progress
        Told how many more images were made or found, and how many of them were made.
    conditioner, sources, negative
        What is asked for, see `Asker`; without a conditioner, each cell's first prompt. Images
        that start from a client's own ones need an owner other than `SHARED`.
    references
        The client's real training images, for thresholds and memorisation.
    whole_batches
        Ask for whole batches, for a generator that fills each up and would throw the rest away;
        otherwise for no more than is short.
    """

    def __init__(
        self,
        generator: Generator,
        scorer: CellScorer,
        store: ImageStore,
        curation: Curation,
        seed: int,
        progress: Callable[[int, int], None] | None = None,
        *,
        conditioner: Describer | None = None,
        sources: Callable[[Cell], Sequence[Image]] | None = None,
        negative: str = "",
        references: References | None = None,
        whole_batches: bool = False,
    ) -> None:
        self._generator = generator
        self._scorer = scorer
        self._store = store
        self._curation = curation
        self._seed = seed
        self._progress = progress
        self._asker = Asker(seed, conditioner or Conditioner(scorer.space), negative, sources)
        self._references = references
        self._whole_batches = whole_batches
        self._pools: dict[tuple[int, int, int, str], Pool] = {}
        store.describe(describe_generator(generator))

    @property
    def space(self) -> SemanticSpace:
        """The label space with meaning."""
        return self._scorer.space

    @property
    def scorer(self) -> CellScorer:
        """CLIP's scores of the space's cells."""
        return self._scorer

    def autoencode(self, images: Image) -> Image:
        """Images as the generator would render them, ``[n, H, W, 3]``."""
        return self._generator.autoencode(images)

    def request(
        self, class_index: int, group_index: int, index: int, owner: str = SHARED
    ) -> Request:
        """What the `index`-th image of a cell asks of the generator; errors as `Asker`."""
        cell = self.space.cell(class_index, group_index)
        return self._asker.requests(cell, range(index, index + 1), owner)[0]

    def check(self, wanted: Cells, owner: str = SHARED) -> None:
        """Refuse cells of which the generator could not make as many images as may be judged.

        Nothing is made. It may not know the words of a prompt, or cut one off, or lack what the
        conditioning asks of it.
        """
        for c, g in np.argwhere(wanted > 0).tolist():
            most = max_candidates(int(wanted[c, g]), self._curation.max_tries)
            self._asker.check(self._generator, self.space.cell(c, g), range(most), owner)

    def prepare(
        self, class_index: int, group_index: int, count: int, owner: str = SHARED
    ) -> tuple[int, int]:
        """Have the first `count` images of a cell in the store, without judging any.

        Every image is stored as soon as it is made: an interrupted call goes on where it was.
        Returns how many were generated now, and how many were there.
        """
        found = list(self._first(class_index, group_index, count, owner))
        generated = sum(made for _, made in found)
        return generated, count - generated

    def first(
        self, class_index: int, group_index: int, count: int, owner: str = SHARED
    ) -> tuple[list[Image], int]:
        """The first `count` images of a cell as they are, whatever a judge would say of them.

        Returned with them is how many were made now.
        """
        found = list(self._first(class_index, group_index, count, owner))
        images = [image for rows, _ in found for _, image in rows]
        return images, sum(made for _, made in found)

    def announce(self, counts: Cells, owner: str = SHARED) -> None:
        """Say how many first images of each cell will be asked for, ``[n_classes, n_groups]``.

        A generator that looks ahead makes those that the store lacks in common batches.
        """
        if isinstance(self._generator, LookAhead):
            cells = ((*cell, counts[cell]) for cell in np.ndindex(counts.shape))
            requests = (self.request(c, g, i, owner) for c, g, n in cells for i in range(n))
            self._generator.announce(r for r in requests if not self._has(r))

    def _has(self, request: Request) -> bool:
        return self._store.path_of(request_key(request, self._store.generator)).is_file()

    def _first(
        self, label: int, group: int, count: int, owner: str
    ) -> Iterator[tuple[list[tuple[Entry, Image]], int]]:
        """Batches of a cell's first images, and how many of each were made now."""
        cell = self.space.cell(label, group)
        with self._holding(cell, owner):
            for indices in _batches(count, self._generator.batch_size):
                requests = self._asker.requests(cell, indices, owner)
                yield self._settle(requests, label, group)

    def pool(self, class_index: int, group_index: int, size: int, owner: str = SHARED) -> Pool:
        """The first `size` accepted images of a cell, fewer if the tries run out.

        The images are judged in the order of their indices, `size` times `Curation.max_tries` of
        them at most; the outcome depends neither on batches, nor on interruptions, nor on what the
        store held. No more are asked for than are short, or than fill a batch with `whole_batches`.
        A pool that was asked for before is kept in memory and costs nothing more.
        """
        key = class_index, group_index, size, owner
        cell = self.space.cell(class_index, group_index)
        most = max_candidates(size, self._curation.max_tries)
        pool = Pool(requested=size)
        with self._holding(cell, owner):
            if key in self._pools:
                return replace(self._pools[key], generated=0, reused=0)
            judge = Judge(
                self._curation, self._scorer, self._references, (class_index, group_index)
            )
            asked = 0
            while pool.deficit and asked < most:
                batch = self._generator.batch_size
                wanted = batch if self._whole_batches else min(pool.deficit, batch)
                more = min(wanted, most - asked)
                requests = self._asker.requests(cell, range(asked, asked + more), owner)
                found, generated = self._settle(requests, class_index, group_index)
                asked += more
                pool.generated += generated
                pool.reused += more - generated
                pool.judge(judge, found)
            pool.close(judge)
            self._pools[key] = pool
        return pool

    def _holding(self, cell: Cell, owner: str) -> AbstractContextManager[None]:
        return self._store.locked(f"{owner}/{cell.class_name}/{cell.group}")

    def _settle(
        self, requests: list[Request], label: int, group: int
    ) -> tuple[list[tuple[Entry, Image]], int]:
        """Rows and images of requests, in order, and how many had to be generated.

        An image that another CLIP has scored, or whose row was lost, is scored; one that is not
        there is made.
        """
        keys = [request_key(request, self._store.generator) for request in requests]
        rows: dict[str, tuple[Entry, Image]] = {}
        unscored: list[tuple[Request, Image, str]] = []
        lacking: list[Request] = []
        for key, request in zip(keys, requests, strict=True):
            found = self._store.get(key)
            image = found[1] if found else self._store.orphan(key)
            if image is None:
                lacking.append(request)
            elif found is None or found[0].scorer != self._scorer.fingerprint:
                unscored.append((request, image, found[0].fault if found else ""))
            else:
                rows[key] = found
        rows |= self._score([*unscored, *self._make(lacking)], label, group)
        if self._progress is not None:
            self._progress(len(requests), len(lacking))
        return [rows[key] for key in keys], len(lacking)

    def _make(self, requests: list[Request]) -> list[tuple[Request, Image, str]]:
        """Generate; a black image and the fault stand for what is no image."""
        if not requests:
            return []
        made = self._generator.generate(requests)
        return [(r, *examined(image)) for r, image in zip(requests, made, strict=True)]

    def _score(
        self, images: list[tuple[Request, Image, str]], label: int, group: int
    ) -> dict[str, tuple[Entry, Image]]:
        """Score and store; by key."""
        if not images:
            return {}
        log_scores = self._scorer.scores(np.stack([image for _, image, _ in images]))
        scores = np.exp(log_scores[:, label, group])
        scored: dict[str, tuple[Entry, Image]] = {}
        apart = margins(log_scores, label, group, self.space.alike(label, group))
        for (request, image, wrong), score, margin in zip(images, scores, apart, strict=True):
            entry = self._store.put(
                request,
                image,
                scorer=self._scorer.fingerprint,
                score=float(score),
                margin=float(margin),
                fault=wrong,
            )
            scored[entry.key] = entry, image
        return scored

    def fill(self, wanted: Cells, client: int, pool_size: int, share: bool = True) -> SyntheticSet:
        """Images for a client's plan, ``[n_classes, n_groups]``.

        The client's partition id decides what it draws from shared pools, and with which cell it
        begins, so that clients at work together do not wait for each other. Pools have `pool_size`
        different images per cell, at least what this one wants; without `share` they are the
        client's own.
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
        return collected(wanted, drawn, rejected, generated, reused)


def collected(
    wanted: Cells,
    drawn: Mapping[tuple[int, int], Sequence[Image]],
    rejected: Mapping[str, Cells],
    generated: int,
    reused: int,
) -> SyntheticSet:
    """The set of the images of every cell, in the order of the cells."""
    accepted = np.zeros_like(wanted)
    cells = sorted(drawn)
    for cell in cells:
        accepted[cell] = len(drawn[cell])
    images = [image for cell in cells for image in drawn[cell]]
    where = np.array([cell for cell in cells for _ in drawn[cell]], np.int64).reshape(-1, 2)
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


def incremental_images(
    maker: Synthesiser, beyond: Cells, wanted: Cells, owner: str = SHARED
) -> SyntheticSet:
    """Accepted images that follow those of the cells' pools so far, in the order of the cells.

    A pool of `beyond` images grows by those `wanted`, so that the images are new: no draw from the
    pool before it can have had them. Images of a cell are judged in their order, whatever the
    pool's size, so the smaller pool is the beginning of the larger one. `reused` are those looked
    at without being made now, rejected ones included, and `rejected` says nothing.
    """
    found: dict[tuple[int, int], list[Image]] = {}
    generated = reused = 0
    for c, g in np.argwhere(wanted > 0).tolist():
        size, more = int(beyond[c, g]), int(wanted[c, g])
        had = maker.pool(c, g, size, owner)
        pool = maker.pool(c, g, size + more, owner)
        found[c, g] = pool.images[len(had.images) :][:more]
        # What the larger pool looked at beyond the smaller one; a batch may have made still more.
        judged = len(pool.verdicts) - len(had.verdicts)
        generated += pool.generated
        reused += max(0, judged - pool.generated)
    return collected(wanted, found, {}, generated, reused)


def _batches(count: int, size: int) -> Iterator[range]:
    """Consecutive indices below `count`, at most `size` together."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))
