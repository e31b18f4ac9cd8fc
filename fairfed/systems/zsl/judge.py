"""The server's judgement: features of classes that it has no row of, a classifier, its accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fairfed.config.zsl import ZslSettings
from fairfed.systems.zsl.classify import ZslScores, fit_softmax, mean_class_accuracy, predict
from fairfed.systems.zsl.networks import Conditions, FeatureGenerator
from fairfed.systems.zsl.split import Rows, Split
from fairfed.systems.zsl.table import FeatureTable

Source = Callable[[Sequence[int], torch.Generator], tuple[Tensor, Tensor]]
"""Features of classes, ``[n, d]``, and their labels ``[n]``, in the federation's scale."""


def generated(maker: FeatureGenerator, conditions: Conditions, per_class: int) -> Source:
    """What a feature generator makes of a class: as many features of each."""

    def source(classes: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        labels = torch.tensor(classes).repeat_interleave(per_class)
        with torch.no_grad():
            return maker(conditions.draw(labels, generator), generator), labels

    return source


def stored(features: Tensor, labels: Tensor) -> Source:
    """Features that are there already, such as embeddings of generated images."""

    def source(classes: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        chosen = torch.isin(labels, torch.tensor(classes))
        return features[chosen], labels[chosen]

    return source


class Judge:
    """Scores a source of synthetic features on real ones.

    Both classifiers, of unseen classes alone and of all, learn from synthetic features only: the
    server has no client's row.

    Parameters
    ----------
    table, split
        Real rows, and which of them validate and test.
    zsl
        Epochs and learning rate of the classifiers.
    scale
        Factor from real features to the federation's scale.
    """

    def __init__(self, table: FeatureTable, split: Split, zsl: ZslSettings, scale: float) -> None:
        self._table = table
        self._split = split
        self._zsl = zsl
        self._scale = scale

    def validate(self, source: Source, generator: torch.Generator) -> ZslScores | None:
        """Scores with the validation classes in the place of unseen ones; None without any."""
        split = self._split
        if not split.classes.validation:
            return None
        rows = split.validation_unseen, split.validation_seen
        return self._score(source, split.classes.validation, rows, generator)

    def test(self, source: Source, generator: torch.Generator) -> ZslScores:
        """Scores on the test rows of unseen and trained classes."""
        rows = self._split.test_unseen, self._split.test_seen
        return self._score(source, self._split.classes.unseen, rows, generator)

    def _score(
        self,
        source: Source,
        unseen: Sequence[int],
        rows: tuple[Rows, Rows],
        generator: torch.Generator,
    ) -> ZslScores:
        among_unseen = self._accuracies(source, unseen, rows[:1], generator)
        everything = (*self._split.classes.trained, *unseen)
        among_all = self._accuracies(source, everything, rows, generator)
        return ZslScores(among_unseen[0], among_all[0], among_all[1])

    def _accuracies(
        self,
        source: Source,
        classes: Sequence[int],
        parts: Sequence[Rows],
        generator: torch.Generator,
    ) -> list[float]:
        """Accuracy on each part of a classifier that chooses among `classes`."""
        made, labels = source(classes, generator)
        model = fit_softmax(
            made,
            labels,
            classes,
            epochs=self._zsl.classifier_epochs,
            lr=self._zsl.classifier_lr,
            batch_size=self._zsl.batch_size,
            generator=generator,
        )
        found = []
        for rows in parts:
            real = torch.from_numpy(self._table.features[rows]) * self._scale
            told = predict(model, real, classes)
            found.append(mean_class_accuracy(self._table.labels[rows], told))
        return found
