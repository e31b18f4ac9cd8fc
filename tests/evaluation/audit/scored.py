"""Rows with scores, counted, for the tests of what is made of them."""

from dataclasses import replace

import numpy as np

from evaluation.audit.options import AuditOptions
from evaluation.audit.schema import Axis, Schema
from evaluation.audit.tally import Tally
from tests.evaluation.audit.tallies import weighted

OPTIONS = AuditOptions(min_group=1, replicates=0)
"""Every group counts; no interval."""


def bin_of(score: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((score * bins).astype(int), bins - 1)


def tally_of(
    y: np.ndarray,
    score: np.ndarray,
    group: np.ndarray,
    *,
    bins: int = 64,
    weight: np.ndarray | None = None,
    names: tuple[str, ...] = ("a", "b", "c"),
) -> Tally:
    """Count rows of two classes, predicted at one half."""
    schema = Schema(
        "classification", ("0", "1"), (Axis("sex", names),), positive="1", bins=bins,
        weighted=weight is not None,
    )  # fmt: skip
    lead = (1, len(names))
    shape = (*lead, 1, 2, bins)
    flat = np.ravel_multi_index((0 * y, group, 0 * y, y, bin_of(score, bins)), shape)
    confused = np.ravel_multi_index((0 * y, group, y, (score >= 0.5).astype(int)), (*lead, 2, 2))
    rows, scores = weighted((*lead, 2, 2), confused, weight), weighted(shape, flat, weight)
    # Of scores there are no squares of weights.
    histograms = scores.counts(shape)
    histograms = replace(histograms, values=histograms.values[:, :2])
    counted = rows.counts((*lead, 2, 2)), histograms
    return Tally(replace(schema, place=rows.place), *counted)


def sample(seed: int, n: int = 3000, groups: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows whose scores rank worse the higher the group."""
    rng = np.random.default_rng(seed)
    y, group = rng.integers(0, 2, n), rng.integers(0, groups, n)
    score = np.clip(rng.normal(0.4 + (0.3 - 0.1 * group) * y, 0.2), 0, 1)
    return y, score, group
