"""Classification accuracy scores: whether synthetic images teach what real ones teach.

Ravuri & Vinyals 2019 (arXiv:1905.10887): train a classifier on synthetic images and test it on real
ones. The other direction says whether the synthetic images look like their class to a classifier
that knows real ones; the ceiling is the same classifier trained and tested on real images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evaluation.counts import GroupCounts
from evaluation.errors import InputError
from evaluation.intervals import wilson_interval
from evaluation.quality.embedded import Embedded, check_pair
from evaluation.quality.measured import Measured, share, too_few
from evaluation.rates import FloatArray

N_MIN = 20
FOLDS = 5
DIRECTIONS = ("synthetic → real", "real → synthetic", "real → real")
ONE_CLASS = "fewer than two classes have {} images of either kind"


class Classifier(Protocol):
    """What is asked of a classifier: scikit-learn's ``fit`` and ``predict``."""

    def fit(self, x: FloatArray, y: NDArray[np.str_]) -> Any:
        """Learn from embeddings of shape ``(n, d)`` and class names of shape ``(n,)``."""

    def predict(self, x: FloatArray) -> NDArray[np.str_]:
        """Return the class name of each embedding."""


@dataclass(frozen=True)
class TransferScore:
    """How well a classifier trained on one kind of image knows the other kind.

    Parameters
    ----------
    direction : str
        One of `DIRECTIONS`: "trained on → tested on".
    n_train : int
        Images in training (in the cross-validated ceiling: in one fold, on average).
    accuracy : Measured
        Share of the tested images that are classified right.
    recalls : dict of str to Measured
        The same per class; refused for a class with too few images of either kind.
    counts : GroupCounts or None
        Confusion counts per group; ``METRICS[name](counts.values)`` is any fairness metric. None if
        refused.
    """

    direction: str
    n_train: int
    accuracy: Measured
    recalls: dict[str, Measured]
    counts: GroupCounts | None


def logistic_regression() -> Classifier:
    """Return scikit-learn's logistic regression on standardised embeddings."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model: Classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model


def accuracy_scores(
    real: Embedded,
    synthetic: Embedded,
    *,
    classifier: Callable[[], Classifier] = logistic_regression,
    n_min: int = N_MIN,
    folds: int = FOLDS,
    seed: int = 0,
) -> tuple[TransferScore, TransferScore, TransferScore]:
    """Classification accuracy scores both ways, and the ceiling.

    Training and testing use the classes with ``n_min`` images of either kind, the same in all three
    scores; every other class is refused with its numbers.

    Parameters
    ----------
    real, synthetic : Embedded
        Embeddings of one encoder. The generator should not have been trained on the real ones.
    classifier : callable
        Returns a new, untrained classifier.
    n_min : int
        Images of either kind that a class needs, at least `folds`.
    folds : int
        Folds of the ceiling's stratified cross-validation, at least 2.
    seed : int
        Seed of the folds.

    Returns
    -------
    tuple of three TransferScore
        In the order of `DIRECTIONS`. Intervals are Wilson's: they cover the choice of the tested
        images, not the randomness of training.

    Raises
    ------
    InputError
        If the embeddings or numbers do not fit.
    """
    check_pair(real.vectors, synthetic.vectors)
    if not 2 <= folds <= n_min:
        raise InputError(f"expected 2 <= folds <= n_min, got folds {folds}, n_min {n_min}")
    numbers = {
        name: (int((real.classes == name).sum()), int((synthetic.classes == name).sum()))
        for name in sorted({*real.classes.tolist(), *synthetic.classes.tolist()})
    }
    reasons = {name: too_few(*n, n_min) for name, n in numbers.items()}
    shared = [name for name, reason in reasons.items() if not reason]
    if len(shared) < 2:
        one_class = ONE_CLASS.format(n_min)
        reasons = {name: reason or one_class for name, reason in reasons.items()}
    refused = {n: Measured(None, *numbers[n], reason=why) for n, why in reasons.items() if why}
    if len(shared) < 2:
        n_real, n_synthetic = (sum(n[kind] for n in numbers.values()) for kind in (0, 1))
        whole = Measured(None, n_real, n_synthetic, reason=one_class)
        first, second, ceiling = (TransferScore(d, 0, whole, refused, None) for d in DIRECTIONS)
        return first, second, ceiling
    a, b = (x.take(np.isin(x.classes, shared)) for x in (real, synthetic))
    of_real, of_synthetic = (_predict(classifier, *pair) for pair in ((b, a), (a, b)))
    across = _cross_validate(classifier, a, folds, seed)
    return (
        _score(DIRECTIONS[0], a, of_real, len(b), numbers, refused),
        _score(DIRECTIONS[1], b, of_synthetic, len(a), numbers, refused),
        _score(DIRECTIONS[2], a, across, len(a) * (folds - 1) // folds, numbers, refused),
    )


def _predict(
    classifier: Callable[[], Classifier], trained: Embedded, tested: Embedded
) -> NDArray[np.str_]:
    model = classifier()
    model.fit(trained.vectors, trained.classes)
    return model.predict(tested.vectors)


def _cross_validate(
    classifier: Callable[[], Classifier], data: Embedded, folds: int, seed: int
) -> NDArray[np.str_]:
    """Predict each image by a classifier that was trained without its fold."""
    from sklearn.model_selection import StratifiedKFold

    predicted = np.empty_like(data.classes)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for trained, tested in splitter.split(data.vectors, data.classes):
        predicted[tested] = _predict(classifier, data.take(trained), data.take(tested))
    return predicted


def _score(
    direction: str,
    tested: Embedded,
    predicted: NDArray[np.str_],
    n_train: int,
    numbers: dict[str, tuple[int, int]],
    refused: dict[str, Measured],
) -> TransferScore:
    """Count what was predicted; per class, `numbers` are the images of either kind."""
    counts = count_rows(tested, predicted)
    recalls = dict(refused)
    confusion = counts.values.sum(axis=0)
    for i, name in enumerate(counts.classes):
        interval = wilson_interval(int(confusion[i, i]), int(confusion[i].sum()))
        recalls[name] = share(interval, *numbers[name], None)
    right = wilson_interval(int(np.trace(confusion)), int(confusion.sum()))
    totals = np.sum([numbers[name] for name in counts.classes], axis=0)
    accuracy = share(right, int(totals[0]), int(totals[1]), None)
    return TransferScore(direction, n_train, accuracy, dict(sorted(recalls.items())), counts)


def count_rows(tested: Embedded, predicted: NDArray[np.str_]) -> GroupCounts:
    """Group counts of predicted class names, over the classes and groups that were tested."""
    classes, y_true = np.unique(tested.classes, return_inverse=True)
    groups, group = np.unique(tested.groups, return_inverse=True)
    y_pred = np.searchsorted(classes, predicted)
    return GroupCounts.from_labels(y_true, y_pred, group, groups.tolist(), classes.tolist())
