"""Whether a generator knows the classes that it is asked for: a few images of each come first.

CLIP reads them, and so does a small classifier of the site's real images, as far as the site has
the class. What neither takes for its class, no curation will make of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from generators.synthesis import SHARED, Synthesiser
from semantic.errors import InputError
from semantic.sight import KNOWS, NOT, PARTLY, UNTRIED, share

if TYPE_CHECKING:
    from generators.plan import Cells
    from semantic.arrays import Vectors

LEAST_MADE = 8
"""Synthetic images of a class that a verdict needs."""
LEAST_REAL, MOST_REAL = 10, 50
"""Real images of a class that the classifier learns from, at least and at most."""
MOSTLY = 0.5
"""Share that is read as the class where the generator is said to know it."""
UNKNOWN = (
    "the generator does not know {names}: of {n} images asked for as {first}, {who}. Nothing was "
    "synthesised. Give a generator.model that knows it, or make one of images like yours "
    "('fairfed train-generator'); start from your own images (conditioning.start_from_real); "
    "invert a classifier of them, which asks no words (synthesis.generator = 'inversion' in an "
    "augmentation, inversion in an arm of a run); or set semantic.allow_unknown = true, which "
    "every report then says"
)


@dataclass(frozen=True)
class ClassTrial:
    """What was read in `n` synthetic images of a class.

    `read` of them are the class to CLIP, `recognised` to a classifier of the site's real images,
    None where the site has too few of the class. By guessing it would be the share `chance`.
    """

    class_name: str
    n: int
    read: int
    recognised: int | None
    chance: float

    @property
    def verdict(self) -> str:
        """Whether the generator knows the class, in words; the stricter reader decides."""
        if self.n < LEAST_MADE:
            return UNTRIED
        right = self.read if self.recognised is None else min(self.read, self.recognised)
        if not share(right, self.n)[0] > self.chance:
            return NOT
        return KNOWS if right >= MOSTLY * self.n else PARTLY

    def explain(self) -> str:
        """Who takes how many for the class."""
        own = ""
        if self.recognised is not None:
            own = f", and a classifier of your real images {self.recognised}"
        return f"CLIP takes {self.read} for it{own}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "verdict": self.verdict}


Known = tuple["Vectors", npt.NDArray[np.int64]]
"""Embeddings of some real images ``[n, d]``, and their class indices."""


def some_of_each(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions of enough images of each class for the classifier, the same ones always."""
    rng = np.random.default_rng(0)
    classes = np.unique(labels)
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:MOST_REAL] for label in classes]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def tried_cells(wanted: Cells, n: int) -> Cells:
    """Images of a trial by cell: of every class, up to `n` of the cell that most are wanted of."""
    tried = np.zeros_like(wanted)
    for label in np.flatnonzero(wanted.sum(1)):
        group = wanted[label].argmax()
        tried[label, group] = min(n, wanted[label, group])
    return tried


def try_classes(
    maker: Synthesiser, wanted: Cells, n: int, real: Known | None, owner: str = SHARED
) -> list[ClassTrial]:
    """Make the first `n` images of each class that is wanted, in one of its cells, and look.

    No more are made than are wanted.
    """
    space, scorer, learnt = maker.space, maker.scorer, _classifier(real)
    tried, trials = tried_cells(wanted, n), []
    for label, group in np.argwhere(tried).tolist():
        made = maker.first(label, group, int(tried[label, group]), owner)
        vectors = scorer.embed(np.stack(made))
        by_class = np.logaddexp.reduce(scorer.scores_of(vectors), axis=2)
        recognised = None
        if learnt is not None and label in learnt.classes_:
            recognised = int((learnt.predict(vectors) == label).sum())
        read = int((by_class.argmax(1) == label).sum())
        name, chance = space.classes[label], 1 / len(space.classes)
        trials.append(ClassTrial(name, len(made), read, recognised, chance))
    return trials


def refuse_unknown(trials: Sequence[ClassTrial]) -> None:
    """Refuse classes that the generator does not know; the `InputError` says what to do."""
    unknown = [trial for trial in trials if trial.verdict == NOT]
    if unknown:
        first = unknown[0]
        names = ", ".join(trial.class_name for trial in unknown)
        raise InputError(
            UNKNOWN.format(names=names, n=first.n, first=first.class_name, who=first.explain())
        )


def _classifier(real: Known | None) -> Any:
    """A logistic regression on embeddings of real images; None with fewer than two classes."""
    if real is None:
        return None
    from sklearn.linear_model import LogisticRegression

    # Strongly regularised on unit vectors: it shall not mind that synthetic images look synthetic.
    embeddings, labels = real
    enough = np.flatnonzero(np.bincount(labels, minlength=1) >= LEAST_REAL)
    rows = np.isin(labels, enough)
    if len(enough) < 2:
        return None
    return LogisticRegression(max_iter=1000).fit(embeddings[rows], labels[rows])
