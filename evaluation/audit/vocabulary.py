"""Whether truth and prediction speak of the same classes, before anything is computed from them.

A third label makes of a binary audit the average of several: other numbers than those of a gate. So
an audit is one of many classes only where they are stated, or the labels leave no doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evaluation.audit.labels import PAIRS, implied_positive, is_number
from evaluation.audit.options import AuditOptions
from evaluation.audit.tally import Tally
from evaluation.errors import InputError

LABELS = 100
"""Labels that may occur without being stated."""
FRACTIONS = 10
"""Different fractions that may be labels, as marks are; more are scores or values."""
SHOWN = 6
"""Labels that an error names."""
FREE = ("accuracy", "balanced_accuracy", "zero_one_loss")
"""Metrics that are the same whichever of two classes is the positive one."""

CONTINUOUS = (
    "holds more than {limit} different labels, which is no classification: name scores with "
    "--score, compare values with --task regression, or state all labels with --classes (Python: "
    "score=, task=, classes=)"
)
FRACTIONAL = (
    "holds more than {limit} different fractions, which are no labels: name scores with --score, "
    "compare values with --task regression, or state all labels with --classes (Python: score=, "
    "task=, classes=)"
)
DOUBT = (
    "there are {n} labels in {columns}, and {why}: {labels}. Correct or map them; for an audit of "
    "{n} classes {state} (Python: classes=){hint}"
)
STATE = "state them all with --classes"
OR_LEAVE = "leave out --positive, or state them all with --classes"
SCORES = "; scores are named with --score, values are compared with --task regression"
NO_POSITIVE = (
    "the positive class {positive!r} does not occur among {found} in {columns}; name one of them, "
    "or state all classes"
)
ASK = (
    "which class is the positive one, {first}, or {second}? Say it with --positive (Python: "
    "positive=), at every site where counts are merged; rates of selection and error depend on it"
)


@dataclass(frozen=True)
class Vocabulary:
    """The labels of some rows."""

    columns: tuple[str, ...]  # of truth and, where there is one, of prediction
    truth: Mapping[str, int]  # labels that occur, and in how many rows
    predicted: Mapping[str, int]
    first: Mapping[str, str]  # where each label stands first, in words
    parts: Sequence[Sequence[frozenset[str]]] = ()  # labels of each file; of each client

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, the rarest first."""
        found = {*self.truth, *self.predicted}
        return tuple(sorted(found, key=lambda name: (sum(self._rows(name)), name)))

    def _rows(self, name: str) -> tuple[int, int]:
        return self.truth.get(name, 0), self.predicted.get(name, 0)

    def described(self) -> str:
        """The labels with how often and where they occur, the odd ones first."""
        shown = []
        for name in self.labels[:SHOWN]:
            true, predicted = self._rows(name)
            rows = (
                f"{true:,} true, {predicted:,} predicted" if len(self.columns) > 1 else f"{true:,}"
            )
            shown.append(f"{name!r} ({rows}; first: {self.first[name]})")
        more = len(self.labels) - SHOWN
        return ", ".join(shown + ([f"{more} more"] if more > 0 else []))


def check_vocabulary(found: Vocabulary, positive: str | None) -> None:
    """Refuse labels, none of them stated, that may be those of a binary audit gone wrong.

    That are more than two which truth and prediction do not clearly share, and a positive class
    that is named among more than two or is none of them.
    """
    names, columns = found.labels, _columns(found)
    if len({*names} - {positive}) > 1 and positive is not None and positive not in names:
        shown = ", ".join(map(repr, sorted(names)))
        raise InputError(NO_POSITIVE.format(positive=positive, found=shown, columns=columns))
    if len(names) < 3:
        return
    named = f"the positive class {positive!r} is one of two" if positive is not None else ""
    why = named or _doubt(found)
    if why:
        state, hint = OR_LEAVE if named else STATE, SCORES if any(map(is_fraction, names)) else ""
        labels, n = found.described(), len(names)
        text = DOUBT.format(n=n, columns=columns, why=why, labels=labels, state=state, hint=hint)
        raise InputError(text)


def check_positive(tally: Tally, options: AuditOptions | None = None) -> None:
    """Refuse two classes of which none is known to be positive, if a metric depends on it."""
    schema = tally.schema
    if len(schema.classes) != 2 or schema.positive is not None or tally.confusion is None:
        return
    if implied_positive(schema.classes) is not None:
        return
    if options and options.metrics and set(options.metrics) <= set(FREE) and not options.depth:
        return
    rows = tally.counts([]).values.sum(axis=0) if tally.n else None
    described = [
        repr(name)
        if rows is None
        else f"{name!r} ({rows[i].sum():,} true, {rows[:, i].sum():,} predicted)"
        for i, name in enumerate(schema.classes)
    ]
    raise InputError(ASK.format(first=described[0], second=described[1]))


def is_fraction(name: str) -> bool:
    """Whether a label is the name of a number that is not whole."""
    return is_number(name) and not float(name).is_integer()


def unrelated(parts: Iterable[frozenset[str]]) -> bool:
    """Whether sets of labels fall into several heaps that have no label in common."""
    heaps: list[frozenset[str]] = []
    for part in filter(None, parts):
        touching = [heap for heap in heaps if heap & part]
        heaps = [heap for heap in heaps if not heap & part]
        heaps.append(part.union(*touching))
    return len(heaps) > 1


def _columns(found: Vocabulary) -> str:
    word = "column" if len(set(found.columns)) == 1 else "columns"
    return f"{word} {' and '.join(map(repr, dict.fromkeys(found.columns)))}"


def _doubt(found: Vocabulary) -> str:
    """Why labels may not be those of an audit of so many classes; empty where they are."""
    truth, predicted, names = set(found.truth), set(found.predicted), found.labels
    common = truth & predicted
    numbers = [name for name in names if is_number(name)]
    folded: dict[str, str] = {}
    alike = [
        (folded[key], name) for name in names if folded.setdefault(key := _fold(name), name) != name
    ]
    if len(common) < 3:
        return f"only {len(common)} of them occur both as truth and as prediction"
    if truth - common and predicted - common:
        return "truth and prediction each have some that the other lacks"
    if alike:
        return f"{alike[0][0]!r} and {alike[0][1]!r} may be one"
    if numbers and len(numbers) < len(names):
        return "some are numbers and some are words"
    if sum(set(pair) <= set(map(str.casefold, names)) for pair in PAIRS) > 1:
        return "some say the same in other words"
    if any(map(unrelated, found.parts)):
        return "files or clients have none in common"
    return ""


def _fold(name: str) -> str:
    """A label without what a slip of the keyboard adds: case, white space, marks at the end."""
    return " ".join(name.casefold().split()).rstrip(".,;:!?\"'") or name
