"""All measures of a set of synthetic images in one report, overall and per cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from evaluation.counts import GroupCounts
from evaluation.export import plain
from evaluation.intervals import Interval, wilson_interval
from evaluation.quality.classify import N_MIN as CLASS_N_MIN
from evaluation.quality.classify import (
    Classifier,
    TransferScore,
    accuracy_scores,
    logistic_regression,
)
from evaluation.quality.embedded import Embedded, cell_name, check_pair
from evaluation.quality.kernel import SUBSET_SIZE, SUBSETS, cmmd, kid
from evaluation.quality.manifold import NEIGHBOURS, manifold_measures
from evaluation.quality.measured import Measured, share
from evaluation.quality.privacy import QUANTILES, closeness, membership
from evaluation.quality.verdict import Verdict, verdict

SCHEMA = 1
OVERALL = "overall"
TRANSFER = "transfer_recall"
MEMBERSHIP = "membership_auc"
NO_TRAINING = "no training images were given"
NOT_HELD_OUT = "the real images are the training images: none are held out"
NOT_TESTED = "no classifier trained on synthetic images was tested on this cell"
DASH = "–"


@dataclass(frozen=True)
class QualityReport:
    """Quality of synthetic images: each number with its n, each refusal with its reason.

    Parameters
    ----------
    overall : dict of str to Measured
        Over the cells that have real and synthetic images: ``precision``, ``recall``, ``density``,
        ``coverage``, ``kid``, ``cmmd``. Over all synthetic images: ``closer_than_1%``,
        ``closer_than_5%``, ``membership_auc``.
    cells : dict of str to dict of str to Measured
        Per cell the first six, and ``transfer_recall``: the recall on the cell's real images of a
        classifier trained on synthetic ones.
    classification : tuple of TransferScore
        Synthetic → real, real → synthetic, real → real.
    left_out : tuple of str
        Cells that are not part of the overall row, for want of images of one kind.
    settings : dict of str to float
        The numbers that the measures depend on.
    """

    overall: dict[str, Measured]
    cells: dict[str, dict[str, Measured]]
    classification: tuple[TransferScore, ...]
    left_out: tuple[str, ...]
    settings: dict[str, float]

    @property
    def verdict(self) -> Verdict:
        """How far the synthetic images resemble real ones, in words."""
        return verdict(self.overall, self.cells)

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON; a refused measure has a null value and its reason."""
        content: dict[str, Any] = plain(
            {
                "schema": SCHEMA,
                "verdict": self.verdict,
                "settings": self.settings,
                OVERALL: self.overall,
                "cells": self.cells,
                "classification": [_score_json(score) for score in self.classification],
                "left_out": self.left_out,
            }
        )
        return content

    def rows(self) -> list[dict[str, str]]:
        """Return a table for a terminal: one row overall and per cell, a dash where refused.

        The columns are the same in all rows; `notes` says why a dash is there.
        """
        shown = {OVERALL: self.overall, **self.cells}
        columns = dict.fromkeys(name for measures in shown.values() for name in measures)
        return [
            {"cell": cell, **_sizes(measures)}
            | {name: _text(measures.get(name)) for name in columns}
            for cell, measures in shown.items()
        ]

    def score_rows(self) -> list[dict[str, str]]:
        """Return the classification accuracy scores as a table: one row per class and overall."""
        per_class = list(self.classification[0].recalls)
        shown = {OVERALL: [score.accuracy for score in self.classification]} | {
            name: [score.recalls[name] for score in self.classification] for name in per_class
        }
        directions = [score.direction for score in self.classification]
        return [
            {"class": name} | dict(zip(directions, map(_text, measures), strict=True))
            for name, measures in shown.items()
        ]

    def notes(self) -> list[str]:
        """Say what was refused and why, one sentence per reason."""
        cells = {OVERALL: self.overall, **self.cells}
        found = [(cell, measure) for cell, own in cells.items() for measure in own.values()]
        for score in self.classification:
            found += [(OVERALL, score.accuracy), *score.recalls.items()]
        where: dict[str, dict[str, None]] = {}
        for place, measure in found:
            if measure.reason:
                where.setdefault(measure.reason, {})[place] = None
        return [f"{', '.join(places)}: {reason}" for reason, places in where.items()]


