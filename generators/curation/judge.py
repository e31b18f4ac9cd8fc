"""Judging the images of one cell, one after the other, by all checks in order; the outcome."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from generators.curation.limits import Threshold, limits_of, rows_of
from generators.curation.measures import (
    Accepted,
    agreement,
    attribute_texts,
    is_black,
    is_blank,
    mean_pairwise,
    nearest,
)
from generators.curation.references import References, class_margins
from generators.curation.settings import CHECKS, Curation
from generators.requests import Image
from generators.store import Entry
from semantic.arrays import Vectors
from semantic.space import CellScorer


@dataclass(frozen=True, eq=False)
class Candidate:
    """An image with what the checks look at.

    The embedding is empty where no check needs one. `margin` is in nats, of its cell, or of its
    class where CLIP cannot see the group; `agreement` with the attributes of its class is 0 to 1,
    NaN where it is not asked for; `distance` is the cosine distance to the nearest real training
    image, infinite where there is none.
    """

    image: Image
    entry: Entry
    embedding: Vectors
    margin: float
    agreement: float
    distance: float


class Judge:
    """The checks of one cell.

    A verdict depends on the image, the real images, and the images accepted before it; so the
    images of a cell are judged in the order of their indices.

    Parameters
    ----------
    curation, scorer, references
        Settings, CLIP, and the real training images if there are any.
    cell
        Class and group index.
    """

    def __init__(
        self,
        curation: Curation,
        scorer: CellScorer,
        references: References | None,
        cell: tuple[int, int],
    ) -> None:
        self._curation, self._scorer, self._references = curation, scorer, references
        self._cell = cell
        self._texts = np.zeros((0, 0), np.float32)
        if "attributes" in curation.checks:
            self._texts = attribute_texts(scorer, scorer.space.classes[cell[0]])
        self.limits = limits_of(curation, references, cell, len(self._texts) > 1)
        self.accepted = Accepted()

    @property
    def compares(self) -> bool:
        """Whether there are real images to compare with."""
        return self._references is not None

    def measure(self, found: Sequence[tuple[Entry, Image]]) -> list[Candidate]:
        """What the checks look at, for a batch of images."""
        n, real = len(found), self._references
        own = [entry.margin for entry, _ in found]
        agreed, apart = np.full(n, np.nan), np.full(n, np.inf)
        embeddings = np.zeros((n, 0), np.float32)
        if n and (real is not None or "duplicate" in self._curation.checks):
            embeddings = self._scorer.embed(np.stack([image for _, image in found]))
        if n and real is not None:
            if not real.sees_groups.visible:
                own = class_margins(self._scorer.scores_of(embeddings), self._cell[0]).tolist()
            if "attributes" in self.limits.thresholds:
                agreed = agreement(embeddings, self._texts, self._scorer.encoder.scale)
            apart = nearest(embeddings, real.embeddings).distances
        return [
            Candidate(image, entry, embedding, *map(float, measured))
            for (entry, image), embedding, *measured in zip(
                found, embeddings, own, agreed, apart, strict=True
            )
        ]

    def verdict(self, candidate: Candidate) -> str | None:
        """Reason to reject an image, or None; then it counts as accepted."""
        for check in CHECKS:
            if check in self._curation.checks and self._fails(check, candidate):
                return check
        self.accepted.add(candidate.image, candidate.embedding)
        return None

    def _fails(self, check: str, candidate: Candidate) -> bool:
        if check == "corrupt":
            return bool(candidate.entry.fault)
        if check == "black":
            return is_black(candidate.image)
        if check == "blank":
            return is_blank(candidate.entry.deviation)
        limit = self.limits.thresholds.get(check)
        if limit is None:
            return False
        if check == "duplicate":
            pixels = self.limits.thresholds["duplicate pixels"].value
            return self.accepted.holds_near(
                candidate.image, candidate.embedding, limit.value, pixels
            )
        measured = {
            "margin": candidate.margin,
            "attributes": candidate.agreement,
            "memorised": candidate.distance,
        }
        return measured[check] < limit.value

    def diversity(self) -> float | None:
        """Mean cosine distance between accepted images, relative to real ones'.

        Real ones of the cell, or of the class where the cell has too few; None where that has too
        few as well, or fewer than two images were accepted.
        """
        real, made = self._references, mean_pairwise(self.accepted.embeddings)
        if real is None or made is None:
            return None
        for basis in ("cell", "class"):
            rows = rows_of(basis, real.labels, real.groups, self._cell)
            apart = mean_pairwise(real.embeddings[rows])
            if rows.sum() >= self._curation.minimum and apart:
                return made / apart
        return None

    def held_out_rate(self) -> tuple[int, int] | None:
        """Held-out real images that would count as memorised, and of how many: the chance level.

        Of the images that the threshold rests on: the cell's, its class's, or all.
        """
        limit = self.limits.thresholds.get("memorised")
        held_out = self._references.held_out if self._references else None
        if limit is None or held_out is None:
            return None
        rows = rows_of(limit.basis, held_out.labels, held_out.groups, self._cell)
        return int((held_out.distances[rows] < limit.value).sum()), int(rows.sum())


@dataclass
class Pool:
    """Accepted images of one cell, in the order of their indices, and what they cost.

    Attributes
    ----------
    images, entries
        The accepted images and their rows in the store.
    requested
        Images that were wanted.
    rejected
        Rejected images by reason.
    generated, reused
        Images made now, and taken from the store.
    verdicts
        Key and reason (None: accepted) of every judged image, in the order of the indices.
    embeddings
        ``[accepted, d]``, where real images were compared with; else None.
    thresholds, notes
        What was asked, and which checks were weaker than configured; see `Limits`.
    diversity
        Mean CLIP distance between the accepted, relative to real images'; None: too few.
    held_out_rate
        Held-out real images that would count as memorised, of how many; None: none at hand.
    """

    images: list[Image] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    requested: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    generated: int = 0
    reused: int = 0
    verdicts: list[tuple[str, str | None]] = field(default_factory=list)
    embeddings: Vectors | None = None
    thresholds: dict[str, Threshold] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    diversity: float | None = None
    held_out_rate: tuple[int, int] | None = None

    @property
    def deficit(self) -> int:
        """Images that are lacking although the budget is spent."""
        return self.requested - len(self.images)

    def judge(self, judge: Judge, found: list[tuple[Entry, Image]]) -> None:
        """Judge images in their order until there are as many as requested."""
        for candidate in judge.measure(found):
            if self.deficit == 0:
                return
            reason = judge.verdict(candidate)
            self.verdicts.append((candidate.entry.key, reason))
            if reason is None:
                self.entries.append(candidate.entry)
                self.images.append(candidate.image)
            else:
                self.rejected[reason] += 1

    def close(self, judge: Judge) -> None:
        """Take over what the judge knows when all images are judged."""
        self.thresholds, self.notes = judge.limits.thresholds, judge.limits.notes
        embeddings = judge.accepted.embeddings
        self.embeddings = embeddings.copy() if judge.compares else None
        self.diversity, self.held_out_rate = judge.diversity(), judge.held_out_rate()

    def summary(self) -> dict[str, object]:
        """Counts and thresholds as JSON: nothing about a single image, real or synthetic."""
        rate = self.held_out_rate
        return {
            "requested": self.requested,
            "accepted": len(self.images),
            "short": self.deficit,
            "judged": len(self.verdicts),
            "rejected": dict(sorted(self.rejected.items())),
            "generated": self.generated,
            "reused": self.reused,
            "thresholds": {name: limit.to_json() for name, limit in self.thresholds.items()},
            "notes": dict(self.notes),
            "diversity": self.diversity,
            "held_out_memorised": None if rate is None else {"k": rate[0], "n": rate[1]},
        }
