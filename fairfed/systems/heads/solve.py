"""Heads in closed form: pure functions of sums.

A head is linear: ``scores = x Wᵀ + b``, ``W`` of shape ``[C, d]``. `strength` is relative to the
mean variance of the features that it regularises, so that one grid serves all of them.

Departures. Fed3R has no intercept, an absolute λ and rows of ``W`` of norm 1 (it begins a
fine-tuning with them); ours has an intercept that is not regularised, and keeps ``W``. FedCOF's γ
is absolute, too; ours is relative to the mean square of the overall mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairfed.systems.heads.sums import Classes, Floats, Sums, total
from fairfed.systems.heads.variants import Method

NEVER = -1e9
"""Intercept of a class of which nothing is known."""


@dataclass(frozen=True, eq=False)
class Head:
    """A linear classifier: ``[C, d]`` and ``[C]``."""

    weight: Floats
    bias: Floats


def solve(method: Method, classes: Classes, strength: float) -> Head:
    """The head of a method; of FedCOF, on a Gram matrix that `estimated_gram` made."""
    made = {"ncm": _ncm, "ridge": _ridge, "lda": _lda, "cof": _cof}[method](classes, strength)
    held = classes.held
    return Head(np.where(held[:, None], made.weight, 0.0), np.where(held, made.bias, NEVER))


def _ncm(classes: Classes, strength: float) -> Head:
    """Cosines to the class means."""
    return Head(_unit(classes.means), np.zeros(len(classes.mass)))


def _ridge(classes: Classes, strength: float) -> Head:
    """Least squares of one-hot labels; centred features leave the intercept free."""
    rows = classes.mass.sum()
    mean = classes.sums.sum(0) / rows
    gram = classes.gram - rows * np.outer(mean, mean)
    cross = classes.sums - classes.mass[:, None] * mean
    weight = np.linalg.solve(_regularised(gram, strength), cross.T).T
    return Head(weight, np.asarray(classes.mass / rows - weight @ mean))


def _lda(classes: Classes, strength: float) -> Head:
    """Log-posteriors of Gaussians with the covariance within classes, and the classes' shares."""
    rows, means = classes.mass.sum(), classes.means
    within = (classes.gram - classes.sums.T @ means) / rows
    weight = np.asarray(np.linalg.solve(_regularised(within, strength), means.T).T, np.float64)
    share = np.where(classes.held, classes.mass, 1) / rows
    return Head(weight, np.asarray(np.log(share) - (weight * means).sum(1) / 2))


def _cof(classes: Classes, strength: float) -> Head:
    """FedCOF, algorithm 1: ridge without intercept on the estimated Gram, rows of norm 1."""
    rows, size = classes.mass.sum(), classes.sums.shape[1]
    mean = classes.sums.sum(0) / rows
    # Every class's covariance is shrunk by γ I, and counts n_c - 1 times.
    shrunk = strength * (mean @ mean) / size * np.maximum(classes.mass - 1, 0).sum()
    gram = classes.gram + rows * np.outer(mean, mean) + shrunk * np.eye(size)
    return Head(_unit(np.linalg.solve(gram, classes.sums.T).T), np.zeros(len(classes.mass)))


def estimated_gram(clients: Sequence[Sums]) -> Floats:
    """FedCOF's within-class part of the Gram matrix, ``Σ_c (n_c - 1) Σ̂_c``, from class means.

    ``Σ̂_c = 1/(K-1) Σ_k n_kc (µ_kc - µ_c)(µ_kc - µ_c)ᵀ`` over the K clients with rows of class c is
    unbiased if each client's are a random sample of the class. With one such client it is 0: there
    is nothing to learn from one mean.
    """
    rows = np.stack([one.counts.sum(1) for one in clients]).astype(float)
    sums = np.stack([one.sums.sum(1) for one in clients])
    everything = total(clients)
    counts = everything.counts.sum(1)
    means = everything.sums.sum(1) / np.maximum(counts, 1)[:, None]
    holders = (rows > 0).sum(0)
    apart = sums / np.maximum(rows, 1)[..., None] - means
    factor = rows * np.maximum(counts - 1, 0) / np.maximum(holders - 1, 1)
    found: Floats = np.einsum("kc,kci,kcj->ij", factor, apart, apart)
    return found


def with_prior(classes: Classes, texts: Floats, rows: int = 0) -> Classes:
    """Have every class's text count as `rows` of its images; without any, as those of an average.

    `texts` ``[C, d]`` are features of the classes' text embeddings. Images lie elsewhere than
    texts, so that they are moved by the mean difference in the classes with rows (as in
    `fairfed.systems.shared_space.embeddings`). How far they are off nevertheless is a covariance of
    its own: a class without rows is spread as the others are, and along directions in which texts
    err no head is sure. Without that, its images are taken for those of other classes.
    """
    held, means = classes.held, classes.means
    if not held.any():
        return classes
    expected = texts + (means - texts)[held].mean(0)
    mass = np.where(held, float(rows), classes.mass[held].mean() + rows)
    added = mass[:, None] * expected
    gram = classes.gram + added.T @ expected
    if not held.all():
        within = (classes.gram - classes.sums.T @ means) / classes.mass.sum()
        apart = (means - expected)[held]
        error = apart.T @ apart / max(int(held.sum()) - 1, 1)
        gram += mass[~held].sum() * within + (classes.mass + mass).sum() * error
    return Classes(classes.mass + mass, classes.sums + added, gram)


def _regularised(matrix: Floats, strength: float) -> Floats:
    size = len(matrix)
    variance = max(float(np.trace(matrix)) / size, np.finfo(np.float64).tiny)
    return np.asarray(matrix + strength * variance * np.eye(size))


def _unit(rows: Floats) -> Floats:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1))
