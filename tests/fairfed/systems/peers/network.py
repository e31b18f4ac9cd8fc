"""Peers of numbers instead of models, over a network of function calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord

from fairfed.config.peers import MetaName, PeersConfig
from fairfed.systems.peers.meta import Rules
from fairfed.systems.peers.profiles import Profile
from fairfed.systems.peers.relay import PeerMessage, Report
from fairfed.systems.peers.schedule import PHASES, Peer
from fairfed.systems.peers.state import PeerState, Role

COSTS = {0: 3.0, 1: 2.0, 2: 1.0, 3: 5.0, 4: 4.0, 5: 9.0}
TARGETS = {0: 0.0, 1: 2.0, 2: 10.0, 3: 12.0, 4: 11.0}
"""What each member's training ends at: clusters {0, 1} and {2, 3, 4} by data; 5 is a visitor."""
KINDS = {0: 0, 1: 0, 2: 1, 3: 1, 4: 1, 5: 1}


def record(value: float) -> ArrayRecord:
    return ArrayRecord({"w": Array(np.array([value], np.float32))})


def value(record: ArrayRecord | None) -> float:
    assert record is not None
    return float(record["w"].numpy()[0])


class Toy:
    """A site whose training ends at a number and whose data is one of two kinds."""

    def __init__(self, target: float, kind: int) -> None:
        self.target, self.kind, self.released = target, kind, 0
        self.measured: list[float] = []

    def initial(self) -> ArrayRecord:
        return record(-1.0)

    def profile(self) -> Profile:
        axis = np.eye(2, dtype=np.float32)[self.kind]
        return Profile(axis, axis)

    def release(self) -> Profile:
        self.released += 1
        return self.profile()

    def train(self, model: ArrayRecord) -> tuple[ArrayRecord, Report]:
        return record(self.target), {"loss": value(model)}

    def measure(self, model: ArrayRecord) -> tuple[int, list[int]]:
        self.measured.append(value(model))
        return 4, [1, 2, 3]


class Gradient(Toy):
    """A site that sends the gradient at the model, towards its target."""

    def train(self, model: ArrayRecord) -> tuple[ArrayRecord, Report]:
        return record(value(model) - self.target), {"loss": value(model)}


class Broken(Toy):
    """A site that cannot train while its target is infinite."""

    def train(self, model: ArrayRecord) -> tuple[ArrayRecord, Report]:
        if np.isinf(self.target):
            raise RuntimeError("out of memory")
        return super().train(model)


class Network:
    """Peers and visitors that exchange messages phase by phase."""

    def __init__(self, kind: MetaName = "reptile", site: type[Toy] = Toy, **settings: Any) -> None:
        self.rules = Rules(kind, PeersConfig(clusters=2, **settings), 0.1)
        self.sites = {peer: site(TARGETS.get(peer, 0.0), KINDS[peer]) for peer in COSTS}
        self.states = {peer: PeerState("reptile") for peer in COSTS}
        self.written: list[PeerMessage] = []
        self.reports: dict[int, Report] = {}

    def round(
        self,
        number: int,
        gone: Callable[[int, str], bool] = lambda peer, phase: False,
        measuring: bool = False,
        lost: Callable[[int, str], bool] = lambda peer, phase: False,
    ) -> None:
        """A round; who is `gone` does nothing in a phase, whose answer is `lost` acts in vain."""
        post: list[PeerMessage] = []
        answered: set[int] = set()
        self.written, self.reports = [], {peer: {} for peer in COSTS}
        for phase in PHASES:
            new: list[PeerMessage] = []
            taken, answered = answered, set()
            for peer, cost in COSTS.items():
                if gone(peer, phase):
                    continue
                flags = peer in TARGETS, measuring, peer in taken
                role = Role(peer, tuple(COSTS), number, cost, *flags)
                mine = [message for message in post if peer in message.to]
                actor = Peer(role, self.states[peer], self.sites[peer], self.rules, mine)
                written = actor.act(phase)
                if lost(peer, phase):
                    continue
                answered.add(peer)
                new += written
                self.reports[peer] |= actor.report
            post = new
            self.written += new

    def models(self) -> list[float]:
        return [value(self.states[peer].model) for peer in TARGETS]

    def kinds(self) -> set[str]:
        return {message.kind for message in self.written}
