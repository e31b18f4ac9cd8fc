"""What the strategy knows of inversion: a part that acts after every aggregation, and its state.

Which parts there are stands in `fairfed.systems.inversion.server`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fairfed.rounds.arrays import Model, joined, parted
from fairfed.strategies.aggregation import OTHER_STRATEGY, Outcome
from fairfed.strategies.part import Part
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.strategies.replies import ClientReply

PART = "inversion"
"""Name of the state in a checkpoint."""


class Inversion(Part, ABC):
    """A part of the strategy that acts after every aggregation."""

    @abstractmethod
    def after(
        self,
        number: int,
        outcome: Outcome,
        replies: Sequence[ClientReply],
        models: Mapping[int, Model],
    ) -> tuple[Outcome, dict[str, Any] | None]:
        """What becomes of a round's outcome, and the entry `inversion` of its log, if any.

        Parameters
        ----------
        number
            The round, from 1.
        outcome
            Weights, in the order of `replies`, and the aggregate; None where there is none.
        replies, models
            Usable replies to `train`, and the models in them by partition id.
        """


def save_inversion(part: Inversion | None) -> dict[str, Any]:
    """Return what a checkpoint must say of inversion: nothing without it."""
    return {} if part is None else {PART: part.name}


def inversion_arrays(part: Inversion | None) -> Model:
    """Return its arrays under names that no other part has."""
    return joined({PART: {} if part is None else part.state_arrays()})


def load_inversion(part: Inversion | None, state: Mapping[str, Any], arrays: Model) -> Model:
    """Restore what :func:`save_inversion` and :func:`inversion_arrays` returned.

    Returns
    -------
    The arrays of the other parts.

    Raises
    ------
    InputError
        The state is of another inversion, or one of the two has none.
    """
    saved, here = state.get(PART), None if part is None else part.name
    if saved != here:
        raise InputError(OTHER_STRATEGY.format(name=PART, saved=saved, here=here))
    own, others = parted(arrays, PART)
    if part is not None:
        part.load_state_arrays(own)
    return others
