"""How zero-shot learning is counted: among unseen classes, and among all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from fairfed.config.zsl import ZslConfig
from fairfed.systems.zsl.judge import (
    Judge,
    ZslScores,
    fit_softmax,
    harmonic,
    mean_class_accuracy,
    predict,
    stored,
)
from fairfed.systems.zsl.split import Classes, Split
from fairfed.systems.zsl.table import FeatureTable

ZSL = ZslConfig(classifier_epochs=30, classifier_lr=0.1, batch_size=8)


def _draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_accuracy_is_a_mean_over_classes_and_not_over_rows() -> None:
    labels = np.array([0, 0, 0, 0, 3])
    assert mean_class_accuracy(labels, np.array([0, 0, 0, 1, 1])) == pytest.approx((0.75 + 0) / 2)


def test_harmonic_mean() -> None:
    assert harmonic(0.5, 1.0) == pytest.approx(2 / 3)
    assert harmonic(0.0, 1.0) == harmonic(0.0, 0.0) == 0.0
    row = ZslScores(zsl=0.9, unseen=0.5, seen=1.0).row()
    assert row == {"zsl": 0.9, "U": 0.5, "S": 1.0, "H": pytest.approx(2 / 3)}


def test_classifier_names_classes_and_not_positions() -> None:
    features = torch.eye(3).repeat(10, 1)
    labels = torch.tensor([7, 2, 5]).repeat(10)
    model = fit_softmax(features, labels, (5, 7, 2), ZSL, _draw())
    assert predict(model, torch.eye(3), (5, 7, 2)).tolist() == [7, 2, 5]
    assert not model.weight.requires_grad


def _corners() -> tuple[FeatureTable, Split]:
    """Four classes at the corners of a space, one row each for every purpose."""
    labels = np.tile(np.arange(5), 2)
    table = FeatureTable(
        features=np.eye(5, dtype=np.float32)[labels],
        labels=labels,
        test=np.arange(10) >= 5,
        classes=tuple("abcde"),
        attributes=np.eye(5, dtype=np.float32),
        texts=np.zeros((5, 0), np.float32),
        rectified=True,
    )
    rows = [np.array(part) for part in ([0, 1], [0, 1], [2], [5, 6], [8, 9])]
    split = Split(
        Classes((0, 1), (2,), (3, 4)), ((0,), (1,)), (rows[0][:1], rows[0][1:]), *rows[1:]
    )
    return table, split


def test_unseen_rows_are_judged_twice_and_the_test_holds_no_validation_class() -> None:
    table, split = _corners()
    asked: list[tuple[int, ...]] = []

    def confused(
        classes: Sequence[int], generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Class 3 is made where class 0 is, so that its real rows look like nothing at all.

        What looks like nothing is taken for class 4, of which most features are made.
        """
        asked.append(tuple(classes))
        labels = torch.tensor([c for c in classes for _ in range({0: 8, 4: 12}.get(c, 4))])
        places = torch.where(labels == 3, 0, labels)
        return torch.eye(5)[places], labels

    found = Judge(table, split, ZSL, 1.0).test(confused, _draw())
    assert asked == [(3, 4), (0, 1, 3, 4)]
    assert found == ZslScores(zsl=0.5, unseen=0.5, seen=1.0)


def test_validation_uses_validation_rows_and_is_absent_without_classes() -> None:
    table, split = _corners()
    source = stored(torch.eye(5).repeat(4, 1), torch.arange(5).repeat(4))
    judge = Judge(table, split, ZSL, 1.0)
    scores = judge.validate(source, _draw())
    assert scores == ZslScores(1.0, 1.0, 1.0)
    classes = Classes((0, 1, 2), (), (3, 4))
    without = Split(classes, split.blocks, split.train, *(split.test_seen,) * 2, split.test_seen,
                    split.test_unseen)  # fmt: skip
    assert Judge(table, without, ZSL, 1.0).validate(source, _draw()) is None
