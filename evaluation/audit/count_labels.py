"""Rows of a classification as confusion counts and histograms of scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.columns import LEVELS, Codes, Levels, Place, numbers
from evaluation.audit.counting import Counting
from evaluation.audit.gather import Gather, ScoreGather
from evaluation.audit.labels import class_text, number_text, ordered_classes
from evaluation.audit.leading_bits import Cells
from evaluation.audit.schema import Schema
from evaluation.audit.settings import ReadSettings
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.tally import Tally
from evaluation.audit.vocabulary import (
    CONTINUOUS,
    FRACTIONAL,
    FRACTIONS,
    LABELS,
    Vocabulary,
    check_vocabulary,
    is_fraction,
)
from evaluation.errors import InputError
from evaluation.rates import FloatArray

OTHER = " other than the positive class "
"""Stands for the class that a low score predicts until it is known; no label has such spaces."""

OUTSIDE = "score {value} is outside 0 to 1; give probabilities"
ROUNDING = 1e-6
"""How far beyond 0 or 1 a score may lie: sums of probabilities in float32 do."""
BAD_WEIGHT = "expected a weight, finite and not negative, got {value}"
NO_OTHER = (
    "column {column!r} holds {positive!r} alone, and a low score predicts the other class: state "
    "both with --classes (Python: classes=)"
)
NOT_BINARY = (
    "a score alone predicts one of two classes, column {column!r} holds {found}: give a column of "
    "predictions, or one score per class"
)


class Labels(Counting):
    """Classification: confusion counts and histograms of scores."""

    def __init__(self, settings: ReadSettings) -> None:
        super().__init__(settings)
        stated = settings.known_classes
        named = partial(class_text, missing=settings.missing_texts)
        limit = LEVELS if stated else LABELS
        self.classes = Levels(settings.truth, named, stated, limit, CONTINUOUS)
        for name in settings.scored:
            # Histograms ask for its index even before a row has it.
            self.classes.code(name)
        self.first_seen: dict[str, str] = {}
        self.sources: dict[str, set[int]] = {}
        unweighted = settings.weight is None
        self.confusion = Gather(() if unweighted else ("plain", "squared"))
        self.histograms = ScoreGather(settings.bins, Gather(() if unweighted else ("plain",)))

    def _add(self, batch: Any, place: Place) -> None:
        settings, n = self.settings, batch.num_rows
        truth = self._encode(batch, settings.truth, place)
        scores = self._scores(batch, place)
        wrong = [(settings.truth, truth < 0)]
        wrong += [(settings.score_columns[name], np.isnan(own)) for name, own in scores.items()]
        if settings.prediction is None:
            predicted = self._predicted(scores)
        else:
            predicted = self._encode(batch, settings.prediction, place)
            wrong.append((settings.prediction, predicted < 0))
        weights = self._weights(batch, place)
        codes, gone = self.groups.encode(batch, place)
        keep = self._kept(wrong, gone, place, n)
        lead = self._lead(codes, keep, n)
        if keep is not None:
            truth, predicted = truth[keep], predicted[keep]
            weights = None if weights is None else weights[keep]
            scores = {name: own[keep] for name, own in scores.items()}
        c = len(self.classes)
        flat = (lead * c + truth) * c + predicted
        self.confusion.add((*self.groups.sizes, c, c), flat, weights)
        self._add_scores(lead, truth, scores, weights)

    def _add_scores(
        self,
        lead: IntArray,
        truth: Codes,
        scores: dict[str, FloatArray],
        weights: FloatArray | None,
    ) -> None:
        scored = list(self.settings.scored)
        for i, name in enumerate(scored):
            side = truth == self.classes.codes[name]
            flat = (lead * len(scored) + i) * 2 + side
            sizes = (*self.groups.sizes, len(scored), 2)
            self.histograms.add(sizes, flat, scores[name], weights)

    def _encode(self, batch: Any, column: str, place: Place) -> Codes:
        self.classes.column = column
        known = len(self.classes)
        codes = self.classes.encode(batch.column(column), place)
        if len(self.classes) > known:
            self._remember(codes, known, column, place)
            if not self.classes.closed and sum(map(is_fraction, self.classes.codes)) > FRACTIONS:
                raise place.column_error(column, FRACTIONAL.format(limit=FRACTIONS))
        self.sources.setdefault(place.source, set()).update(self.classes.latest)
        return codes

    def _remember(self, codes: Codes, known: int, column: str, place: Place) -> None:
        """Where each label that was not known before stands first."""
        names, new = list(self.classes.codes), np.flatnonzero(codes >= known)
        found, first = np.unique(codes[new], return_index=True)
        for code, i in zip(found, first, strict=True):
            self.first_seen[names[int(code)]] = place.where(int(new[i]), column)

    def _scores(self, batch: Any, place: Place) -> dict[str, FloatArray]:
        alone = self.settings.prediction is None
        columns = self.settings.score_columns if alone else self.settings.scored
        scores = {}
        for name, column in columns.items():
            own = numbers(batch.column(column), column, place, self.settings.missing_texts)
            outside = (own < 0) | (own > 1)
            if outside.any():
                wrong = (own < -ROUNDING) | (own > 1 + ROUNDING)
                if wrong.any():
                    row = int(np.argmax(wrong))
                    raise place.error(row, column, OUTSIDE.format(value=number_text(own[row])))
                self.clipped[column] += int(np.count_nonzero(outside))
                own = np.clip(own, 0.0, 1.0)
            scores[name] = own
        return scores

    def _predicted(self, scores: dict[str, FloatArray]) -> Codes:
        """Class of the highest score, or the positive one where its score reaches the threshold."""
        if isinstance(self.settings.score, str):
            (name, own), known = next(iter(scores.items())), self.settings.known_classes
            other = next((text for text in known if text != name), OTHER)
            names, high = [other, name], own >= self.settings.threshold
            place = high.astype(np.int64)
        else:
            names = list(scores)
            place = np.argmax(np.stack(list(scores.values())), axis=0)
        codes = np.array([self.classes.codes.get(name, -1) for name in names])
        for i in np.unique(place):
            codes[i] = self.classes.code(names[i])
        return codes.astype(np.int32)[place]

    def _weights(self, batch: Any, place: Place) -> FloatArray | None:
        column = self.settings.weight
        if column is None:
            return None
        weights = numbers(batch.column(column), column, place, self.settings.missing_texts)
        wrong = np.isnan(weights) | (weights < 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            shown = "nothing or no finite number" if np.isnan(weights[row]) else weights[row]
            raise place.error(row, column, BAD_WEIGHT.format(value=shown))
        return weights

    def tally(self) -> Tally:
        """Confusion counts and histograms of all rows."""
        settings = self.settings
        c = len(self.classes)
        confusion = self.confusion.counts((*self.groups.sizes, c, c))
        index = confusion.index()
        clients, axes, maps = self.groups.axes(index[:-2])
        rows = [np.bincount(own, confusion.rows, c).astype(np.float64) for own in index[-2:]]
        classes, places = self._class_places(rows, self._parts(index))
        schema = Schema(
            "classification",
            classes,
            axes,
            clients,
            positive=settings.positive_class,
            bins=settings.bins if settings.scored else 0,
            weighted=settings.weight is not None,
            place=self.confusion.place,
            columns=self._columns,
        )
        lead, c = schema.group_shape, len(classes)
        tallied = confusion.relabelled([*maps, places, places], (*lead, c, c))
        scores, cells = self._histograms(schema, maps)
        return Tally(schema, tallied, scores, cells=cells)

    def _histograms(
        self, schema: Schema, maps: list[NDArray[np.int64]]
    ) -> tuple[SparseCounts | None, Cells | None]:
        s = len(self.settings.scored)
        if not s:
            return None, None
        counted, cells = self.histograms.counts((*self.groups.sizes, s, 2))
        last = counted.shape[-3:]
        same = [np.arange(size) for size in last]
        return counted.relabelled([*maps, *same], (*schema.group_shape, *last)), cells

    def _parts(self, index: Sequence[NDArray[np.int64]]) -> list[list[set[int]]]:
        """The labels of each file; of each client."""
        client = np.concatenate((index[0], index[0]))
        label = np.concatenate((index[-2], index[-1]))
        pairs = np.unique(np.stack((client, label), axis=1), axis=0)
        clients = [set(pairs[pairs[:, 0] == own, 1].tolist()) for own in np.unique(pairs[:, 0])]
        return [list(self.sources.values()), clients]

    def _class_places(
        self, rows: Sequence[NDArray[Any]], parts: Iterable[Iterable[set[int]]]
    ) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Classes of the schema, and the place among them of every index.

        `rows` are those of each index as truth and as prediction.
        """
        settings, positive = self.settings, self.settings.positive_class
        classes = settings.known_classes
        if not classes:
            names = list(self.classes.codes)
            truth, predicted = (
                {names[i]: int(own[i]) for i in np.flatnonzero(own)} for own in rows
            )
            low = predicted.pop(OTHER, 0) > 0
            if isinstance(settings.score, str) and settings.prediction is None:
                self._check_scored(truth, low)
            else:
                columns = [settings.truth, *filter(None, [settings.prediction])]
                own_parts = [
                    [frozenset(names[i] for i in part) for part in split] for split in parts
                ]
                check_vocabulary(
                    Vocabulary(tuple(columns), truth, predicted, self.first_seen, own_parts),
                    positive,
                )
            stated = () if positive is None else (positive,)
            classes = ordered_classes((*truth, *predicted, *stated), positive)
        places = {name: place for place, name in enumerate(classes)}
        # The other of two classes comes first.
        places[OTHER] = 0
        return classes, np.array([places.get(name, 0) for name in self.classes.codes], np.int64)

    def _check_scored(self, truth: Mapping[str, int], low: bool) -> None:
        """Refuse what one score cannot predict: more than two classes, or one that is unnamed."""
        column, positive = self.settings.truth, self.settings.positive_class
        others = [name for name in truth if name != positive]
        if len(others) > 1:
            shown = ", ".join(map(repr, sorted(truth)))
            raise InputError(NOT_BINARY.format(column=column, found=shown))
        if low and not others:
            raise InputError(NO_OTHER.format(column=column, positive=positive))
