"""What stands beside closed-form heads: all rows in one place, and classes that nobody has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from fairfed.config import Config
from fairfed.system import simulated_study
from fairfed.systems.heads.features import features, text_features
from fairfed.systems.heads.solve import solve, with_prior
from fairfed.systems.heads.sums import Classes, by_class, summed
from fairfed.systems.heads.variants import Method

FIT = 4800
"""Training images that heads are solved from where a class is missing; the others judge them."""
Rows = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def pooled(config: Config) -> Iterator[str]:
    """Lines on a simulation's images: ceilings on its test images, and missing classes."""
    study = simulated_study(config)
    table, place = study.simulated("the ceiling").images.table, study.place
    found = features(place, place.encoder.embed_images(table.images).numpy())
    train, test = ((found[own], table.labels[own]) for own in (~table.test, table.test))
    yield from ceilings(train, test)
    texts = text_features(place)
    for method in ("ncm", "ridge", "lda"):
        yield missing(cast(Method, method), train, texts)


def ceilings(train: Rows, test: Rows) -> Iterator[str]:
    """Accuracy and worst class of classifiers that see all rows, tuned by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.svm import SVC

    kinds: dict[str, tuple[Any, dict[str, list[float]]]] = {
        "logistic regression": (LogisticRegression(max_iter=300), {"C": [0.1, 0.3, 1, 3, 10]}),
        "RBF SVM": (SVC(), {"C": [0.3, 1, 3], "gamma": [0.1, 0.3, 1, 3]}),
    }
    for name, (kind, grid) in kinds.items():
        made = GridSearchCV(kind, grid, cv=5).fit(*train)
        right = made.predict(test[0]) == test[1]
        worst = min(right[test[1] == label].mean() for label in np.unique(test[1]))
        yield f"{name} {made.best_params_}: {100 * right.mean():.1f}, worst {100 * worst:.1f}"


def missing(method: Method, rows: Rows, texts: np.ndarray[Any, Any]) -> str:
    """Every class left out in turn: recall of it, and accuracy on the others."""
    inputs, labels = rows
    fit = np.random.default_rng(0).permutation(len(labels)) < FIT
    recall, others = [], []
    for label in range(len(texts)):
        kept = with_prior(_classes(inputs, labels, fit & (labels != label), len(texts)), texts)
        right, own = _right(method, kept, rows, ~fit), labels[~fit] == label
        recall.append(100 * right[own].mean())
        others.append(100 * right[~own].mean())
    whole = 100 * _right(method, _classes(inputs, labels, fit, len(texts)), rows, ~fit).mean()
    return (
        f"{method}: recall of a missing class {np.mean(recall):.1f}, lowest {min(recall):.1f}, "
        f"others {np.mean(others):.1f}, with all classes {whole:.1f}"
    )


def _classes(inputs: Any, labels: Any, chosen: Any, count: int) -> Classes:
    own = summed(
        inputs[chosen], labels[chosen], np.zeros(chosen.sum(), np.int64), (count, 1), "pooled"
    )
    return by_class(own, np.ones((count, 1)))


def _right(method: Method, classes: Classes, rows: Rows, judged: Any) -> np.ndarray[Any, Any]:
    head = solve(method, classes, 1.0)
    scores = rows[0][judged] @ head.weight.T + head.bias
    return np.asarray(scores.argmax(1) == rows[1][judged])
