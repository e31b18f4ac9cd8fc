"""What counts of a reply: finite numbers, and a model like the one that was sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from flwr.app import ArrayRecord, MetricRecord, RecordDict

from fairfed.rounds.arrays import Model, decode, validate_update
from fairfed.rounds.entries import RejectedReply, non_negative_int
from fairfed.rounds.exchange import ARRAYS_KEY, Answers

Read = TypeVar("Read")
NO_REPORT = "the reply has no finite number '{name}' in its 'metrics'"
NO_COUNT = "the reply has no whole number '{name}', from 0 to below 2**53, in its 'metrics'"
LARGEST = 1e300
"""Larger numbers count as infinite: sums of them would be."""


def usable(answers: Answers, read: Callable[[RecordDict], Read]) -> dict[int, Read]:
    """What is read of each reply, by client; one that gives a `ValueError` is rejected."""
    found: dict[int, Read] = {}
    for client, reply in list(answers.replies.items()):
        try:
            found[client] = read(reply.content)
        except ValueError as error:
            answers.reject(client, str(error))
    return found


def accepted_numbers(answers: Answers, names: Iterable[str]) -> dict[int, dict[str, float]]:
    """Numbers of the replies' metrics by client; a reply that lacks one is rejected.

    They are finite, and whole ones where a name begins with ``n-``.
    """
    wanted = list(names)

    def read(content: RecordDict) -> dict[str, float]:
        metrics = content.metric_records.get("metrics", MetricRecord())
        return {name: _number(name, metrics.get(name)) for name in wanted}

    return usable(answers, read)


def _number(name: str, value: object) -> float:
    """A number that may be added up."""
    whole = name.startswith("n-")
    if whole and (count := non_negative_int(value)) is not None:
        return count
    if not whole and isinstance(value, int | float) and abs(value) <= LARGEST:
        return value
    raise RejectedReply((NO_COUNT if whole else NO_REPORT).format(name=name))


def model_of(content: RecordDict, like: Model) -> Model:
    """The model of a reply; `ValueError` where it has none that is like `like`."""
    model = decode(content.array_records.get(ARRAYS_KEY, ArrayRecord()))
    reason = validate_update(model, like)
    if reason is not None:
        raise RejectedReply(reason)
    return model


def accepted_models(answers: Answers, like: Model) -> dict[int, Model]:
    """Models of the replies by client; a reply without one that is like `like` is rejected."""
    return usable(answers, lambda content: model_of(content, like))


def as_row(numbers: dict[str, float]) -> dict[str, float]:
    """Numbers under the names that they have in the log."""
    return {name.replace("-", "_"): value for name, value in numbers.items()}
