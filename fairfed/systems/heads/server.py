"""The server's side of one head: ask for sums, add up, solve, choose a strength, measure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from flwr.app import ArrayRecord, RecordDict

from fairfed.config.base import required
from fairfed.rounds.arm_server import ArmServer, Plan, RoundResult, Row
from fairfed.rounds.arrays import Model, add_prefixes, decode, encode, strip_prefixes
from fairfed.rounds.entries import Entries
from fairfed.rounds.exchange import ARRAYS_KEY, Answers, Client, Exchange, Steps
from fairfed.rounds.masked import Masking, opened_sum
from fairfed.rounds.replies import usable
from fairfed.sites.masked import SUM
from fairfed.sites.workplace import Workplace
from fairfed.strategies.rows import finite
from fairfed.systems.heads.client import FIT, HELD, TEST
from fairfed.systems.heads.features import size_of
from fairfed.systems.heads.solve import Head, estimated_gram, solve, with_prior
from fairfed.systems.heads.sums import (
    Classes,
    Counts,
    Floats,
    Sums,
    by_class,
    cell_weights,
    nothing,
    of_sum,
    total,
    unpacked,
    unshortened,
)
from fairfed.systems.heads.variants import Variant
from semantic.space import known_groups

logger = logging.getLogger("fairfed")

Read = TypeVar("Read")
Both = tuple[Sums, Sums]
"""A client's sums to solve from, and those of its validation rows."""


