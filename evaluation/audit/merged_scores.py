"""A histogram of few cells that follow the scores, for replicates."""

from __future__ import annotations

import numpy as np

from evaluation.audit.grid import points
from evaluation.audit.histograms import CALIBRATION_BINS, place
from evaluation.audit.score_table import Histogram

CELLS = 128
"""Cells that are left, and a few more: none lies across the edge of two calibration bins."""


def merged(histogram: Histogram) -> Histogram:
    """Merge neighbouring cells until there are about `CELLS`, of about equally many rows.

    A row counts by its share of its kind, so that few rows of the class are told apart as well as
    many that are not. A merged cell stands for the mean score of its rows.
    """
    rows, centre = histogram.rows, histogram.grid.centre
    shares = (rows / np.maximum(rows.sum(axis=-1, keepdims=True), 1)).sum(axis=0)
    middle = (np.cumsum(shares) - shares / 2) / shares.sum()
    label = place(middle, CELLS) * CALIBRATION_BINS + place(centre, CALIBRATION_BINS)
    starts = np.flatnonzero(np.diff(label, prepend=-1))
    few, weights = (np.add.reduceat(own, starts, axis=-1) for own in (rows, histogram.weights))
    mean = np.add.reduceat(rows.sum(axis=0) * centre, starts) / few.sum(axis=0)
    # Rounding must not carry it out of its calibration bin.
    last = np.append(starts[1:], len(centre)) - 1
    return Histogram(points(np.clip(mean, centre[starts], centre[last])), few, weights)
