"""Client fairness: how even one model's accuracy is over the clients.

Not to be mixed with group fairness (`evaluation.metrics`). The statistics are those of q-FFL (Li et
al. 2020, arXiv:1905.10497) and Ditto (Li et al. 2021, arXiv:2012.04221): spread, worst, worst 10 %,
entropy and cosine to the uniform vector; Jain's index is Jain et al. 1984 (arXiv:cs/9809099).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluation.errors import InputError
from evaluation.rates import CountArray, FloatArray, accuracy, recall_by_class


@dataclass(frozen=True)
class ClientFairness:
    """Statistics of the clients' accuracies; all NaN without a client that has test rows.

    Parameters
    ----------
    accuracies : tuple of float
        One per client in order; NaN for a client without test rows (left out of the rest).
    clients : int
        Clients that were counted.
    mean, sd, variance : float
        Unweighted mean and population spread.
    worst, best : float
        Smallest and largest accuracy.
    worst_decile : float
        Mean of the worst 10 % of the clients, at least one.
    jain : float
        ``(Σx)² / (n Σx²)``, in [1/n, 1]; 1 is even.
    gini : float
        Mean absolute difference over twice the mean, in [0, 1); 0 is even.
    entropy : float
        Entropy of x / Σx over its maximum log n, in [0, 1]; 1 is even.
    cosine : float
        Cosine between x and the uniform vector, in [1/√n, 1]; 1 is even.
    """

    accuracies: tuple[float, ...]
    clients: int
    mean: float
    sd: float
    variance: float
    worst: float
    best: float
    worst_decile: float
    jain: float
    gini: float
    entropy: float
    cosine: float


def client_accuracies(test_counts: Sequence[CountArray]) -> FloatArray:
    """Accuracy per client; shape ``(n_clients,)``, NaN for a client without test rows."""
    return np.array([float(accuracy(np.asarray(counts))) for counts in test_counts])


def client_fairness(values: ArrayLike) -> ClientFairness:
    """Summarise the accuracies of the clients.

    Parameters
    ----------
    values : array_like, shape (n_clients,)
        Accuracies in [0, 1] (or any non-negative utility); NaN where a client has no test rows.
        Where all are 0, all are equal: the indices of evenness take their best value.

    Raises
    ------
    InputError
        If a value is negative or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise InputError(f"client values must be one number per client, got shape {array.shape}")
    if np.isinf(array).any() or (array < 0).any():
        raise InputError("client values must be finite and not negative")
    x = np.sort(array[~np.isnan(array)])
    given = tuple(float(value) for value in array)
    if x.size == 0:
        return ClientFairness(given, 0, *([float("nan")] * 10))
    decile = x[: max(1, int(np.ceil(0.1 * x.size)))]
    return ClientFairness(
        accuracies=given,
        clients=int(x.size),
        mean=float(x.mean()),
        sd=float(x.std()),
        variance=float(x.var()),
        worst=float(x[0]),
        best=float(x[-1]),
        worst_decile=float(decile.mean()),
        jain=jain_index(x),
        gini=gini_index(x),
        entropy=normalised_entropy(x),
        cosine=cosine_to_uniform(x),
    )


def jain_index(values: FloatArray) -> float:
    """Jain's index ``(Σx)² / (n Σx²)``; 1 when all values are equal, also when all are 0."""
    return cosine_to_uniform(values) ** 2


def gini_index(values: FloatArray) -> float:
    """Gini coefficient; 0 when all values are equal."""
    x, n = np.sort(values), values.size
    total = float(x.sum())
    if total == 0:
        return 0.0
    ranks = np.arange(1, n + 1)
    return max(0.0, float(((2 * ranks - n - 1) * x).sum()) / (n * total))


def normalised_entropy(values: FloatArray) -> float:
    """Entropy of ``x / Σx`` over ``log n``; 1 when all values are equal (or there is only one)."""
    total = float(values.sum())
    if values.size == 1 or total == 0:
        return 1.0
    p = values / total
    p = p[p > 0]
    return float(-(p * np.log(p)).sum() / np.log(values.size))


def cosine_to_uniform(values: FloatArray) -> float:
    """Cosine of the angle to the vector of ones; 1 when all values are equal."""
    largest = float(values.max())
    if largest == 0:
        return 1.0
    x = values / largest  # squares of tiny values would vanish
    return float(x.sum() / (np.linalg.norm(x) * values.size**0.5))


def missing_class_weights(train_cells: ArrayLike) -> FloatArray:
    """Share of the (client, missing class) pairs that falls on each class.

    With these weights, `weighted_recall` of the global model's pooled test counts is the recall of
    missing classes: the mean over all pairs of a client and a class of which it has no real
    training image.

    Parameters
    ----------
    train_cells : array_like of int, shape (n_clients, n_classes, n_groups)
        Real training images per client and cell.

    Returns
    -------
    ndarray, shape (n_classes,)
        Sums to 1; all zero when no client lacks a class.
    """
    cells = np.asarray(train_cells)
    if cells.ndim != 3:
        raise InputError(
            f"train cells have shape {cells.shape}, expected (clients, classes, groups)"
        )
    missing: NDArray[np.bool_] = cells.sum(axis=2) == 0
    pairs: FloatArray = missing.sum(axis=0).astype(np.float64)
    return pairs / max(1.0, float(pairs.sum()))


def weighted_recall(counts: CountArray, weights: FloatArray) -> FloatArray:
    """Mean of the per-class recalls under class weights, over the classes with test rows.

    Parameters
    ----------
    counts : ndarray, shape (..., n_groups, n_classes, n_classes)
        Confusion counts pooled over clients.
    weights : ndarray, shape (n_classes,)
        Not negative.

    Returns
    -------
    ndarray, shape (...)
        NaN where no class with a weight has test rows.
    """
    recalls = recall_by_class(counts)
    used = np.where(np.isnan(recalls), 0.0, weights)
    total = used.sum(axis=-1)
    weighted = (np.nan_to_num(recalls) * used).sum(axis=-1)
    return np.where(total > 0, weighted / np.where(total > 0, total, 1.0), np.nan)
