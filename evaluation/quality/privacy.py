"""Memorisation: whether synthetic images lie closer to training images than real ones do.

Two checks on distances of embeddings, both with the value that chance gives.

* **Closeness**: a synthetic image that repeats a training image lies closer to it than real images
  lie to one another. The share of synthetic images closer than the 1 % (5 %) quantile of the real
  leave-one-out distances is about 1 % (5 %) if the generator only learnt the distribution. (The
  distance to the closest record is a common check of synthetic data; see Meehan et al. 2020,
  arXiv:2004.05675, for why the comparison has to be with real data.)
* **Membership**: the attack on synthetic data without access to the generator (Chen et al. 2020,
  GAN-Leaks, arXiv:1909.03935): an image is taken for a member of the training set if some synthetic
  image is close to it. Its AUC against images held out is 0.5 if nothing leaks.

Neither is a guarantee: a check that finds nothing does not bound what a better attack would find.
Differential privacy does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import InputError
from evaluation.intervals import LEVEL, wilson_interval
from evaluation.quality.embedded import Embedded, check_pair, nearest_distances
from evaluation.quality.measured import TOO_FEW, Measured, share
from evaluation.rates import FloatArray

QUANTILES = (0.01, 0.05)
N_MIN = 20
SEPARATE = "the held-out images share no class × group with {} training images and {} of their own"


def closeness(
    synthetic: ArrayLike, training: ArrayLike, quantiles: Sequence[float] = QUANTILES
) -> dict[float, Measured]:
    """Share of synthetic images that lie unusually close to a training image.

    Parameters
    ----------
    synthetic, training : array_like, shapes (n_synthetic, d) and (n_real, d)
        Embeddings of one encoder.
    quantiles : sequence of float
        Quantiles of the real leave-one-out distances, in (0, 1).

    Returns
    -------
    dict of float to Measured
        Per quantile the share, its Wilson interval (the quantile taken as given), the share to
        expect, which is the quantile itself, and the share that chance alone stays under
        (`chance_of_close`). Refused below 20 synthetic images or ``1 / quantile`` training images:
        below that the quantile is no more than the smallest distance.
    """
    real, made = check_pair(training, synthetic)
    if not all(0 < quantile < 1 for quantile in quantiles):
        raise InputError(f"quantiles must lie between 0 and 1, got {tuple(quantiles)}")
    reasons = {q: _too_few_for(q, len(real), len(made)) for q in quantiles}
    found = {q: Measured(None, len(real), len(made), reason=r) for q, r in reasons.items() if r}
    if len(found) < len(reasons):
        apart, near = nearest_distances(real), nearest_distances(made, real)
        for q in reasons.keys() - found.keys():
            close = int((near < np.quantile(apart, q)).sum())
            measure = share(wilson_interval(close, len(made)), len(real), len(made), q)
            found[q] = replace(measure, chance=chance_of_close(q, len(real), len(made)))
    return dict(sorted(found.items()))


def chance_of_close(quantile: float, n_real: int, n_synthetic: int, level: float = LEVEL) -> float:
    """Share of close images that new draws from the real distribution stay under with `level`.

    The quantile is the k-th smallest of n real distances, k = 1 + (n − 1) quantile, so the share of
    the distribution below it is Beta(k, n + 1 − k), and the number of close images beta-binomial.
    Nearest neighbours of each other have one distance between them: n and k are halved, which is
    cautious. There must be ``1 / quantile`` real images.
    """
    from scipy.stats import betabinom

    k = 1 + (n_real - 1) * quantile
    close = betabinom.ppf(level, n_synthetic, k / 2, (n_real + 1 - k) / 2)
    return float(close) / n_synthetic


def membership(synthetic: ArrayLike, training: Embedded, held_out: Embedded) -> Measured:
    """AUC with which closeness to a synthetic image tells training from held-out images.

    Only images of one cell are compared: where a client lacks a cell, synthetic images of it say
    which cell they show, not whose image they repeat.

    Parameters
    ----------
    synthetic : array_like, shape (n_synthetic, d)
        Embeddings of the synthetic images.
    training, held_out : Embedded
        Real images that the generator (or the client's choice of synthetic images) has and has not
        seen, disjoint, from one distribution within each cell.

    Returns
    -------
    Measured
        AUC in [0, 1], 0.5 expected, with the score interval of Newcombe 2006 (`auc_interval`).
        Cells weigh as many as they have pairs; those with fewer than 20 images of either are left
        out. ``n_real`` counts training and held-out images.
    """
    members, made = check_pair(training.vectors, synthetic)
    check_pair(held_out.vectors, made)
    if len(made) < 1:
        return Measured(None, len(members), 0, reason="no synthetic images")
    cells = _common_cells(training.cells, held_out.cells)
    if not cells:
        n_real = len(training) + len(held_out)
        return Measured(None, n_real, len(made), reason=SEPARATE.format(N_MIN, N_MIN))
    inside, outside = nearest_distances(members, made), nearest_distances(held_out.vectors, made)
    areas, sizes = [], []
    for cell in cells:
        ours, theirs = inside[training.cells == cell], outside[held_out.cells == cell]
        areas.append(area_under_curve(ours, theirs))
        sizes.append((len(ours), len(theirs)))
    auc = float(np.average(areas, weights=[m * n for m, n in sizes]))
    low, high = auc_interval(auc, sizes)
    return Measured(auc, int(np.sum(sizes)), len(made), low, high, expected=0.5)


def area_under_curve(ours: FloatArray, theirs: FloatArray) -> float:
    """Probability that a distance of ours is smaller than one of theirs, ties counting half."""
    from scipy.stats import rankdata

    m, n = len(ours), len(theirs)
    ranks = rankdata(np.concatenate([theirs, ours]))
    return float(ranks[:n].sum() - n * (n + 1) / 2) / (m * n)


def auc_interval(
    auc: float, sizes: Sequence[tuple[int, int]], level: float = LEVEL
) -> tuple[float, float]:
    """Score interval of an AUC, or of a mean of AUCs over strata weighted by their pairs.

    Method 5 of Newcombe 2006 (Statistics in Medicine 25, 559-573, doi:10.1002/sim.2324): the ends θ
    are where |AUC − θ| is z standard errors at θ. Like Wilson's interval it has a width at 0 and 1.

    Parameters
    ----------
    auc : float
        In [0, 1].
    sizes : sequence of (int, int)
        Images of either kind per stratum, at least 1 each.
    level : float
        Confidence level, in (0, 1).
    """
    from scipy.optimize import brentq

    z = NormalDist().inv_cdf(0.5 + level / 2)
    pairs = sum(m * n for m, n in sizes)

    def excess(theta: float) -> float:
        variance = sum((m * n / pairs) ** 2 * _auc_variance(theta, m, n) for m, n in sizes)
        return float((auc - theta) ** 2 - z * z * variance)

    # The variance vanishes at 0 and 1, so the search starts just inside of the estimate.
    margin = 1e-9
    low = float(brentq(excess, 0.0, auc - margin)) if auc > margin else 0.0
    high = float(brentq(excess, auc + margin, 1.0)) if auc < 1 - margin else 1.0
    return low, high


def _auc_variance(theta: float, m: int, n: int) -> float:
    """Variance of an AUC of value θ (Hanley & McNeil 1982, with Newcombe's mean of m and n)."""
    others = (m + n) / 2 - 1
    pairs_share_one = others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
    return theta * (1 - theta) * (1 + pairs_share_one) / (m * n)


def _too_few_for(quantile: float, n_real: int, n_synthetic: int) -> str:
    needed = (
        ("training images", n_real, int(np.ceil(1 / quantile))),
        ("synthetic images", n_synthetic, N_MIN),
    )
    return "; ".join(
        TOO_FEW.format(have=n, what=what, need=need) for what, n, need in needed if n < need
    )


def _common_cells(training: NDArray[np.str_], held_out: NDArray[np.str_]) -> list[str]:
    """Cells with at least `N_MIN` images of either kind."""
    enough = []
    for cells in (training, held_out):
        names, n = np.unique(cells, return_counts=True)
        enough.append(set(names[n >= N_MIN].tolist()))
    return sorted(enough[0] & enough[1])
