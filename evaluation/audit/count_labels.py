"""Rows of a classification as confusion counts and histograms of scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.audit.columns import Codes, Floats, Levels, Place, numbers
from evaluation.audit.counting import Counting, relabelled, whole
from evaluation.audit.gather import Gather
from evaluation.audit.labels import class_text
from evaluation.audit.leading_bits import Cells
from evaluation.audit.number_text import number_text
from evaluation.audit.schema import WEIGHT_UNIT, Schema, ordered_classes
from evaluation.audit.score_gather import ScoreGather
from evaluation.audit.settings import ReadSettings
from evaluation.audit.sparse import IntArray, SparseCounts
from evaluation.audit.tally import Tally
from evaluation.errors import InputError

OTHER = " other than the positive class "
"""Stands for the class that a low score predicts until it is known; no label has such spaces."""

OUTSIDE = "score {value} is outside 0 to 1; give probabilities"
ROUNDING = 1e-6
"""How far beyond 0 or 1 a score may lie: sums of probabilities in float32 do."""
BAD_WEIGHT = "expected a weight, finite and not negative, got {value}"
NO_POSITIVE = (
    "the positive class {positive!r} does not occur among {found} in column {column!r}; name one "
    "of them, or state all classes"
)
ODD = (
    "the positive class {positive!r} is one of two, and there are {n} labels. Beside the usual "
    "ones: {odd}. Correct them; for an audit of {n} classes leave out --positive, or state them "
    "all with --classes (Python: positive=, classes=)"
)
SHOWN = 5
"""Odd labels that an error names."""
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
        self.classes = Levels(settings.truth, class_text, settings.known_classes)
        for name in settings.scored:
            # Histograms ask for its index even before a row has it.
            self.classes.code(name)
        self.first_seen: dict[str, str] = {}
        width = 1 if settings.weight is None else 3
        self.confusion = Gather(width)
        self.histograms = ScoreGather(settings.bins, Gather(width))

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
            weights = [own[keep] for own in weights]
            scores = {name: own[keep] for name, own in scores.items()}
        c = len(self.classes)
        flat = (lead * c + truth) * c + predicted
        self.confusion.add((*self.groups.sizes, c, c), flat, weights)
        self._add_scores(lead, truth, scores, weights)

    def _add_scores(
        self, lead: IntArray, truth: Codes, scores: dict[str, Floats], weights: list[IntArray]
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
        return codes

    def _remember(self, codes: Codes, known: int, column: str, place: Place) -> None:
        """Where each label that was not known before stands first."""
        names, new = list(self.classes.codes), np.flatnonzero(codes >= known)
        found, first = np.unique(codes[new], return_index=True)
        for code, i in zip(found, first, strict=True):
            self.first_seen[names[int(code)]] = place.where(int(new[i]), column)

    def _scores(self, batch: Any, place: Place) -> dict[str, Floats]:
        alone = self.settings.prediction is None
        columns = self.settings.score_columns if alone else self.settings.scored
        scores = {}
        for name, column in columns.items():
            own = numbers(batch.column(column), column, place)
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

    def _predicted(self, scores: dict[str, Floats]) -> Codes:
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

    def _weights(self, batch: Any, place: Place) -> list[IntArray]:
        """``w`` and ``w²`` in units of `WEIGHT_UNIT`, or nothing."""
        column = self.settings.weight
        if column is None:
            return []
        weights = numbers(batch.column(column), column, place)
        wrong = np.isnan(weights) | (weights < 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            shown = "nothing or no finite number" if np.isnan(weights[row]) else weights[row]
            raise place.error(row, column, BAD_WEIGHT.format(value=shown))
        with np.errstate(over="ignore"):
            squares = weights * weights
        return [whole(own, WEIGHT_UNIT, column, place) for own in (weights, squares)]

    def tally(self) -> Tally:
        """Confusion counts and histograms of all rows."""
        settings = self.settings
        c = len(self.classes)
        confusion = self.confusion.counts((*self.groups.sizes, c, c))
        index = confusion.index()
        clients, axes, maps = self.groups.axes(index[:-2])
        rows = np.bincount(np.concatenate(index[-2:]), np.tile(confusion.values[:, 0], 2), c)
        found = {name: int(n) for name, n in zip(self.classes.codes, rows, strict=True) if n}
        classes, places = self._class_places(found)
        schema = Schema(
            "classification",
            classes,
            axes,
            clients,
            positive=settings.positive_class,
            bins=settings.bins if settings.scored else 0,
            weighted=settings.weight is not None,
            unit=settings.unit,
            columns=self._columns,
        )
        lead, c = schema.group_shape, len(classes)
        tallied = relabelled(confusion, [*maps, places, places], (*lead, c, c))
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
        return relabelled(counted, [*maps, *same], (*schema.group_shape, *last)), cells

    def _class_places(self, found: Mapping[str, int]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Classes of the schema, and the place among them of every index.

        `found` counts how often each name occurs, as truth or as prediction.
        """
        settings, positive = self.settings, self.settings.positive_class
        classes = settings.known_classes
        if not classes:
            names = {name: n for name, n in found.items() if name != OTHER}
            self._check_found(names, OTHER in found)
            stated = () if positive is None else (positive,)
            classes = ordered_classes((*names, *stated), positive)
        places = {name: place for place, name in enumerate(classes)}
        # The other of two classes comes first.
        places[OTHER] = 0
        return classes, np.array([places.get(name, 0) for name in self.classes.codes], np.int64)

    def _check_found(self, names: Mapping[str, int], low: bool) -> None:
        settings, positive = self.settings, self.settings.positive_class
        others, shown = [n for n in names if n != positive], ", ".join(map(repr, sorted(names)))
        column = settings.truth
        if isinstance(settings.score, str) and settings.prediction is None:
            if len(others) > 1:
                raise InputError(NOT_BINARY.format(column=column, found=shown))
            if low and not others:
                raise InputError(NO_OTHER.format(column=column, positive=positive))
        if positive is not None and positive not in names and len(others) > 1:
            what = NO_POSITIVE.format(positive=positive, found=shown, column=column)
            raise InputError(what)
        if positive is not None and len(others) > 1:
            raise InputError(ODD.format(positive=positive, n=len(names), odd=self._odd(names)))

    def _odd(self, names: Mapping[str, int]) -> str:
        """Labels beside the positive one and the commonest other, each with its first place."""
        others = [name for name in names if name != self.settings.positive_class]
        odd = sorted(others, key=lambda name: (-names[name], name))[1:]
        shown = [f"{name!r} ({self.first_seen[name]})" for name in odd[:SHOWN]]
        more = [f"{len(odd) - SHOWN} more"] if len(odd) > SHOWN else []
        return ", ".join([*shown, *more])
