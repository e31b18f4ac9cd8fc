"""SCAFFOLD: control variates against the drift of clients.

Karimireddy, Kale, Mohri, Reddi, Stich & Suresh, ICML 2020, arXiv 1910.06378, option II. A client
corrects every gradient by ``c - c_i``; after K steps of size η from x to y its variate becomes
``c_i <- c_i - c + (x - y) / (K η)``, and it sends the changes of both. The server adds the mean
change of the variates, times the share of clients that took part, to c.

Departures: the means are weighted as the arm's rule weighs the models (by examples, under FedAvg;
equal in the paper), so that c stays the weighted mean of the c_i. With momentum the divisor is the
total weight that the K gradients have in ``x - y``, which is K η without, so that a variate stays a
mean of gradients. The correction enters the gradient, and with it the momentum (Flower's niid_bench
adds it to the step, behind the momentum, and divides by K η: its variates are larger by what its
correction is smaller). Normalisation statistics are averaged and have no variate.

A variate is a round old when it is used. With few long steps, or with momentum, which lengthens
them, it overshoots and training diverges under strong label skew; a lower rate mends it.

A client's variate is in its state, and thus in the checkpoint where the engine can save it;
elsewhere (Ray, real sites after a restart) a continued run begins it anew at zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message

from fairfed.rounds.arrays import (
    Model,
    add_prefixes,
    decode,
    encode,
    strip_prefixes,
    validate_update,
)
from fairfed.sites.state import keep
from fairfed.strategies.aggregate import is_parameter
from fairfed.strategies.aggregation import Outcome
from fairfed.strategies.replies import ClientReply, RejectedReply
from fairfed.strategies.steered import FairnessSteered

if TYPE_CHECKING:
    from torch import Tensor, nn

CONTROL = "control"
"""Record of a message that holds control variates: the server's down, a client's change up."""
MISSING = "the reply has no ArrayRecord 'control': the client has not corrected its steps"


class ClientVariate:
    """A client's side of one round of an arm; the arms of a run share the client's state.

    `sent` is the server's variate. The received model may be trained afterwards.
    """

    def __init__(self, context: Context, slug: str, sent: ArrayRecord, model: nn.Module) -> None:
        self._context, self._key, self._model = context, f"scaffold-{slug}", model
        self._server = sent.to_torch_state_dict()
        kept = context.state.array_records.get(self._key)
        zeros = {name: value.new_zeros(value.shape) for name, value in self._server.items()}
        self._own = zeros if kept is None else kept.to_torch_state_dict()
        self._start = {name: p.detach().clone() for name, p in model.named_parameters()}

    @property
    def correction(self) -> list[Tensor]:
        """What is added to the gradients: ``c - c_i``, in the order of the parameters."""
        return [self._server[name] - self._own[name] for name in self._start]

    def finish(self, divisor: float) -> ArrayRecord:
        """Keep the new variate, and return its change for the server.

        The divisor is the total weight of the gradients in ``x - y`` (`gradient_weight`). 0, where
        nothing was trained, leaves the variate as it was.
        """
        if not divisor:
            return ArrayRecord({n: own.new_zeros(own.shape) for n, own in self._own.items()})
        following = {
            name: self._own[name]
            - self._server[name]
            + (self._start[name] - parameter.detach()) / divisor
            for name, parameter in self._model.named_parameters()
        }
        keep(self._context, self._key, ArrayRecord(following))
        change = {name: value - self._own[name] for name, value in following.items()}
        return ArrayRecord(change)


def gradient_weight(steps: int, lr: float, momentum: float) -> float:
    """Total weight of the gradients in the way that SGD goes in `steps` steps.

    A gradient with j steps to come, its own included, moves the model by
    ``lr (1 - momentum^j) / (1 - momentum)``. Without momentum: ``steps * lr``.
    """
    if not momentum:
        return steps * lr
    geometric = momentum * (1 - momentum**steps) / (1 - momentum)
    return lr * (steps - geometric) / (1 - momentum)


def local_steps(rows: int, batch_size: int, epochs: int) -> int:
    """Steps of `fairfed.models.train_epochs`."""
    return epochs * math.ceil(rows / batch_size)


class Scaffold(FairnessSteered):
    """`FairnessSteered` with the server's control variate."""

    _control: Model | None = None
    _changes: dict[int, Model]

    def _requests(
        self,
        kind: str,
        server_round: int,
        arrays: ArrayRecord,
        config: ConfigRecord,
        nodes: Sequence[int],
    ) -> list[Message]:
        """Send the variate along with the model to those that train."""
        requests = super()._requests(kind, server_round, arrays, config, nodes)
        if kind == "train":
            self._changes = {}
            if self._control is None:
                self._control = _zeros(decode(arrays))
            for request in requests:
                request.content[CONTROL] = encode(self._control)
        return requests

    def _read_further(self, message: Message, client: int) -> None:
        """Read the change of a client's variate, or reject the reply."""
        record = message.content.array_records.get(CONTROL)
        if record is None or self._control is None:
            raise RejectedReply(MISSING)
        try:
            change = decode(record)
        except ValueError as error:
            raise RejectedReply(str(error)) from error
        reason = validate_update(change, self._control)
        if reason is not None:
            raise RejectedReply(f"{CONTROL}: {reason}")
        self._changes[client] = change

    def _conclude(
        self, server_round: int, accepted: Sequence[ClientReply], outcome: Outcome
    ) -> Outcome:
        """Add the weighted mean change of the variates, times the share that took part."""
        if self._control is None or outcome.model is None:
            return outcome
        clients = len(self._sites) if self._sites else len(accepted)
        share = len(accepted) / max(1, clients)
        for name, value in self._control.items():
            total = value.astype(np.float64)
            for reply, weight in zip(accepted, outcome.weights.weight.tolist(), strict=True):
                total = total + share * weight * self._changes[reply.client][name]
            self._control[name] = total.astype(value.dtype)
        return outcome

    def state_dict(self) -> dict[str, Any]:
        """Return what JSON holds of the strategy."""
        return {**super().state_dict(), "control_variates": True}

    def state_arrays(self) -> Model:
        """Return the state that is as large as a model, the variate included."""
        return {**super().state_arrays(), **add_prefixes({CONTROL: self._control or {}})}

    def load_state_dict(self, state: Mapping[str, Any], arrays: Model | None = None) -> None:
        """Restore it."""
        own, others = strip_prefixes(arrays or {}, CONTROL)
        self._control = own or None
        super().load_state_dict(state, others)


def _zeros(model: Model) -> Model:
    """A variate of zeros: one array for each parameter."""
    return {
        name: np.zeros_like(value) for name, value in model.items() if is_parameter(name, value)
    }
