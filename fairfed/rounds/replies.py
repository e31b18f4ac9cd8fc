"""What counts of a reply: finite numbers, and a model like the one that was sent."""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import ArrayRecord, MetricRecord

from fairfed.rounds.arrays import Model, decode, validate_update
from fairfed.rounds.entries import non_negative_int
from fairfed.rounds.exchange import ARRAYS_KEY, Answers

NO_REPORT = "the reply has no finite number '{name}' in its 'metrics'"
NO_COUNT = "the reply has no whole number '{name}', from 0 to below 2**53, in its 'metrics'"
LARGEST = 1e300
"""Larger numbers count as infinite: sums of them would be."""


def accepted_numbers(answers: Answers, names: Iterable[str]) -> dict[int, dict[str, float]]:
    """Numbers of the replies' metrics by client; a reply that lacks one is rejected.

    They are finite, and whole ones where a name begins with ``n-``.
    """
    found: dict[int, dict[str, float]] = {}
    for client, reply in list(answers.replies.items()):
        metrics = reply.content.metric_records.get("metrics", MetricRecord())
        numbers = {name: _number(name, metrics.get(name)) for name in names}
        usable = {name: value for name, value in numbers.items() if value is not None}
        missing = next((name for name in numbers if name not in usable), None)
        if missing is None:
            found[client] = usable
        else:
            text = NO_COUNT if missing.startswith("n-") else NO_REPORT
            answers.reject(client, text.format(name=missing))
    return found


def _number(name: str, value: object) -> float | None:
    """A number that may be added up; None for what is none."""
    if name.startswith("n-"):
        return non_negative_int(value)
    usable = isinstance(value, int | float) and abs(value) <= LARGEST
    return value if usable else None  # type: ignore[return-value]


def accepted_models(answers: Answers, like: Model) -> dict[int, Model]:
    """Models of the replies by client; a reply without one that is like `like` is rejected."""
    found: dict[int, Model] = {}
    for client, reply in list(answers.replies.items()):
        try:
            model = decode(reply.content.array_records.get(ARRAYS_KEY, ArrayRecord()))
            reason = validate_update(model, like)
        except ValueError as error:
            reason = str(error)
        if reason is None:
            found[client] = model
        else:
            answers.reject(client, reason)
    return found


def as_row(numbers: dict[str, float]) -> dict[str, float]:
    """Numbers under the names that they have in the log."""
    return {name.replace("-", "_"): value for name, value in numbers.items()}