def assess(
    real: Embedded,
    synthetic: Embedded,
    *,
    training: Embedded | None = None,
    k: int = NEIGHBOURS,
    subsets: int = SUBSETS,
    n_min: int = CLASS_N_MIN,
    classifier: Callable[[], Classifier] = logistic_regression,
    seed: int = 0,
) -> QualityReport:
    """Measure fidelity, diversity, usefulness and memorisation of synthetic images.

    Parameters
    ----------
    real : Embedded
        The real images to compare with: a test split, which nothing was trained on.
    synthetic : Embedded
        The synthetic images, in the same encoder's space, with the cells they are meant to show.
    training : Embedded, optional
        The real images that the generator or the choice of synthetic images has seen, for the
        memorisation checks. If they are ``real`` itself, there is no membership check.
    k : int
        Neighbours of precision, recall, density and coverage.
    subsets : int
        Subsets of KID.
    n_min : int
        Images of either kind that a class needs for the classification accuracy scores.
    classifier : callable
        Returns a new classifier with ``fit`` and ``predict``.
    seed : int
        Fixes subsets, permutations and folds: the same input gives the same report.

    Raises
    ------
    InputError
        If the embeddings or a number do not fit.
    """
    check_pair(real.vectors, synthetic.vectors)
    gamma = _kid_gamma(real)
    real_cells, synthetic_cells = real.cells, synthetic.cells
    names = sorted({*real_cells.tolist(), *synthetic_cells.tolist()})
    both = sorted({*real_cells.tolist()} & {*synthetic_cells.tolist()})
    scores = accuracy_scores(real, synthetic, classifier=classifier, n_min=n_min, seed=seed)
    transfer = _recalls_by_cell(scores[0].counts)

    def compare(cells: list[str]) -> dict[str, Measured]:
        a = real.vectors[np.isin(real_cells, cells)]
        b = synthetic.vectors[np.isin(synthetic_cells, cells)]
        return {
            **manifold_measures(a, b, k),
            "kid": kid(a, b, gamma=gamma, subsets=subsets, seed=seed),
            "cmmd": cmmd(a, b, seed=seed),
        }

    def recall(cell: str) -> Measured:
        n_real, n_synthetic = (int((c == cell).sum()) for c in (real_cells, synthetic_cells))
        if cell in transfer:
            return share(transfer[cell], n_real, n_synthetic, None)
        return Measured(None, n_real, n_synthetic, reason=NOT_TESTED)

    return QualityReport(
        overall=compare(both) | _memorisation(real, synthetic, training),
        cells={name: compare([name]) | {TRANSFER: recall(name)} for name in names},
        classification=scores,
        left_out=tuple(name for name in names if name not in both),
        settings={
            "k": k,
            "subsets": subsets,
            "subset_size": SUBSET_SIZE,
            "kid_gamma": gamma,
            "n_min": n_min,
            "seed": seed,
        },
    )


def _kid_gamma(real: Embedded) -> float:
    """Factor of KID's dot products: 1 over the mean squared length, so 1 for unit embeddings."""
    squares = float((real.vectors**2).sum())
    return len(real) / squares if squares > 0 else 1.0


def _recalls_by_cell(counts: GroupCounts | None) -> dict[str, Interval]:
    """Recall per cell with its interval, of the cells with tested images."""
    if counts is None:
        return {}
    return {
        cell_name(name, group): wilson_interval(int(row[c]), int(row.sum()))
        for g, group in enumerate(counts.groups)
        for c, name in enumerate(counts.classes)
        if (row := counts.values[g, c]).sum()
    }


def _memorisation(
    real: Embedded, synthetic: Embedded, training: Embedded | None
) -> dict[str, Measured]:
    labels = {quantile: f"closer_than_{quantile:.0%}" for quantile in QUANTILES}
    if training is None:
        refused = Measured(None, 0, len(synthetic), reason=NO_TRAINING)
        return dict.fromkeys([*labels.values(), MEMBERSHIP], refused)
    close = closeness(synthetic.vectors, training.vectors)
    found = {labels[quantile]: measure for quantile, measure in close.items()}
    if training is real:
        refused = Measured(None, len(training), len(synthetic), reason=NOT_HELD_OUT)
        return found | {MEMBERSHIP: refused}
    return found | {MEMBERSHIP: membership(synthetic.vectors, training, real)}


def _score_json(score: TransferScore) -> dict[str, Any]:
    counts = score.counts
    return {
        "direction": score.direction,
        "n_train": score.n_train,
        "accuracy": score.accuracy,
        "recalls": score.recalls,
        "groups": counts.groups if counts else (),
        "classes": counts.classes if counts else (),
        "counts": counts.values.tolist() if counts else None,
    }


def _sizes(measures: dict[str, Measured]) -> dict[str, str]:
    first = next(iter(measures.values()))
    return {"n real": str(first.n_real), "n synthetic": str(first.n_synthetic)}


def _text(measure: Measured | None) -> str:
    """Write a value with what it is read against: chance, or else its interval."""
    if measure is None or measure.value is None:
        return DASH
    words = f"{measure.value:.3g}"
    if measure.chance is not None:
        return f"{words} (chance {measure.chance:.2g})"
    if measure.low is not None and measure.high is not None:
        return f"{words} [{measure.low:.3g}, {measure.high:.3g}]"
    return words
