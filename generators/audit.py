"""Bias audit of a generator: which groups it shows when the prompt names none.

For every class, images of a neutral prompt ("a photo of a coat") are made, CLIP reads the group of
each (`generators.group_reading`), and the distribution over groups is compared with a target, its
distance with what chance makes. `fairfed augment` can use the result: it grants more tries to
groups that the generator shows too rarely.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from generators.group_reading import (
    GroupReading,
    read_groups,
    readable_groups,
    true_shares,
)
from generators.plan import Cells
from generators.requests import Generator, Request, request_seed
from semantic.arrays import Floats
from semantic.errors import InputError
from semantic.naming import UNNAMED_GROUPS
from semantic.space import Cell, CellScorer, SemanticSpace

OWNER = "audit"
"""Owner of the images that an audit makes; see `request_seed`."""

NEUTRAL = UNNAMED_GROUPS[0]
"""Group of a cell whose prompt names none."""

ALL_CLASSES = "all classes"
LEVEL = 0.95
DRAWS = 4000
"""Draws from the target behind the distance that chance makes."""


@dataclass(frozen=True)
class GroupShares:
    """How a class's images distribute over groups.

    `counts` are of images read as each group, `shares` are over n. `intervals` are Wilson's of each
    share alone; in the `simultaneous` ones, Goodman's (1965, doi:10.1080/00401706.1965.10490252),
    all lie together with the stated level. `distance` is the total variation distance to the
    target, 0 to 1; images drawn from the target itself exceed `chance` with probability 1 − level.
    `p_value` is Pearson's chi-square test, approximate where n × target is below 5. `recognised` is
    the share of the images in which CLIP also reads the class: where it is low, the groups say
    little. `corrected` are shares corrected for CLIP's confusions, where real images of every group
    tell them.
    """

    class_name: str
    n: int
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]
    simultaneous: tuple[tuple[float, float], ...]
    target: tuple[float, ...]
    distance: float
    chance: float
    p_value: float
    recognised: float
    corrected: tuple[float, ...] | None

    @property
    def best(self) -> Floats:
        """The corrected shares where there are any, ``[n_groups]``."""
        return np.array(self.shares if self.corrected is None else self.corrected)


def judge_shares(
    class_name: str,
    counts: Cells,
    target: Floats,
    recognised: float,
    level: float,
    rng: np.random.Generator,
    reading: GroupReading | None = None,
) -> GroupShares:
    """Compare counts per group, ``[n_groups]``, with a target; see `GroupShares`."""
    n = int(counts.sum())
    shares = counts / n
    drawn = rng.multinomial(n, target, size=DRAWS) / n
    rates = None if reading is None else reading.rates()
    corrected = None if rates is None else tuple(true_shares(shares, rates).tolist())
    return GroupShares(
        class_name=class_name,
        n=n,
        counts=tuple(counts.tolist()),
        shares=tuple(shares.tolist()),
        intervals=score_intervals(counts, level),
        simultaneous=score_intervals(counts, 1 - (1 - level) / len(counts)),
        target=tuple(target.tolist()),
        distance=float(np.abs(shares - target).sum() / 2),
        chance=float(np.quantile(np.abs(drawn - target).sum(1) / 2, level)),
        p_value=_chi_square(counts, target),
        recognised=recognised,
        corrected=corrected,
    )


def score_intervals(counts: Cells, level: float) -> tuple[tuple[float, float], ...]:
    """Wilson's intervals; at level 1 − α/k for k groups they are Goodman's simultaneous ones."""
    from scipy.stats import binomtest

    n = int(counts.sum())
    found = [binomtest(int(k), n).proportion_ci(level, method="wilson") for k in counts]
    return tuple((float(interval.low), float(interval.high)) for interval in found)


def _chi_square(counts: Cells, target: Floats) -> float:
    from scipy.stats import chisquare

    possible = target > 0
    if counts[~possible].any():
        return 0.0  # something was seen that the target rules out
    if possible.sum() == 1:
        return 1.0
    return float(chisquare(counts[possible], target[possible] * counts.sum()).pvalue)


def target_shares(
    target: npt.ArrayLike | None, shape: tuple[int, int], groups: list[int]
) -> Floats:
    """Target of every class over the kept `groups`, ``[n_classes, len(groups)]``; rows sum to 1.

    It is given as shares or counts ``[n_groups]`` or ``[n_classes, n_groups]``; None for equal
    ones. A row of zeros, as of a class that the data does not have, takes the shares of all classes
    together.
    """
    wanted = np.ones(shape) if target is None else np.asarray(target, np.float64)
    if wanted.shape not in (shape, shape[1:]) or not np.isfinite(wanted).all() or wanted.min() < 0:
        raise InputError(
            f"the audit's target must be {shape[1]} shares, or {shape[0]} × {shape[1]}, none below "
            f"0; got the shape {wanted.shape}"
        )
    kept = np.broadcast_to(wanted, shape)[:, groups]
    pooled = kept.sum(0)
    if not pooled.any():
        raise InputError("the audit's target is 0 for every group that an image can show")
    filled = np.where(kept.any(1, keepdims=True), kept, pooled)
    shares: Floats = filled / filled.sum(1, keepdims=True)
    return shares


@dataclass(frozen=True)
class GeneratorAudit:
    """What a generator shows when it is asked for a class alone.

    `generator` and `scorer` are fingerprints. CLIP was asked to tell `groups` apart (in the order
    of every row's numbers; `columns` are their positions among the label space's groups). `classes`
    has a row per class of the label space; `overall` has the images of all together, against the
    mean target: opposite biases of two classes cancel in it. `reading` is how CLIP reads the groups
    of real images.
    """

    generator: str
    scorer: str
    seed: int
    level: float
    groups: tuple[str, ...]
    columns: tuple[int, ...]
    classes: tuple[GroupShares, ...]
    overall: GroupShares
    reading: GroupReading | None = None

    @property
    def biased(self) -> tuple[str, ...]:
        """Classes that differ from their target by more than chance, over all classes together.

        Bonferroni: each class is tested at (1 − level) / number of classes.
        """
        least = (1 - self.level) / len(self.classes)
        return tuple(row.class_name for row in self.classes if row.p_value < least)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {**asdict(self), "biased": list(self.biased)}

    def rows(self) -> list[dict[str, str]]:
        """Rows of a table, by column: one per class, and the last for all of them."""
        return [self._row(row) for row in (*self.classes, self.overall)]

    def _row(self, row: GroupShares) -> dict[str, str]:
        known = zip(self.groups, row.shares, row.intervals, strict=True)
        shares = {group: f"{p:.0%} [{low:.0%}, {high:.0%}]" for group, p, (low, high) in known}
        return {
            "class": row.class_name,
            "n": str(row.n),
            **shares,
            "distance": f"{row.distance:.2f}",
            "chance": f"{row.chance:.2f}",
            "p": f"{row.p_value:.2g}",
            "recognised": f"{row.recognised:.0%}",
        }


def audit_generator(
    generator: Generator,
    scorer: CellScorer,
    images_per_class: int,
    seed: int,
    target: npt.ArrayLike | None = None,
    reading: GroupReading | None = None,
    level: float = LEVEL,
) -> GeneratorAudit:
    """Audit a generator with neutral prompts of every class.

    Parameters
    ----------
    images_per_class
        At least 1; with 100, a share is known to about ± 10 points.
    seed
        Fixes every image and the draws behind `GroupShares.chance`. With a generator that keeps its
        images (`generators.stored`), an interrupted audit continues where it stopped.
    target
        Floats or counts per group, or per class × group of the scorer's space, such as the real
        images per cell; see `target_shares`. None for equal shares.
    reading
        From `group_reading`, to state and to correct CLIP's confusions.
    level
        Confidence level of the intervals, in (0, 1).

    Raises
    ------
    InputError
        If there are not two groups to tell apart, or a number or the target is out of range.
    """
    if images_per_class < 1 or not 0 < level < 1:
        raise InputError(
            "an audit needs 1 image a class at least and a level between 0 and 1, got "
            f"{images_per_class} and {level}"
        )
    space, columns = scorer.space, readable_groups(scorer.space)
    targets = target_shares(target, (len(space.classes), len(space.groups)), columns)
    read = [
        _neutral_images(generator, scorer, c, images_per_class, seed, len(columns))
        for c in range(len(space.classes))
    ]
    counts = np.array([row for row, _ in read])
    recognised = [share for _, share in read]
    rng = np.random.default_rng(seed)
    classes = tuple(
        judge_shares(name, counts[c], targets[c], recognised[c], level, rng, reading)
        for c, name in enumerate(space.classes)
    )
    overall = judge_shares(
        ALL_CLASSES, counts.sum(0), targets.mean(0), float(np.mean(recognised)), level, rng, reading
    )
    return GeneratorAudit(
        generator=generator.fingerprint,
        scorer=scorer.fingerprint,
        seed=seed,
        level=level,
        groups=tuple(space.groups[g] for g in columns),
        columns=tuple(columns),
        classes=classes,
        overall=overall,
        reading=reading,
    )


def neutral_requests(space: SemanticSpace, label: int, n: int, seed: int) -> list[Request]:
    """What an audit of these arguments asks for a class."""
    cell = Cell(space.classes[label], NEUTRAL)
    prompt = space.prompts(cell)[0]
    return [Request(cell, prompt, request_seed(seed, OWNER, cell, i)) for i in range(n)]


def _neutral_images(
    generator: Generator, scorer: CellScorer, label: int, n: int, seed: int, groups: int
) -> tuple[Cells, float]:
    """Images read as each group, and the share in which the class is recognised."""
    requests = neutral_requests(scorer.space, label, n, seed)
    counts = np.zeros(groups, np.int64)
    recognised = 0
    for start in range(0, n, generator.batch_size):
        images = generator.generate(requests[start : start + generator.batch_size])
        scores = scorer.scores(images)
        labels = np.full(len(scores), label, np.int64)
        counts += np.bincount(read_groups(scorer.space, scores, labels), minlength=groups)
        classes = np.logaddexp.reduce(scores, axis=2).argmax(1)
        recognised += int((classes == label).sum())
    return counts, recognised / n
