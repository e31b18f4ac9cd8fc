"""Server optimisers: what becomes of the aggregate as a pseudo-gradient.

Reddi et al., ICLR 2021, arXiv 2003.00295 (FedAdam, FedYogi); Hsu et al. 2019, arXiv 1909.06335
(FedAvgM). Formulas and defaults are those of Flower's strategies, against which the tests compare;
its classes cannot be used, for they aggregate themselves, by reported examples, and have no state
that can be saved. Departures: sums are in float64, and normalisation statistics and integers are
taken from the aggregate (Adam on a running variance can make it negative).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairfed.rounds.arrays import Model
from fairfed.strategies.aggregate import is_parameter
from fairfed.strategies.cohort import Floats
from fairfed.strategies.part import Part, Registry, kept, number


class ServerOptimiser(Part, ABC):
    """Takes the received model and the aggregate, and returns the next model."""

    @abstractmethod
    def step(self, received: Model, aggregate: Model, server_round: int) -> Model:
        """Return the next global model.

        Parameters
        ----------
        received, aggregate : Model
            What the clients started from, and what came of it.
        server_round : int
            Number of the round, from 1.
        """


@dataclass
class Replace(ServerOptimiser):
    """FedAvg: the aggregate is the next model, untouched."""

    name: ClassVar[str] = "fedavg"

    def step(self, received: Model, aggregate: Model, server_round: int) -> Model:
        """Return the aggregate itself."""
        return aggregate


@dataclass
class FedAvgM(ServerOptimiser):
    """Momentum on the pseudo-gradient: ``m <- momentum m + (w - a)``, ``w <- w - lr m``.

    A last rate below the first lets the noise of partial participation die out at the end of a run
    (our addition: half a period of the cosine of Loshchilov & Hutter 2017, arXiv 1608.03983).

    Parameters
    ----------
    lr : float
        Server learning rate, > 0.
    momentum : float
        In [0, 1); 0 and lr 1: FedAvg.
    final : float
        Share of `lr` that is left after `rounds`, in (0, 1]. 1: constant.
    rounds : int
        Rounds over which it falls, >= 1. A run sets its own number.
    """

    name: ClassVar[str] = "fedavgm"
    lr: float = number(1.0, above=True)
    momentum: float = number(0.9, 0.0, 1.0, below=True)
    final: float = number(1.0, 0.0, 1.0, above=True)
    rounds: int = number(100, 1)
    _velocity: Model = kept(dict, large=True)

    def rate(self, server_round: int) -> float:
        """Return the learning rate of a round."""
        passed = min(server_round / self.rounds, 1.0)
        share = self.final + (1.0 - self.final) * (1.0 + math.cos(math.pi * passed)) / 2.0
        return self.lr * share

    def step(self, received: Model, aggregate: Model, server_round: int) -> Model:
        """Add to the momentum and follow it."""
        rate = self.rate(server_round)
        following: Model = dict(aggregate)
        for name, old, delta in _deltas(received, aggregate):
            self._velocity[name] = self.momentum * self._velocity.get(name, 0.0) + delta
            following[name] = (old + rate * self._velocity[name]).astype(received[name].dtype)
        return following


@dataclass
class _Adaptive(ServerOptimiser):
    """Two moments of the pseudo-gradient; subclasses say how the second one and the rate follow.

    Parameters
    ----------
    eta : float
        Server learning rate, > 0.
    beta_1, beta_2 : float
        Decay of the moments, in [0, 1).
    tau : float
        Adaptivity, > 0: the smaller, the more the steps of all parameters are alike.
    """

    eta: float = number(0.1, above=True)
    beta_1: float = number(0.9, 0.0, 1.0, below=True)
    beta_2: float = number(0.99, 0.0, 1.0, below=True)
    tau: float = number(1e-3, above=True)
    _first: Model = kept(dict, large=True)
    _second: Model = kept(dict, large=True)

    @abstractmethod
    def second_moment(self, former: Floats, squared: Floats) -> Floats:
        """Return the new second moment."""

    @abstractmethod
    def rate(self, server_round: int) -> float:
        """Return the learning rate of a round."""

    def step(self, received: Model, aggregate: Model, server_round: int) -> Model:
        """Update both moments and step."""
        following: Model = dict(aggregate)
        for name, old, delta in _deltas(received, aggregate):
            zeros = np.zeros_like(delta)
            first = self.beta_1 * self._first.get(name, zeros) + (1.0 - self.beta_1) * delta
            second = self.second_moment(self._second.get(name, zeros), np.square(delta))
            self._first[name], self._second[name] = first, second
            moved = old + self.rate(server_round) * first / (np.sqrt(second) + self.tau)
            following[name] = moved.astype(received[name].dtype)
        return following


@dataclass
class FedAdam(_Adaptive):
    """Adam on the pseudo-gradient, with Flower's bias-corrected rate."""

    name: ClassVar[str] = "fedadam"

    def second_moment(self, former: Floats, squared: Floats) -> Floats:
        """Return a moving average."""
        return self.beta_2 * former + (1.0 - self.beta_2) * squared

    def rate(self, server_round: int) -> float:
        """Return ``eta sqrt(1 - beta_2^(t+1)) / (1 - beta_1^(t+1))``."""
        power = server_round + 1.0
        return float(self.eta * np.sqrt(1.0 - self.beta_2**power) / (1.0 - self.beta_1**power))


@dataclass
class FedYogi(_Adaptive):
    """Yogi on the pseudo-gradient: the second moment follows it by a bounded step."""

    name: ClassVar[str] = "fedyogi"
    eta: float = number(0.01, above=True)

    def second_moment(self, former: Floats, squared: Floats) -> Floats:
        """Move towards the square by a share of it."""
        return former - (1.0 - self.beta_2) * squared * np.sign(former - squared)

    def rate(self, server_round: int) -> float:
        """Return eta."""
        return self.eta


OPTIMISERS: Registry[ServerOptimiser] = Registry(
    "server optimiser", ServerOptimiser, Replace, FedAvgM, FedAdam, FedYogi
)
"""Server optimisers by name."""


def _deltas(received: Model, aggregate: Model) -> Iterator[tuple[str, Floats, Floats]]:
    """Yield each parameter's name, its received value and the way to the aggregate, in float64."""
    for name, value in received.items():
        if is_parameter(name, value):
            old = value.astype(np.float64)
            yield name, old, aggregate[name].astype(np.float64) - old
