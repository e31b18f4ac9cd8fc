"""Whether a generator knows what it is asked for: a few images of each class come first.

CLIP reads their class and the values of sensitive columns, and a small classifier of the site's
real images their class, as far as the site has it. What neither takes for its class, no curation
will make of it. How far they are from real images, and what the generator's autoencoder makes of
those, is said beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evaluation.quality.kernel import kid
from evaluation.quality.measured import Measured
from generators.synthesis import SHARED, Synthesiser
from semantic.errors import InputError
from semantic.naming import CROSSED, UNNAMED_GROUPS
from semantic.sight import KNOWS, NOT, PARTLY, UNTRIED, share

if TYPE_CHECKING:
    from generators.plan import Cells
    from generators.requests import Image
    from semantic.arrays import Vectors
    from semantic.space import SemanticSpace

LEAST_MADE = 8
"""Synthetic images of a class that a verdict needs."""
LEAST_REAL, MOST_REAL = 10, 50
"""Real images of a class that the classifier learns from, at least and at most."""
MOSTLY = 0.5
"""Share that is read as the class where the generator is said to know it."""
FARTHEST = 25.0
"""Mean difference (0 to 255) of images and their renderings, above which an autoencoder does not
know them: the bundled one differs by 6 on clothes, and by 80 on line drawings."""
RENDERED = 64
"""Real images that are rendered to find out, at most."""
UNKNOWN = (
    "the generator does not know {names}: of {n} images asked for as {first}, {who}. Nothing was "
    "synthesised. Give a generator.model that knows it, or make one of images like yours "
    "('fairfed train-generator'); start from your own images (conditioning.start_from_real); "
    "invert a classifier of them, which asks no words (synthesis.generator = 'inversion' in an "
    "augmentation, inversion in an arm of a run); or set semantic.allow_unknown = true, which "
    "every report then says"
)
UNSHOWN = (
    "the generator does not show {first}: of {n} images asked for with one of its values, {who}, "
    "as guessing would. Nothing was synthesised. Say the values in words that it knows "
    "(semantic.group_prompts); give a generator.model that knows them, or make one of images like "
    "yours ('fairfed train-generator'); start from your own images "
    "(conditioning.start_from_real); leave {first} out of data.sensitive; or set "
    "semantic.allow_unknown = true, which every report then says"
)
WORDS = (UNTRIED, NOT, PARTLY, KNOWS)
"""Verdicts, by the number that stands for each in a message."""


@dataclass(frozen=True)
class Trial:
    """What was read in `n` synthetic images of a class, or of several for a sensitive column.

    `read` of them show to CLIP what was asked for, `recognised` to a classifier of the site's real
    images, None where the site has too few of the class, and for a column. By guessing it would be
    the share `chance`.
    """

    name: str
    n: int
    read: int
    recognised: int | None
    chance: float

    @property
    def verdict(self) -> str:
        """Whether the generator knows it, in words; the stricter reader decides."""
        if self.n < LEAST_MADE:
            return UNTRIED
        right = self.read if self.recognised is None else min(self.read, self.recognised)
        if not share(right, self.n)[0] > self.chance:
            return NOT
        return KNOWS if right >= MOSTLY * self.n else PARTLY

    def explain(self) -> str:
        """Who takes how many for what was asked for."""
        own = ""
        if self.recognised is not None:
            own = f", and a classifier of your real images {self.recognised}"
        return f"CLIP takes {self.read} for it{own}"

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "verdict": self.verdict}


@dataclass(frozen=True)
class Trials:
    """What came of a generator's first images."""

    classes: tuple[Trial, ...] = ()  # of each class that is wanted
    columns: tuple[Trial, ...] = ()  # of each sensitive column that prompts name
    # Distance of these images from real ones of the same classes, in CLIP's space, as many of each
    # class; None where the site has none.
    kid: Measured | None = None
    # Mean difference (0 to 255) of real images and what the generator's autoencoder makes of them.
    rendering: float | None = None
    made: int = 0  # images that were made for it, which were not there

    def __bool__(self) -> bool:
        """Whether anything was tried."""
        return bool(self.classes)

    def codes(self, names: Sequence[str]) -> list[int]:
        """Verdicts on these classes or columns as numbers, positions in `WORDS`."""
        words = {found.name: found.verdict for found in (*self.classes, *self.columns)}
        return [WORDS.index(words.get(name, UNTRIED)) for name in names]

    @property
    def unknown(self) -> tuple[Trial, ...]:
        """Classes and columns that the generator does not know."""
        return tuple(found for found in (*self.classes, *self.columns) if found.verdict == NOT)

    def lines(self) -> Iterator[str]:
        """What is measured beside the verdicts, a sentence each."""
        if self.kid is not None and self.kid.value is not None:
            chance = "" if self.kid.chance is None else f", by chance at most {self.kid.chance:.2f}"
            yield (
                f"{self.kid.n_synthetic} of its images are {self.kid.value:.2f} from as many real "
                f"ones (KID){chance}"
            )
        if self.rendering is not None:
            what = "does not know" if self.rendering > FARTHEST else "knows"
            yield (
                f"its autoencoder {what} your real images: it errs by {self.rendering:.1f} of 255 "
                "on average"
            )

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "classes": [trial.to_json() for trial in self.classes],
            "columns": [trial.to_json() for trial in self.columns],
            "kid": None if self.kid is None else asdict(self.kid),
            "rendering": self.rendering,
            "said": list(self.lines()),
        }

    def refuse_unknown(self) -> None:
        """Refuse what the generator does not know; the `InputError` says what to do."""
        if not self.unknown:
            return
        first = self.unknown[0]
        said = {"n": first.n, "first": first.name, "who": first.explain()}
        if first in self.columns:
            raise InputError(UNSHOWN.format(**said))
        names = ", ".join(found.name for found in self.unknown if found in self.classes)
        raise InputError(UNKNOWN.format(names=names, **said))


