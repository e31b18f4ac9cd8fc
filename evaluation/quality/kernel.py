"""Distances between two sets of embeddings by kernels: KID and CLIP-MMD.

Both are squared maximum mean discrepancies (Gretton et al. 2012, JMLR 13), estimated without bias:
0 is expected of equal distributions whatever n is, and a value below 0 is no mistake. A number
belongs to its encoder and is compared only with numbers of the same one.

* **KID** (Bińkowski et al. 2018, arXiv:1801.01401): kernel (γ x·y + 1)³ with γ = 1/d, mean over
  random subsets. Published values use Inception features, whose squared length is about d; for unit
  embeddings γ = 1 keeps the kernel from being nearly linear.
* **CMMD** (Jayasumana et al. 2024, arXiv:2401.09603): embeddings scaled to unit length, kernel
  exp(−‖x − y‖²/2σ²) with σ = 10, times 1000. Published values use CLIP ViT-L/14 at 336 pixels; the
  authors' program keeps the diagonal (``biased=True`` here), which adds at most 20 (1/n + 1/m).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import InputError
from evaluation.quality.embedded import check_pair
from evaluation.quality.measured import Measured, too_few
from evaluation.rates import FloatArray

N_MIN = 20
SUBSETS = 100
SUBSET_SIZE = 1000
SIGMA = 10.0
SCALE = 1000.0
SAMPLE = 2000
PERMUTATIONS = 200
LEVEL = 0.95


def kid(
    real: ArrayLike,
    synthetic: ArrayLike,
    *,
    gamma: float | None = None,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Measured:
    """Kernel inception distance, averaged over subsets, and what chance alone stays under.

    Parameters
    ----------
    real, synthetic : array_like, shapes (n_real, d) and (n_synthetic, d)
        Embeddings of one encoder, at least 20 of each.
    gamma : float, optional
        Factor of the dot product in the kernel; 1/d by default, as published.
    subsets, subset_size : int
        Number of pairs of subsets, drawn without replacement, and images in each at most. Where a
        set has no more than that, it is used whole, and there is one pair.
    permutations : int
        Random relabellings of real and synthetic in the last pair, which give ``chance`` (too
        large for a mean over many pairs: cautious); 0 for none.
    seed : int
        Seed of subsets and permutations.

    Returns
    -------
    Measured
        Its ``sd`` is over subsets, and is given where both sets are twice as large or larger:
        subsets that share most of their images vary less than the value does.
    """
    a, b = check_pair(real, synthetic)
    if subsets < 1 or subset_size < 2:
        raise InputError(
            f"KID needs 1 subset of 2 images at least, got {subsets} of {subset_size} images"
        )
    if reason := too_few(len(a), len(b), N_MIN):
        return Measured(None, len(a), len(b), reason=reason)
    smaller = min(len(a), len(b))
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(subsets if smaller > subset_size else 1):
        x, y = (draw(points, min(subset_size, len(points)), rng) for points in (a, b))
        gram = cubic_kernel(np.concatenate([x, y]), gamma)
        values.append(_mmd2(gram, len(x)))
    return Measured(
        float(np.mean(values)),
        len(a),
        len(b),
        sd=float(np.std(values)) if len(values) > 1 and 2 * subset_size <= smaller else None,
        expected=0.0,
        chance=_chance(gram, len(x), permutations, rng),
    )


def cmmd(
    real: ArrayLike,
    synthetic: ArrayLike,
    *,
    sigma: float = SIGMA,
    scale: float = SCALE,
    sample: int = SAMPLE,
    permutations: int = PERMUTATIONS,
    biased: bool = False,
    seed: int = 0,
) -> Measured:
    """CLIP maximum mean discrepancy, with the value that chance alone stays under.

    Parameters
    ----------
    real, synthetic : array_like, shapes (n_real, d) and (n_synthetic, d)
        Embeddings of one encoder, at least 20 of each; scaled to unit length here.
    sigma, scale : float
        Bandwidth of the kernel (in units of unit embeddings) and factor of the result.
    sample : int
        Images of either kind that are used at most, drawn at random; ``n_real`` and
        ``n_synthetic`` of the result are those used.
    permutations : int
        Random relabellings of real and synthetic that give ``chance``; 0 for none.
    biased : bool
        Keep the diagonal of the kernel, as the authors' program does.
    seed : int
        Seed of the sample and of the permutations.
    """
    a, b = check_pair(real, synthetic)
    if reason := too_few(len(a), len(b), N_MIN):
        return Measured(None, len(a), len(b), reason=reason)
    rng = np.random.default_rng(seed)
    a, b = (draw(_unit(x), min(sample, len(x)), rng) for x in (a, b))
    gram = scale * gaussian_kernel(np.concatenate([a, b]), sigma)
    value = _mmd2(gram, len(a), biased)
    chance = _chance(gram, len(a), permutations, rng, biased)
    return Measured(value, len(a), len(b), expected=None if biased else 0.0, chance=chance)


def cubic_kernel(points: FloatArray, gamma: float | None = None) -> FloatArray:
    """KID's kernel (γ x·y + 1)³ of all pairs, γ = 1/d by default; shape ``(n, n)``."""
    factor = 1 / points.shape[1] if gamma is None else gamma
    values: FloatArray = (factor * (points @ points.T) + 1) ** 3
    return values


