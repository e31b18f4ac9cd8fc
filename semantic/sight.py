"""What CLIP tells apart in real images: classes, and the values of each sensitive column.

A zero-shot reading of a small balanced sample (as many images of each value), against the share
that guessing would get right. What CLIP cannot tell apart in real images it can neither judge in
synthetic ones, nor have been the teacher of a generator's words for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from semantic.arrays import ImageRows, Indices, Vectors
from semantic.encoder import ClipEncoder
from semantic.naming import CROSSED, UNNAMED_GROUPS
from semantic.space import Cell, SemanticSpace

LEAST_OF_ONE, MOST_OF_ONE = 5, 50
"""Images of one value: with fewer it is left out of a reading; more are not looked at."""
LEAST_IN_ALL, MOST_IN_ALL = 20, 1000
"""Images that a reading needs, and about as many as it looks at where there are many values."""


KNOWS, PARTLY, NOT, UNTRIED = "knows", "knows partly", "does not know", "not tried"
"""What is said of a model and a class, or a column; the last where there are too few images."""


@dataclass(frozen=True)
class Reading:
    """How many of a balanced sample of real images CLIP reads rightly.

    What is read is the `class`, or a sensitive column, chosen from the `values` with enough images.
    `right` of `n` images were read rightly, the same number of each value, of which `each` has its
    own; `low` and `high` are the 95 % Wilson interval of that share, NaN without images.
    """

    what: str
    values: tuple[str, ...]
    n: int
    right: int
    low: float
    high: float
    each: tuple[int, ...] = ()

    @property
    def chance(self) -> float:
        """Share that guessing gets right."""
        return 1 / len(self.values) if self.values else float("nan")

    @property
    def tested(self) -> bool:
        """Whether there were images enough for a verdict."""
        return self.n >= LEAST_IN_ALL and len(self.values) > 1

    @property
    def blind(self) -> bool:
        """Whether the images show no skill: the interval reaches down to chance."""
        return self.tested and not self.low > self.chance

    @property
    def unread(self) -> tuple[str, ...]:
        """Values that CLIP reads no better than by guessing."""
        n = self.n // max(1, len(self.values))
        found = zip(self.values, self.each, strict=True)
        return tuple(value for value, right in found if not share(right, n)[0] > self.chance)

    @property
    def verdict(self) -> str:
        """Whether CLIP tells the values apart, in words."""
        if not self.tested:
            return UNTRIED
        return NOT if self.blind else PARTLY if self.unread else KNOWS

    def explain(self) -> str:
        """The numbers in words."""
        if not self.tested:
            return f"too few real images to say whether CLIP tells {self.what} apart"
        return (
            f"of {self.n} real images CLIP reads {self.what} rightly in "
            f"{100 * self.right / self.n:.0f} % (95 % interval {100 * self.low:.0f} to "
            f"{100 * self.high:.0f}), by guessing {100 * self.chance:.0f} %"
            + (f"; no better than that: {', '.join(self.unread)}" if self.unread else "")
        )

    def said(self) -> str:
        """Verdict and numbers in a sentence."""
        if not self.tested:
            return f"CLIP was not tried on {self.what}: {self.explain()}"
        return f"CLIP {self.verdict} {self.what}: {self.explain()}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        shares = {"low": self.low, "high": self.high, "chance": self.chance}
        finite = {k: v if np.isfinite(v) else None for k, v in shares.items()}
        return {**asdict(self), **finite, "tested": self.tested, "blind": self.blind,
                "verdict": self.verdict, "said": self.said()}  # fmt: skip


class Reader:
    """CLIP before some real images.

    Labels are class indices of the space, −1 for images not to look at; its groups do not matter.
    """

    def __init__(
        self,
        encoder: ClipEncoder,
        space: SemanticSpace,
        images: ImageRows,
        labels: Indices,
    ) -> None:
        self._encoder, self._space = encoder, space
        self._images, self._labels = images, labels
        self._seen: dict[int, Vectors] = {}

    def classes(self) -> Reading:
        """Whether the classes are told apart, whatever the groups."""
        texts = np.stack([self._text(Cell(c, UNNAMED_GROUPS[0])) for c in self._space.classes])
        return self._read("class", self._space.classes, self._labels, lambda row: texts)

    def column(self, name: str, values: Sequence[str], codes: Indices) -> Reading:
        """Whether the values of a sensitive column are told apart, an image's class given.

        `codes` are positions in `values`, what they are called; −1 where an image's is unknown.
        """
        codes = np.where(self._labels < 0, -1, codes)
        texts: dict[int, Vectors] = {}

        def of_class(row: int) -> Vectors:
            label = int(self._labels[row])
            if label not in texts:
                named = self._space.classes[label]
                texts[label] = np.stack([self._text(Cell(named, value)) for value in values])
            return texts[label]

        return self._read(name, tuple(values), codes, of_class)

    def _read(self, what: str, names: tuple[str, ...], truth: Indices, texts_of: Any) -> Reading:
        chosen = balanced(truth, len(names))
        kept = sorted(chosen)
        rows = [row for value in kept for row in chosen[value]]
        vectors = self._vectors(rows)
        each = dict.fromkeys(kept, 0)
        for row, vector in zip(rows, vectors, strict=True):
            read = kept[int((texts_of(row)[kept] @ vector).argmax())]
            each[read] += int(read == truth[row])
        values = tuple(names[value] for value in kept)
        right = sum(each.values())
        low, high = share(right, len(rows))
        return Reading(what, values, len(rows), right, low, high, tuple(each.values()))

    def _vectors(self, rows: list[int]) -> list[Vectors]:
        new = [row for row in dict.fromkeys(rows) if row not in self._seen]
        if new:
            found = self._encoder.embed_images(self._images[new]).numpy()
            self._seen |= dict(zip(new, found, strict=True))
        return [self._seen[row] for row in rows]

    def _text(self, cell: Cell) -> Vectors:
        mean: Vectors = self._encoder.embed_texts(self._space.prompts(cell)).mean(0).numpy()
        unit: Vectors = mean / np.linalg.norm(mean)
        return unit


def share(right: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share; NaN without anything."""
    from scipy.stats import binomtest

    if not n:
        return float("nan"), float("nan")
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    return float(low), float(high)


def balanced(codes: Indices, n_values: int) -> dict[int, list[int]]:
    """As many rows of each value, spread over all of its rows; values with few are left out."""
    rows = {value: np.flatnonzero(codes == value) for value in range(n_values)}
    enough = {value: own for value, own in rows.items() if len(own) >= LEAST_OF_ONE}
    if not enough:
        return {}
    most = int(np.clip(MOST_IN_ALL // len(enough), LEAST_OF_ONE, MOST_OF_ONE))
    count = min(most, *(len(own) for own in enough.values()))
    return {
        value: own[np.linspace(0, len(own) - 1, count).astype(np.int64)].tolist()
        for value, own in enough.items()
    }


def without(group: str, hidden: Sequence[int]) -> str:
    """A group's name with nothing said of some sensitive columns, by position."""
    values = group.split(CROSSED)
    kept = [UNNAMED_GROUPS[0] if i in hidden else value for i, value in enumerate(values)]
    return UNNAMED_GROUPS[0] if set(kept) == {UNNAMED_GROUPS[0]} else CROSSED.join(kept)
