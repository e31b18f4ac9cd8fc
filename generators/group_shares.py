"""Shares of groups among a class's images: intervals, and distance to a target against chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generators.group_reading import GroupReading, Shares, true_shares
from generators.plan import Cells
from semantic.errors import InputError

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
    def best(self) -> Shares:
        """The corrected shares where there are any, ``[n_groups]``."""
        return np.array(self.shares if self.corrected is None else self.corrected)


def judge_shares(
    class_name: str,
    counts: Cells,
    target: Shares,
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


def _chi_square(counts: Cells, target: Shares) -> float:
    from scipy.stats import chisquare

    possible = target > 0
    if counts[~possible].any():
        return 0.0  # something was seen that the target rules out
    if possible.sum() == 1:
        return 1.0
    return float(chisquare(counts[possible], target[possible] * counts.sum()).pvalue)


def target_shares(
    target: npt.ArrayLike | None, shape: tuple[int, int], groups: list[int]
) -> Shares:
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
    shares: Shares = filled / filled.sum(1, keepdims=True)
    return shares