def gaussian_kernel(points: FloatArray, sigma: float = SIGMA) -> FloatArray:
    """Kernel exp(−‖x − y‖²/2σ²) of all pairs; shape ``(n, n)``."""
    from sklearn.metrics.pairwise import rbf_kernel

    values: FloatArray = rbf_kernel(points, gamma=1 / (2 * sigma**2))
    return values


def draw(points: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
    """Draw points without replacement; all of them in their order if as many are asked for."""
    if size == len(points):
        return points
    drawn: FloatArray = points[rng.choice(len(points), size, replace=False)]
    return drawn


def _mmd2(gram: FloatArray, n: int, biased: bool = False) -> float:
    """MMD² of the first n points and the others (Gretton et al. 2012, equation 3)."""
    return float(_split_mmd2(gram, (np.arange(len(gram)) < n)[:, None], biased)[0])


def _chance(
    gram: FloatArray, n: int, permutations: int, rng: np.random.Generator, biased: bool = False
) -> float | None:
    """MMD² that 95 % of the random splits into n points and the others stay under."""
    if permutations < 1:
        return None
    first = np.arange(len(gram)) < n
    shuffled = np.stack([rng.permutation(first) for _ in range(permutations)], axis=1)
    return float(np.quantile(_split_mmd2(gram, shuffled, biased), LEVEL))


def _split_mmd2(gram: FloatArray, first: NDArray[np.bool_], biased: bool) -> FloatArray:
    """MMD² of every split of the points behind a Gram matrix.

    Each column of ``first``, of shape ``(points, splits)``, says which points are of the first set.
    All splits are served by one product with the matrix.
    """
    ours = first.astype(np.float64)
    n, m = ours.sum(axis=0), (1 - ours).sum(axis=0)
    xx = (ours * (gram @ ours)).sum(axis=0)
    xy = gram.sum(axis=1) @ ours - xx
    yy = gram.sum() - xx - 2 * xy
    if biased:
        return np.asarray(xx / n**2 + yy / m**2 - 2 * xy / (n * m))
    diagonal = np.diag(gram)
    within_ours = (xx - diagonal @ ours) / (n * (n - 1))
    within_theirs = (yy - diagonal @ (1 - ours)) / (m * (m - 1))
    return np.asarray(within_ours + within_theirs - 2 * xy / (n * m))


def _unit(points: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    if (lengths == 0).any():
        row = int(np.flatnonzero(lengths == 0)[0])
        raise InputError(f"embedding {row} is all zeros and has no direction; leave the image out")
    unit: FloatArray = points / lengths
    return unit
