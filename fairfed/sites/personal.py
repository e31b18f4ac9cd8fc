"""Ditto's personal models: Li, Hu, Beirami & Smith, ICML 2021, arXiv 2012.04221.

Beside the federated training, every client trains a model ``v`` of its own on
``F_k(v) + lambda/2 |v - w|^2``, pulled towards the global model ``w`` that it received. The
personal model lives in the client's state, never in a message; lambda = 0 is training alone, a
large one the global model.

A client's state is in the checkpoint where the engine can save it; elsewhere (Ray, real sites after
a restart) a continued run begins its personal models anew, from the global one.

Departure: both trainings have the same number of epochs (the paper lets them differ).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flwr.app import ArrayRecord, Context

from fairfed.sites.state import keep

if TYPE_CHECKING:
    from torch import nn

    from fairfed.config import Arm


def recall_personal(context: Context, arm: Arm, model: nn.Module) -> nn.Module:
    """Turn the received model into the client's own; before its first training they are equal."""
    kept = context.state.array_records.get(_key(arm))
    if kept is not None:
        model.load_state_dict(kept.to_torch_state_dict())
    return model


def keep_personal(context: Context, arm: Arm, model: nn.Module) -> None:
    """Keep a model as the client's own, instead of sending it (system `local`)."""
    keep(context, _key(arm), ArrayRecord(model.state_dict()))


def _key(arm: Arm) -> str:
    """Name of an arm's record: the arms of a run share a client's state."""
    return f"personal-{arm.slug}"
