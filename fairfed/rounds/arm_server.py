"""What a system does in a round, as the loop over rounds sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fairfed.rounds.arrays import Model
from fairfed.rounds.clients import sample
from fairfed.rounds.exchange import Steps

Row = dict[str, Any]
"""What the log says of a client in a round."""


@dataclass(frozen=True)
class Plan:
    """What stays the same from round to round."""

    rounds: int  # number of the last round, >= 0
    seed: int  # seed of the draw of clients
    # Seconds that clients have for one exchange together: in process with one worker they run one
    # after the other within it.
    timeout: float
    fraction: float = 1.0  # share of clients that train in a round, in (0, 1]
    arm: str = ""  # name or slug of the arm, for messages; empty where there is but one

    def draw(self, clients: Iterable[int], number: int) -> list[int]:
        """Clients that train in a round; see `fairfed.rounds.clients.sample`."""
        return sample(clients, self.fraction, self.seed, number)


@dataclass(frozen=True)
class RoundResult:
    """What came of a round.

    Attributes
    ----------
    model
        The new model; None where no reply was of use, and the former one stays.
    rows
        What the log says of each client beside its name, bytes and error, by client index. The
        loop adds a row for whoever was asked and has none. Bytes that are given here are not
        counted; an error given here is one that no exchange has.
    entries
        What else is in the round's line.
    """

    model: Model | None
    rows: Mapping[int, Row] = field(default_factory=dict)
    entries: Mapping[str, Any] = field(default_factory=dict)


class ArmServer(ABC):
    """The server's side of one arm, without waiting, log, errors and checkpoint.

    Errors belong into the `Answers` of the exchange that they are of (`Answers.reject`).
    """

    models_at_clients = False
    """Whether the models are in the clients' states, without which a run cannot go on."""

    @abstractmethod
    def start(self) -> Model:
        """The model before the first round."""

    def before(self, model: Model) -> Steps[None]:
        """What is asked of the clients before the first round."""
        yield from ()

    @abstractmethod
    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        """Run a round on a model."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What the next round depends on and JSON can hold."""

    def arrays(self) -> Model:
        """What the next round depends on beside the model and is as large as one."""
        return {}

    @abstractmethod
    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back what `state` and `arrays` returned.

        Raises
        ------
        InputError
            If it is another arm's.
        """
