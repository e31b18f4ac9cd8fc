"""Who a peer is in a round, and what it can do with its own data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flwr.app import ArrayRecord

from fairfed.systems.peers.profiles import Profile

Report = dict[str, int | float | list[int] | list[float]]
"""What a peer tells the experiment's log; no other peer reads it."""


class Site(Protocol):
    """What a peer can do with its own data."""

    def initial(self) -> ArrayRecord:
        """The model that everybody starts from."""

    def profile(self) -> Profile:
        """What its data is like, exactly: for itself."""

    def release(self) -> Profile:
        """The same with noise: for others."""

    def train(self, model: ArrayRecord) -> tuple[ArrayRecord, Report]:
        """Task-level training; what the cluster's level is sent, and a report."""

    def measure(self, model: ArrayRecord) -> tuple[int, list[int]]:
        """Test rows, and how many are correct after 0, 1 and 5 local steps."""


@dataclass(frozen=True)
class Role:
    """Who a peer is in a round.

    Attributes
    ----------
    peer, everybody
        Its number, and all numbers that it may write to.
    round, cost
        The round, and what coordinating costs it.
    member
        Whether it takes part; else it is a visitor.
    measuring
        Whether visitors ask for the models of this round.
    taken
        Whether the post took what it wrote in the phase before. If not, nobody got it, and what it
        wrote to itself must not count either: peers would no longer decide alike.
    """

    peer: int
    everybody: tuple[int, ...]
    round: int
    cost: float
    member: bool
    measuring: bool
    taken: bool
