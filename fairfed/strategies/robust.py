"""Robust aggregation: what a few arbitrary models cannot move far.

Coordinate-wise median and trimmed mean: Yin et al., ICML 2018, arXiv 1803.01498. Krum: Blanchard et
al., NeurIPS 2017. As in Flower, whose strategies the tests compare with; here sums are in order of
partition id, dtypes are kept, and integers are rounded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.rounds.arrays import Model
from fairfed.strategies.cohort import Floats
from fairfed.strategies.part import Part, Registry, number

Merged = tuple[Model, Floats]
"""A model, and the weights that the clients had in it (equal where coordinates differ)."""


class Aggregator(Part, ABC):
    """Merges models without weights."""

    @abstractmethod
    def merge(self, models: Sequence[Model]) -> Merged:
        """Return the merged model and the clients' weights in it, for the log."""


@dataclass
class Median(Aggregator):
    """Coordinate-wise median."""

    name: ClassVar[str] = "median"

    def merge(self, models: Sequence[Model]) -> Merged:
        """Return the median of every coordinate."""
        return _by_coordinate(models, lambda stack: np.median(stack, axis=0))


@dataclass
class TrimmedMean(Aggregator):
    """Mean of every coordinate without its smallest and largest values.

    Parameters
    ----------
    fraction : float
        Share of the clients cut at either end, in [0, 0.5).
    """

    name: ClassVar[str] = "trimmed-mean"
    fraction: float = number(0.2, 0.0, 0.5, below=True)

    def merge(self, models: Sequence[Model]) -> Merged:
        """Return the trimmed mean of every coordinate."""
        from scipy.stats import trim_mean

        return _by_coordinate(models, lambda stack: trim_mean(stack, self.fraction, axis=0))


@dataclass
class Krum(Aggregator):
    """The one model that is closest to its neighbours.

    Parameters
    ----------
    malicious : int
        f, clients that may lie: the K - f - 2 nearest neighbours are counted, at least one.
    """

    name: ClassVar[str] = "krum"
    malicious: int = number(0)

    def merge(self, models: Sequence[Model]) -> Merged:
        """Return the chosen model as it is."""
        chosen = int(np.argmin(krum_scores(models, self.malicious)))
        weights = np.zeros(len(models))
        weights[chosen] = 1.0
        return dict(models[chosen]), weights


def krum_scores(models: Sequence[Model], malicious: int) -> Floats:
    """Return each model's summed squared distances to its nearest neighbours, shape (K,)."""
    rows = np.stack(
        [np.concatenate([v.astype(np.float64).ravel() for v in m.values()]) for m in models]
    )
    distances = np.stack([np.square(rows - row).sum(axis=1) for row in rows])
    nearest = max(1, len(models) - int(malicious) - 2)
    return np.asarray(np.sort(distances, axis=1)[:, 1 : nearest + 1].sum(axis=1))


def _by_coordinate(models: Sequence[Model], reduce: Callable[[Floats], Floats]) -> Merged:
    """Merge coordinate by coordinate, in float64."""
    merged: Model = {}
    for name, like in models[0].items():
        value = np.asarray(reduce(np.stack([model[name].astype(np.float64) for model in models])))
        if not np.issubdtype(like.dtype, np.inexact):
            value = np.rint(value)
        merged[name] = value.astype(like.dtype)
    return merged, np.full(len(models), 1.0 / len(models))


AGGREGATORS: Registry[Aggregator] = Registry("aggregator", Aggregator, Median, TrimmedMean, Krum)
"""Robust aggregators by name; without one, models are averaged with the rule's weights."""