@dataclass(frozen=True, eq=False)
class Known:
    """Some real images ``[n, H, W, 3]``, their embeddings ``[n, d]`` and class indices ``[n]``."""

    images: Image
    embeddings: Vectors
    labels: npt.NDArray[np.int64]


def some_of_each(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Positions of enough images of each class for the classifier, the same ones always."""
    rng = np.random.default_rng(0)
    classes = np.unique(labels)
    chosen = [rng.permutation(np.flatnonzero(labels == label))[:MOST_REAL] for label in classes]
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def tried_cells(wanted: Cells, n: int) -> Cells:
    """Images of a trial by cell: up to `n` of every class, spread over the groups that want any."""
    tried = np.zeros_like(wanted)
    for _ in range(n):
        left = np.where(tried < wanted, -tried, -n - 1)
        rows = np.flatnonzero((tried < wanted).any(1))
        tried[rows, left[rows].argmax(1)] += 1
    return tried


def try_generator(
    maker: Synthesiser,
    wanted: Cells,
    n: int,
    real: Known,
    sensitive: Sequence[str] = (),
    owner: str = SHARED,
) -> Trials:
    """Make the first `n` images of each class that is wanted, and look.

    No more are made than are wanted. `sensitive` are the columns whose values the groups cross.
    """
    tried = tried_cells(wanted, n)
    cells = np.argwhere(tried)
    if not len(cells):
        return Trials()
    maker.announce(tried, owner)
    found = [maker.first(c, g, int(tried[c, g]), owner) for c, g in cells.tolist()]
    vectors = maker.scorer.embed(np.concatenate([np.stack(images) for images, _ in found]))
    labels, groups = np.repeat(cells, tried[tried > 0], axis=0).T
    scores = maker.scorer.scores_of(vectors)
    rendering = None
    if len(real.images):
        some = np.linspace(0, len(real.images) - 1, RENDERED).astype(np.int64)
        rendering = rendering_error(maker, real.images[np.unique(some)])
    return Trials(
        tuple(_classes(maker.space, scores, vectors, labels, real)),
        tuple(_columns(maker.space, scores, labels, groups, sensitive)),
        _distance(vectors, labels, real),
        rendering,
        sum(made for _, made in found),
    )


def rendering_error(maker: Synthesiser, images: Image) -> float:
    """Mean difference (0 to 255) of images and what the generator's autoencoder makes of them."""
    rendered = maker.autoencode(images)
    return float(np.abs(images.astype(np.int16) - rendered).mean())


def _classes(
    space: SemanticSpace,
    scores: Vectors,
    vectors: Vectors,
    labels: npt.NDArray[np.int64],
    real: Known,
) -> Iterator[Trial]:
    learnt = _classifier(real)
    by_class = np.logaddexp.reduce(scores, axis=2).argmax(1)
    predicted = None if learnt is None else learnt.predict(vectors)
    for label in np.unique(labels).tolist():
        own, recognised = labels == label, None
        if predicted is not None and label in learnt.classes_:
            recognised = int((predicted[own] == label).sum())
        read, chance = int((by_class[own] == label).sum()), 1 / len(space.classes)
        yield Trial(space.classes[label], int(own.sum()), read, recognised, chance)


def _columns(
    space: SemanticSpace,
    scores: Vectors,
    labels: npt.NDArray[np.int64],
    groups: npt.NDArray[np.int64],
    sensitive: Sequence[str],
) -> Iterator[Trial]:
    """CLIP's reading of each column in images whose prompts named a value of it.

    A classifier of real images is not asked: where groups and classes go together, it would read
    the one by the other.
    """
    parts = [space.spoken.get(group, group).split(CROSSED) for group in space.groups]
    for position, column in enumerate(sensitive):
        own = [part[position] if position < len(part) else UNNAMED_GROUPS[0] for part in parts]
        values = [value for value in dict.fromkeys(own) if value not in UNNAMED_GROUPS]
        codes = np.array([values.index(v) if v in values else -1 for v in own], np.int64)
        asked = codes[groups]
        rows = np.flatnonzero(asked >= 0)
        if len(values) < 2 or not len(rows):
            continue
        given = scores[rows, labels[rows]]
        each = [np.logaddexp.reduce(given[:, codes == v], axis=1) for v in range(len(values))]
        read = int((np.stack(each, 1).argmax(1) == asked[rows]).sum())
        yield Trial(column, len(rows), read, None, 1 / len(values))


def _distance(vectors: Vectors, labels: npt.NDArray[np.int64], real: Known) -> Measured | None:
    """KID of as many images of each class of either kind; None where no class has both."""
    ours, theirs = [], []
    for label in np.intersect1d(labels, real.labels).tolist():
        made, held = np.flatnonzero(labels == label), np.flatnonzero(real.labels == label)
        n = min(len(made), len(held))
        ours.append(vectors[made[:n]])
        theirs.append(real.embeddings[held[:n]])
    return kid(np.concatenate(theirs), np.concatenate(ours), gamma=1.0) if ours else None


def _classifier(real: Known) -> Any:
    """A logistic regression on embeddings of real images; None with fewer than two classes."""
    from sklearn.linear_model import LogisticRegression

    # Strongly regularised on unit vectors: it shall not mind that synthetic images look synthetic.
    enough = np.flatnonzero(np.bincount(real.labels, minlength=1) >= LEAST_REAL)
    rows = np.isin(real.labels, enough)
    if len(enough) < 2:
        return None
    return LogisticRegression(max_iter=1000).fit(real.embeddings[rows], real.labels[rows])
