"""The outcome of curating one cell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from generators.curation.judge import Judge
from generators.curation.limits import Threshold
from generators.requests import Image
from generators.store import Entry


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
    embeddings: npt.NDArray[np.float32] | None = None
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
