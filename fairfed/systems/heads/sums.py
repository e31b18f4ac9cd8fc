"""Sums of features by class and group: made at a site, packed for a message, added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from fairfed.rounds.arrays import Model, validate_update
from fairfed.systems.heads.variants import Balance, Moments

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Sums:
    """What is summed over rows, by class and group: additive, and of no single row.

    Attributes
    ----------
    counts
        Rows, ``[C, G]``.
    sums
        Sums of their features, ``[C, G, d]``.
    moments
        Sums of ``x xᵀ``: ``[d, d]`` of all rows, ``[C, G, d, d]``, or None where not asked for.
    """

    counts: Counts
    sums: Floats
    moments: Floats | None = None

    def __add__(self, other: Sums) -> Sums:
        """Those of both."""
        both = None
        if self.moments is not None and other.moments is not None:
            both = self.moments + other.moments
        return Sums(self.counts + other.counts, self.sums + other.sums, both)


@dataclass(frozen=True, eq=False)
class Classes:
    """The same by class, with every cell's weight in it: ``[C]``, ``[C, d]``, ``[d, d]``."""

    mass: Floats
    sums: Floats
    gram: Floats

    @property
    def held(self) -> NDArray[np.bool_]:
        """Classes with any row."""
        return self.mass > 0

    @property
    def means(self) -> Floats:
        """Means of the classes; 0 of one without rows."""
        return self.sums / np.where(self.held, self.mass, 1)[:, None]


def total(parts: Sequence[Sums]) -> Sums:
    """All together."""
    return reduce(add, parts)


def summed(
    features: Floats, labels: Counts, groups: Counts, shape: tuple[int, int], moments: Moments
) -> Sums:
    """Sum rows ``[n, d]`` over the cells of ``(classes, groups)``."""
    size = features.shape[1]
    cells = [
        features[(labels == c) & (groups == g)] for c in range(shape[0]) for g in range(shape[1])
    ]
    counts = np.array([len(rows) for rows in cells], np.int64).reshape(shape)
    sums = np.stack([rows.sum(0) for rows in cells]).reshape(*shape, size)
    if moments == "none":
        return Sums(counts, sums)
    if moments == "pooled":
        return Sums(counts, sums, features.T @ features)
    return Sums(counts, sums, np.stack([rows.T @ rows for rows in cells]).reshape(*shape, size, -1))


def packed(part: Sums) -> Model:
    """What a message carries beside the counts: nothing of empty cells, half of each product.

    In single precision, which adds an error of 6e-8 of a sum.
    """
    held = part.counts > 0
    found = {"sums": part.sums[held].astype(np.float32)}
    if part.moments is not None:
        every = part.moments[held] if part.moments.ndim == 4 else part.moments[None]
        found["moments"] = every[:, *np.triu_indices(every.shape[-1])].astype(np.float32)
    return found


def unshortened(part: Sums) -> Model:
    """What is summed under masks: the same arrays of every site, and its counts among them."""
    found: Model = {"counts": part.counts, "sums": part.sums}
    if part.moments is not None:
        found["moments"] = part.moments[..., *np.triu_indices(part.moments.shape[-1])]
    return found


def of_sum(found: Model, size: int) -> Sums:
    """Sums of all sites, from what `unshortened` gave of each, added up."""
    if "moments" not in found:
        return Sums(found["counts"], found["sums"])
    rows, columns = np.triu_indices(size)
    moments = np.zeros((*found["moments"].shape[:-1], size, size))
    moments[..., rows, columns] = moments[..., columns, rows] = found["moments"]
    return Sums(found["counts"], found["sums"], moments)


def nothing(shape: tuple[int, int], size: int, moments: Moments) -> Sums:
    """Sums over no rows, of ``(classes, groups)``."""
    sides = {"none": None, "pooled": (size, size), "cell": (*shape, size, size)}[moments]
    products = None if sides is None else np.zeros(sides)
    return Sums(np.zeros(shape, np.int64), np.zeros((*shape, size)), products)


def unpacked(counts: Counts, sent: Model, size: int, moments: Moments) -> Sums:
    """Sums from a message; `ValueError` says what of it is not as asked for."""
    held, (rows, columns) = counts > 0, np.triu_indices(size)
    number = {"none": 0, "pooled": 1, "cell": int(held.sum())}[moments]
    like: Model = {"sums": np.zeros((int(held.sum()), size), np.float32)}
    if moments != "none":
        like["moments"] = np.zeros((number, len(rows)), np.float32)
    reason = validate_update(sent, like)
    if reason is not None:
        raise ValueError(reason)
    sums, every = np.zeros((*counts.shape, size)), np.zeros((number, size, size))
    sums[held] = sent["sums"]
    if moments == "none":
        return Sums(counts, sums)
    every[:, rows, columns] = every[:, columns, rows] = sent["moments"]
    if moments == "pooled":
        return Sums(counts, sums, every[0])
    cells = np.zeros((*counts.shape, size, size))
    cells[held] = every
    return Sums(counts, sums, cells)


def cell_weights(counts: Counts, balance: Balance, known: NDArray[np.bool_]) -> Floats:
    """Weight of a row by its cell ``[C, G]``; all rows together weigh what they did.

    `known` says which groups' sensitive values are known ``[G]``: the others are no group that
    could be balanced, and keep the weight of their class.
    """
    weights = np.ones(counts.shape)
    rows = counts.sum(1, keepdims=True)
    if balance == "none" or not rows.any():
        return weights
    if balance == "group":
        own = np.where(known, counts, 0)
        share = own.sum(1, keepdims=True) / np.maximum((own > 0).sum(1, keepdims=True), 1)
        weights = np.where(own > 0, share / np.maximum(own, 1), weights)
    even = counts.sum() / ((rows > 0).sum() * np.maximum(rows, 1))
    return np.asarray(weights * even)


def by_class(part: Sums, weights: Floats) -> Classes:
    """Put the cells of each class together, weighted ``[C, G]``; moments by cell, or all of 1."""
    gram = part.moments
    if gram is None:
        gram = np.zeros((part.sums.shape[-1],) * 2)
    elif gram.ndim == 4:
        gram = np.einsum("cg,cgij->ij", weights, gram)
    return Classes(
        (weights * part.counts).sum(1), np.einsum("cg,cgd->cd", weights, part.sums), gram
    )
