"""Which columns an audit reads, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite, nan
from typing import Any, Literal

from evaluation.audit.labels import class_text, missing_texts, ordered_classes, stated
from evaluation.audit.schema import Task
from evaluation.errors import InputError

NO_PREDICTION = "give a column of predictions, of scores, or both"
NO_POSITIVE = (
    "a single score needs --positive (Python: positive=), the class whose score it is (or one "
    "column per class)"
)
TWO_CLASSES = (
    "a score alone predicts one of two classes, but {n} are stated: give a column of predictions, "
    "or one score per class"
)
THRESHOLD = 0.5
UNUSED_THRESHOLD = (
    "threshold {value} is for one score without predictions: leave it out, or leave out the "
    "column of predictions"
)
WRONG_THRESHOLD = "threshold: expected a number from 0 to 1, as scores are, got {value}"
NOT_STATED = "{what} {name!r} is not among the classes: {classes}"
UNSCORED = "every class needs a score: {classes} are stated, {scored} have a column"
WRONG_CUTS = "cut points of {column!r}: expected finite numbers that increase, got {cuts}"
UNUSED_CUTS = "cut points are given for {column!r}, which is not a sensitive column"
NO_WEIGHTS = "errors of a regression are counted without weights: leave out the column of weights"
MISSING_NAME = (
    "stands for a missing value; where it is a name, say with --missing-values which texts are not "
    "(Python: missing_values=)"
)
NOT_FOR_REGRESSION = "a regression has no {what}"


@dataclass(frozen=True)
class ReadSettings:
    """How rows become counts. Names of classes and groups: see `evaluation.audit.labels`.

    Parameters
    ----------
    truth : str
        Column of true classes, or of true values for a regression.
    prediction : str, optional
        Column of predictions. Without it the prediction is the positive class where the score is
        at least `threshold`, or the class of the highest score (the first of equals).
    score : str or mapping of class to str, optional
        Column of the positive class's score in [0, 1], or one column per class.
    sensitive : tuple of str
        Columns whose groups are compared.
    client : str, optional
        Column that names the client (site) of a row.
    weight : str, optional
        Column of weights, finite and not negative; classification only.
    task : {"classification", "regression"}
        Regression counts errors, ``prediction − truth``.
    positive : str or int or bool, optional
        The positive class; it comes last.
    classes : tuple of (str or int or bool)
        All classes; another label is then an error. Empty: those that occur, and `positive`, where
        truth and prediction clearly share them (`evaluation.audit.vocabulary`).
    threshold : float
        Of a score alone, in [0, 1].
    cuts : mapping of str to tuple of float
        Cut points of numeric sensitive columns. An empty tuple: every number is a group of its own,
        however many there are.
    auto_cuts : bool
        Cut numeric sensitive columns of more than 10 values at their quantiles, found by reading
        the data once before. Parts that are counted apart then have different cut points and
        cannot be merged.
    quantiles : int
        Groups that `auto_cuts` makes.
    missing : {"group", "drop", "error"}
        Rows without a sensitive value or client: a group ``(missing)``, left out and said, refused.
    invalid : {"error", "drop"}
        Rows without truth, prediction or score (nothing, NaN, infinite): refused, or left out and
        said.
    missing_values : tuple of str, optional
        Texts that stand for a missing value, in any case, in every column; by default
        `MISSING_TEXTS` of `evaluation.audit.labels`. Nothing and empty text always do. ``()``:
        these alone, so that ``NA`` is a name.
    bins : int, optional
        Equal bins of the score histograms over [0, 1]. None: scores are kept as they are, up to
        131,072 different ones, and beyond in intervals that follow them. Only counts in bins leave
        a site.

    Raises
    ------
    InputError
        If the settings contradict each other.
    """

    truth: str
    prediction: str | None = None
    score: str | Mapping[Any, str] | None = None
    sensitive: tuple[str, ...] = ()
    client: str | None = None
    weight: str | None = None
    task: Task = "classification"
    positive: str | int | bool | None = None
    classes: tuple[str | int | bool, ...] = ()
    threshold: float = THRESHOLD
    cuts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    auto_cuts: bool = False
    quantiles: int = 4
    missing: Literal["group", "drop", "error"] = "group"
    invalid: Literal["error", "drop"] = "error"
    missing_values: tuple[str, ...] | None = None
    bins: int | None = None

    def __post_init__(self) -> None:
        if self.prediction is None and self.score is None:
            raise InputError(NO_PREDICTION)
        if len(set(self.sensitive)) < len(self.sensitive):
            raise InputError(f"sensitive columns must differ, got: {', '.join(self.sensitive)}")
        self._check_options()
        self._check_threshold()
        self._check_cuts()
        if self.task == "regression":
            self._check_regression()
        else:
            self._check_classes()

    @property
    def missing_texts(self) -> frozenset[str]:
        """Texts in lower case that stand for a missing value."""
        return missing_texts(self.missing_values)

    @property
    def positive_class(self) -> str | None:
        """Name of the positive class."""
        return None if self.positive is None else class_text(self.positive, self.missing_texts)

    @property
    def scored(self) -> dict[str, str]:
        """Classes that have histograms and their columns, in the order of a schema's classes."""
        columns, positive = self.score_columns, self.positive_class
        return columns if positive is None or not columns else {positive: columns[positive]}

    @property
    def score_columns(self) -> dict[str, str]:
        """All columns of scores by class, in the order of a schema's classes."""
        if self.score is None:
            return {}
        if isinstance(self.score, str):
            return {str(self.positive_class): self.score}
        named = {self._named(name): column for name, column in self.score.items()}
        return {name: named[name] for name in ordered_classes(named, self.positive_class)}

    @property
    def known_classes(self) -> tuple[str, ...]:
        """Classes that are stated, or follow from one score per class; empty: found in the data."""
        if self.classes:
            return ordered_classes(map(self._named, self.classes), self.positive_class)
        by_class = isinstance(self.score, Mapping)
        if by_class and (self.positive is None or self.prediction is None):
            return tuple(self.score_columns)
        return ()

    def _named(self, value: Any) -> str:
        name = class_text(value, self.missing_texts)
        if name is None:
            raise InputError(f"classes: {value!r} {MISSING_NAME}")
        return name

    def columns(self) -> Iterator[tuple[str, str]]:
        """Role and name of every column that is read."""
        yield "truth", self.truth
        if self.prediction is not None:
            yield "prediction", self.prediction
        read = self.score_columns if self.prediction is None else self.scored
        for name, column in read.items():
            yield f"score of {name}", column
        for column in self.sensitive:
            yield "sensitive", column
        if self.client is not None:
            yield "client", self.client
        if self.weight is not None:
            yield "weight", self.weight

    def _check_options(self) -> None:
        for name, allowed in (
            ("task", ("classification", "regression")),
            ("missing", ("group", "drop", "error")),
            ("invalid", ("error", "drop")),
        ):
            if getattr(self, name) not in allowed:
                wanted = " or ".join(repr(word) for word in allowed)
                raise InputError(f"{name}: expected {wanted}, got {getattr(self, name)!r}")
        if (self.bins is not None and self.bins < 1) or self.quantiles < 2:
            raise InputError("expected at least 1 bin and 2 quantiles")

    def _check_threshold(self) -> None:
        threshold = _number(self.threshold)
        if not 0 <= threshold <= 1:
            raise InputError(WRONG_THRESHOLD.format(value=self.threshold))
        object.__setattr__(self, "threshold", threshold)
        alone = isinstance(self.score, str) and self.prediction is None
        if self.threshold != THRESHOLD and not alone:
            raise InputError(UNUSED_THRESHOLD.format(value=self.threshold))

    def _check_cuts(self) -> None:
        found = {column: tuple(map(_number, cuts)) for column, cuts in self.cuts.items()}
        for column, cuts in found.items():
            if column not in self.sensitive:
                raise InputError(UNUSED_CUTS.format(column=column))
            increasing = all(low < high for low, high in pairwise(cuts))
            if not (increasing and all(map(isfinite, cuts))):
                raise InputError(WRONG_CUTS.format(column=column, cuts=list(self.cuts[column])))
        object.__setattr__(self, "cuts", found)

    def _check_regression(self) -> None:
        if self.weight is not None:
            raise InputError(NO_WEIGHTS)
        if self.prediction is None or self.score is not None:
            raise InputError(NOT_FOR_REGRESSION.format(what="score; give a column of predictions"))
        if self.classes or self.positive is not None:
            raise InputError(NOT_FOR_REGRESSION.format(what="classes and no positive class"))

    def _check_classes(self) -> None:
        known, positive = self.known_classes, self.positive_class
        if self.positive is not None and positive is None:
            raise InputError(f"positive: {self.positive!r} {MISSING_NAME}")
        if isinstance(self.score, str):
            if positive is None:
                raise InputError(NO_POSITIVE)
            if self.prediction is None and known and len(known) != 2:
                raise InputError(TWO_CLASSES.format(n=len(known)))
        self._check_scores(known)
        if known and positive is not None and positive not in known:
            shown = ", ".join(known)
            raise InputError(NOT_STATED.format(what="positive", name=positive, classes=shown))

    def _check_scores(self, known: tuple[str, ...]) -> None:
        if not isinstance(self.score, Mapping):
            return
        columns, positive = self.score_columns, self.positive_class
        if positive is not None and positive not in columns:
            shown = ", ".join(columns)
            raise InputError(NOT_STATED.format(what="positive", name=positive, classes=shown))
        if (positive is None or self.prediction is None) and set(columns) != set(known):
            scored = ", ".join(columns) or "none"
            raise InputError(UNSCORED.format(classes=", ".join(known), scored=scored))


def _number(value: Any) -> float:
    """The number that is meant; NaN, which no check lets pass, where it is none."""
    try:
        return stated(value)
    except (TypeError, ValueError):
        return nan
