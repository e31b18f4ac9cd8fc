"""How well an attack tells members from others: area under the ROC curve, and hits at few alarms.

Every row has a score, larger where the attacker takes it for a member. What counts for a person is
less the area than the share of members that are found while hardly anybody else is (Carlini et al.,
S&P 2022, arXiv 2112.03570).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.intervals import LEVEL, Interval

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

ALARMS = 0.01
"""Share of others that may be taken for members."""
REPLICATES = 500
VARIANCE = 1e-6


@dataclass(frozen=True)
class Attacked:
    """What one attack on one target comes to, for all rows or those of a group.

    Attributes
    ----------
    target, attack
        What was attacked, and how.
    group
        Whose rows; None for all.
    members, others
        How many rows of each.
    auc
        Area under the ROC curve: .5 for guessing, 1 for certainty.
    found
        Share of members whose score is above all but 1 % of the others'; NaN with fewer than 100
        others, of whom that is less than one.
    """

    target: str
    attack: str
    group: str | None
    members: int
    others: int
    auc: Interval
    found: Interval

    def to_json(self) -> dict[str, Any]:
        """Plain data; what is undefined is None."""
        plain = asdict(self)
        for name in ("auc", "found"):
            interval = plain[name]
            plain[name] = {
                key: None if np.isnan(interval[key]) else interval[key]
                for key in ("value", "low", "high")
            }
        return plain


def auc(members: Floats, others: Floats) -> float:
    """Probability that a member's score is above another's, ties counted half; NaN without both."""
    if not len(members) or not len(others):
        return float("nan")
    ordered = np.sort(others)
    below = np.searchsorted(ordered, members, "left")
    ties = np.searchsorted(ordered, members, "right") - below
    return float((below + ties / 2).sum() / (len(members) * len(others)))


def auc_within(
    scores: Floats, cells: NDArray[np.int64], members: NDArray[np.int64], others: NDArray[np.int64]
) -> float:
    """Mean over cells of the area within each that has both, by its number of members."""
    found, weights = [], []
    for cell in np.unique(cells[members]):
        inside = members[cells[members] == cell]
        area = auc(scores[inside], scores[others[cells[others] == cell]])
        if not np.isnan(area):
            found.append(area)
            weights.append(len(inside))
    return float(np.average(found, weights=weights)) if found else float("nan")


def found_at(members: Floats, others: Floats, alarms: float = ALARMS) -> float:
    """Share of members above all but a share of the others; NaN where that is less than one."""
    allowed = int(alarms * len(others))
    if allowed < 1 or not len(members):
        return float("nan")
    threshold = np.sort(others)[len(others) - allowed - 1]
    return float((members > threshold).mean())


def measured(
    target: str,
    attack: str,
    scores: Floats,
    member: Mask,
    group: str | None = None,
    seed: int = 0,
    strata: NDArray[np.int64] | None = None,
) -> Attacked:
    """An attack's measures with bootstrap intervals: members and others are drawn apart.

    Parameters
    ----------
    target, attack, group
        As of `Attacked`.
    scores, member
        Of every row ``[n]``: its score, and whether it is a member.
    seed
        Of the bootstrap.
    strata
        Cell of every row ``[n]``: the area is then the mean of those within cells, so that members
        of other cells than the others' do not look found, or hidden.
    """
    cells = np.zeros(len(scores), np.int64) if strata is None else strata
    inside, outside = np.flatnonzero(member), np.flatnonzero(~member)
    draws = np.random.default_rng(seed)
    values: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPLICATES if len(inside) and len(outside) else 0):
        one, other = (draws.choice(rows, len(rows)) for rows in (inside, outside))
        values[0].append(auc_within(scores, cells, one, other))
        values[1].append(found_at(scores[one], scores[other]))
    both = auc_within(scores, cells, inside, outside), found_at(scores[inside], scores[outside])
    intervals = [
        _interval(value, own, len(scores)) for value, own in zip(both, values, strict=True)
    ]
    return Attacked(target, attack, group, len(inside), len(outside), *intervals)


def _interval(value: float, replicates: list[float], n: int) -> Interval:
    low = high = float("nan")
    if replicates and not np.isnan(value):
        tail = (1 - LEVEL) / 2
        low, high = (float(end) for end in np.quantile(replicates, (tail, 1 - tail)))
    return Interval(value, low, high, n, LEVEL, len(replicates), 0.0)


def confidence(probabilities: Floats, labels: NDArray[np.int64]) -> Floats:
    """Log odds of the true class, ``[n]``: nearly Gaussian, where the loss is not."""
    right = probabilities[np.arange(len(labels)), labels].clip(1e-12, 1 - 1e-12)
    return np.asarray(np.log(right) - np.log1p(-right))


def likelihood_ratios(target: Floats, shadows: Floats, inside: Mask) -> Floats:
    """LiRA: log ratio of a row's confidence as a member and as none, by shadow models.

    With few shadows one variance is shared by all rows, as Carlini et al. advise.

    Parameters
    ----------
    target
        Confidences ``[n]`` under the model that is attacked.
    shadows
        Under each shadow model, ``[shadows, n]``.
    inside
        Which rows each shadow was trained on, likewise; every row in some and not in others.
    """
    means, variances = [], []
    for there in (inside, ~inside):
        count = there.sum(0)
        mean = (shadows * there).sum(0) / count
        spread = (np.square(shadows - mean) * there).sum() / max(1, int((count - 1).sum()))
        means.append(mean)
        variances.append(spread + VARIANCE)
    logs = [
        -np.square(target - mean) / (2 * variance) - np.log(variance) / 2
        for mean, variance in zip(means, variances, strict=True)
    ]
    return np.asarray(logs[0] - logs[1])