class HeadServer(ArmServer):
    """Solves one head in one round.

    Every message tells a client what is in `request`. `texts` are features of the classes' text
    embeddings ``[C, d]``; None where nothing is expected of a class without rows. With a `masking`,
    the server learns sums over all clients alone.
    """

    def __init__(
        self,
        clients: Sequence[Client],
        plan: Plan,
        request: Mapping[str, Any],
        variant: Variant,
        place: Workplace,
        texts: Floats | None,
        masking: Masking | None = None,
    ) -> None:
        self._everyone = [client.index for client in clients]
        self._plan, self._request, self._variant, self._texts = plan, request, variant, texts
        self._masking, self._there = masking, tuple[int, ...]()
        groups, classes = place.labels.shape
        self._cells, self._size = (classes, groups), size_of(place)
        self._known = np.asarray(known_groups(place.labels.groups), np.bool_)
        how = required(place.study.heads)
        strengths, self._rows = how.strengths, how.prior_rows
        self._strengths = strengths if variant.regularised else strengths[:1]

    def start(self) -> Model:
        """A head that knows nothing."""
        classes = self._cells[0]
        return _sent([Head(np.zeros((classes, self._size)), np.zeros(classes))])

    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        """All there is: sums, perhaps a choice, a measurement."""
        asked = {**self._request, "round": number}
        wanted = {**asked, "moments": self._variant.moments}
        if self._masking is not None:
            wanted[SUM] = self._variant.key
        drawn = self._plan.draw(self._everyone, number)
        answers = yield Exchange.alike("query.heads", drawn, wanted)
        if self._masking is None:
            clients = _each(answers, self._both)
            rows = {client: row for client, (_, row) in clients.items()}
            parts = {client: both for client, (both, _) in clients.items()}
        else:
            rows = _each(answers, lambda said, sent: {"seconds": said.seconds("seconds")})
            parts = yield from self._masked(self._masking, wanted, answers)
        if not any(fit.counts.any() for fit, _ in parts.values()):
            return RoundResult(None, rows)
        whole = [one + other for one, other in parts.values()]
        missing = np.flatnonzero(total(whole).counts.sum(1) == 0).tolist()
        if missing and self._texts is not None:
            # No validation image is of such a class, so that none says how far to trust its text.
            self._strengths = (max(self._strengths),)
        strength, entries = yield from self._choose(asked, parts)
        head = _sent([self._solved(whole, strength)])
        tested = yield _judging(asked, TEST, self._everyone, head, "evaluate")
        for client, own in _each(tested, self._tested).items():
            rows[client] = {**rows.get(client, {}), **own}
        return RoundResult(head, rows, {**entries, **({"missing": missing} if missing else {})})

    def _masked(
        self, how: Masking, wanted: Mapping[str, Any], answers: Answers
    ) -> Steps[dict[int, Both]]:
        """The sums of all who gave some, as if of the first of them, who stands for all."""
        moments = self._variant.moments
        like = unshortened(nothing(self._cells, self._size, moments))
        found = yield from opened_sum(
            how, answers, wanted, add_prefixes(dict.fromkeys((FIT, HELD), like))
        )
        if isinstance(found, str):
            logger.warning("%s", found)
            return {}
        self._there = found.clients
        fit, held, _ = strip_prefixes(found.total, FIT, HELD)
        return {found.clients[0]: (of_sum(fit, self._size), of_sum(held, self._size))}

    def _judged_masked(
        self, how: Masking, asked: Mapping[str, Any], heads: Model, number: int
    ) -> Steps[tuple[Counts, Counts] | None]:
        """Of all validation rows, those that each head classifies right, and all; None: no sum."""
        wanted = {**asked, SUM: f"{self._variant.key}-validation"}
        answers = yield _judging(wanted, HELD, self._there, heads, "validation")
        cells = np.zeros(self._cells, np.int64)
        like = {"right": np.stack([cells] * number), "judged": cells}
        found = yield from opened_sum(how, answers, wanted, like)
        return None if isinstance(found, str) else (found.total["right"], found.total["judged"])

    def _both(self, said: Entries, sent: Model) -> tuple[Both, Row]:
        """A client's sums, and what the log says of it."""
        fit, held = (
            unpacked(
                said.cells(f"{name}-cells", self._cells), own, self._size, self._variant.moments
            )
            for name, own in zip((FIT, HELD), strip_prefixes(sent, FIT, HELD), strict=False)
        )
        n = int(fit.counts.sum() + held.counts.sum())
        return (fit, held), {"n_real": n, "seconds": said.seconds("seconds")}

    def _tested(self, said: Entries, sent: Model) -> Row:
        counts = said.confusion("counts", self._cells[::-1])
        return {"test_loss": finite(said.number("loss")), "test_counts": counts.tolist()}

    def _choose(
        self, asked: Mapping[str, Any], clients: Mapping[int, Both]
    ) -> Steps[tuple[float, dict[str, Any]]]:
        """The strength whose head is right most often on validation rows; the first of equals.

        Rows count as they do for the head: in a balanced one, by their cells.
        """
        candidates, first = self._strengths, self._strengths[0]
        held = total([other for _, other in clients.values()]).counts
        if len(candidates) == 1 or not held.any():
            return first, {"strength": first} if self._variant.regularised else {}
        fit = [one for one, _ in clients.values()]
        heads = _sent([self._solved(fit, strength) for strength in candidates])
        shape = len(candidates), *self._cells
        if self._masking is None:
            answers = yield _judging(asked, HELD, clients, heads, "validation")
            right = _each(answers, lambda said, sent: said.cells("right-cells", shape))
            judged = sum(clients[client][1].counts for client in right) + np.zeros_like(held)
            hits = sum(right.values()) + np.zeros(shape, np.int64)
        else:
            found = yield from self._judged_masked(self._masking, asked, heads, len(candidates))
            hits, judged = found or (np.zeros(shape, np.int64), np.zeros_like(held))
        weights = cell_weights(judged, self._variant.balance, self._known)
        scores = (weights * hits).sum((1, 2)) / max(float((weights * judged).sum()), 1.0)
        chosen = candidates[int(scores.argmax())]
        return chosen, {"strength": chosen, "validation": scores.tolist()}

    def _solved(self, clients: Sequence[Sums], strength: float) -> Head:
        everything = total(clients)
        weights = cell_weights(everything.counts, self._variant.balance, self._known)
        classes = by_class(everything, weights)
        if self._texts is not None:
            classes = with_prior(classes, self._texts, self._rows)
        if self._variant.method == "cof":
            classes = Classes(classes.mass, classes.sums, estimated_gram(clients))
        return solve(self._variant.method, classes, strength)

    def state(self) -> dict[str, Any]:
        """Nothing: there is no next round."""
        return {}

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Nothing."""


def _each(answers: Answers, read: Callable[[Entries, Model], Read]) -> dict[int, Read]:
    """What is read of every usable reply, by client; the others are rejected."""

    def own(content: RecordDict) -> Read:
        sent = decode(content.array_records.get(ARRAYS_KEY, ArrayRecord()))
        return read(Entries(content, "metrics"), sent)

    return usable(answers, own)


def _judging(
    asked: Mapping[str, Any], part: str, whom: Iterable[int], heads: Model, label: str
) -> Exchange:
    """Ask what heads make of a part of the clients' rows."""
    return Exchange.alike("evaluate.heads", whom, {**asked, "part": part}, encode(heads), label)


def _sent(heads: Sequence[Head]) -> Model:
    """Heads as a message carries them: ``[k, C, d]`` and ``[k, C]``."""
    return {
        "weight": np.stack([head.weight for head in heads]).astype(np.float32),
        "bias": np.stack([head.bias for head in heads]).astype(np.float32),
    }
