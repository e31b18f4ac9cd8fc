"""The closed loop: how the model treats the groups decides what clients synthesise next.

After every k rounds the clients' counts of the received model on their *real training* rows are
pooled (test rows are never looked at), and a budget of new synthetic images goes to the class x
group cells whose recall is worst: by the lower end of its Wilson interval, so that a cell of which
little is known is not taken for a good one. A cell without rows in the federation counts as 0.

Division of the budget: D'Hondt's highest averages over the cells' shortfalls, which is in integers,
exact and monotone: every next image goes to the cell with the largest shortfall per image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evaluation.intervals import wilson_interval
from fairfed.strategies.part import Part, number
from fairfed.strategies.replies import ClientReply, ReplyKeys

Cells = NDArray[np.int64]
"""Images per cell, ``[C, G]``: the order of `generators.plan`."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Standing:
    """How a model serves the cells of a federation."""

    # ``[C, G]``: recall, NaN in a cell without rows; the lower end of its 95 % interval, 0 there
    recall: Floats
    lower: Floats
    overall: float  # the lower end of the interval of the accuracy over all cells


def standing(counts: Sequence[NDArray[np.int64]]) -> Standing:
    """Pool the counts ``[G, C, C]`` of one client at least, and read off every cell's recall."""
    # Whole numbers of Python: what clients report may be too large for a sum in 64 bits.
    pooled = np.sum(np.stack(counts), axis=0, dtype=object)
    right, rows = np.diagonal(pooled, axis1=1, axis2=2).T, pooled.sum(axis=2).T
    intervals = [wilson_interval(*cell) for cell in zip(right.flat, rows.flat, strict=True)]
    return Standing(
        recall=np.array([interval.value for interval in intervals]).reshape(rows.shape),
        lower=np.array([interval.low for interval in intervals]).reshape(rows.shape),
        overall=wilson_interval(right.sum(), rows.sum()).low,
    )


def allocate(lower: Floats, overall: float, budget: int, most: int) -> Cells:
    """Divide `budget` new images among the cells that the model serves worse than it does overall.

    `lower` ``[C, G]`` are bounds of each cell's recall, `overall` that of the accuracy; a cell that
    is not below it gets nothing, and none gets more than `most`. The images ``[C, G]`` are
    proportional to ``overall - lower`` up to rounding and the cap; never fewer for a larger
    shortfall. The sum is the budget, or less where every short cell is at its cap.
    """
    shortfall = np.maximum(overall - lower, 0.0).ravel()
    short = shortfall > 0
    given = np.zeros(shortfall.size, np.int64)
    for _ in range(min(budget, most * int(short.sum()))):
        averages = np.where(short & (given < most), shortfall / (given + 1), -1.0)
        given[averages.argmax()] += 1
    return given.reshape(lower.shape)


@dataclass
class ClosedLoop(Part):
    """Plans what all clients synthesise beyond their own gaps, and remembers what came of it.

    Parameters
    ----------
    every : int
        Rounds from plan to plan, >= 1.
    budget, most : int
        Images that each client gets with a plan; of one cell at most. >= 1.
    rounds : int
        Last round of the run: what is planned after it would never be made.
    known : sequence of bool, length G
        Groups whose sensitive values are known; nothing is planned for the others. Empty: all are.
    """

    name: ClassVar[str] = "closed loop"
    every: int = number(low=1)
    budget: int = number(low=1)
    most: int = number(low=1)
    rounds: int = number()
    known: Sequence[bool] = ()
    _extra: Cells | None = field(default=None, init=False, repr=False)
    _new: Cells | None = field(default=None, init=False, repr=False)
    _recall: Floats | None = field(default=None, init=False, repr=False)
    _spent: list[int] = field(default_factory=lambda: [0, 0], init=False, repr=False)
    _told: set[int] = field(default_factory=set, init=False, repr=False)

    def instructions(self, keys: ReplyKeys) -> dict[str, list[int]]:
        """Return what clients are told before they train: nothing before the first plan."""
        if self._extra is None or self._new is None:
            return {}
        return {
            keys.extra_cells: self._extra.ravel().tolist(),
            keys.new_cells: self._new.ravel().tolist(),
        }

    def awaits(self, clients: Iterable[int]) -> bool:
        """Whether one of these clients has yet to make the images of the last plan."""
        return self._extra is not None and not self._told.issuperset(clients)

    def observe(self, number: int, replies: Sequence[ClientReply]) -> dict[str, Any] | None:
        """Take in the usable replies of a round; where a plan is due, make it and return its log.

        The log is the entry ``loop`` of the round in ``rounds.jsonl``; all cells as
        ``[class][group]``. Without replies, a plan that is due is left out.
        """
        if self._extra is not None:
            for reply in replies:
                self._settle(reply)
        if number % self.every or not replies:
            return None
        found = standing([reply.counts for reply in replies])
        asked = np.zeros(found.lower.shape, np.int64)
        if number < self.rounds:
            lower = found.lower.copy()
            if len(self.known):
                lower[:, ~np.asarray(self.known, bool)] = found.overall  # which is short of nothing
            asked = allocate(lower, found.overall, self.budget, self.most)
        change = None if self._recall is None else found.recall - self._recall
        entry: dict[str, Any] = {
            "lower": found.lower.tolist(),
            "overall": found.overall,
            "asked": asked.tolist(),
            "cumulative": (asked if self._extra is None else self._extra + asked).tolist(),
            "spent": {"generated": self._spent[0], "reused": self._spent[1]},
        }
        if change is not None:
            entry["change"] = _nested(change)
        self._recall, self._spent = found.recall, [0, 0]
        if asked.any():  # else clients would put together anew what they have
            self._extra = asked if self._extra is None else self._extra + asked
            self._new, self._told = asked, set()
        return entry

    def _settle(self, reply: ClientReply) -> None:
        """Add up what a client spent on the last plan.

        Its first answer counts: one that restarts afterwards finds its own images in the store.
        """
        if reply.client in self._told:
            return
        self._told.add(reply.client)
        for i, images in enumerate(reply.spent):
            if math.isfinite(images) and images > 0:
                self._spent[i] += int(images)

    def state_dict(self) -> dict[str, Any]:
        """Return the plans so far and what is known of them."""
        return {
            "extra": _nested(self._extra),
            "new": _nested(self._new),
            "recall": _nested(self._recall),
            "spent": list(self._spent),
            "told": sorted(self._told),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        extra, new, recall = (state[name] for name in ("extra", "new", "recall"))
        self._extra = None if extra is None else np.asarray(extra, np.int64)
        self._new = None if new is None else np.asarray(new, np.int64)
        self._recall = None if recall is None else np.asarray(recall, np.float64)
        self._spent, self._told = list(state["spent"]), set(state["told"])


def _nested(cells: NDArray[Any] | None) -> Any:
    """Return cells as lists that JSON holds exactly, with None for NaN."""
    if cells is None:
        return None
    return [[None if math.isnan(value) else value for value in row] for row in cells.tolist()]
