"""What of a model is a client's own: Ditto's personal model, and FedBN's BatchNorm layers.

Ditto: Li, Hu, Beirami & Smith, ICML 2021, arXiv 2012.04221.

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
    from collections.abc import Mapping

    from torch import Tensor, nn

    from fairfed.config import Arm


def recall_personal(context: Context, arm: Arm, model: nn.Module) -> nn.Module:
    """Turn the received model into the client's own; before its first training they are equal."""
    kept = context.state.array_records.get(personal_key(arm))
    if kept is not None:
        model.load_state_dict(kept.to_torch_state_dict())
    return model


def keep_personal(context: Context, arm: Arm, model: nn.Module) -> None:
    """Keep a model as the client's own, instead of sending it (system `local`)."""
    keep(context, personal_key(arm), ArrayRecord(model.state_dict()))


def norms_of(model: nn.Module) -> list[str]:
    """Names of the parameters and statistics of a model's BatchNorm layers."""
    from torch.nn.modules.batchnorm import _BatchNorm

    layers = ((name, one) for name, one in model.named_modules() if isinstance(one, _BatchNorm))
    return [f"{name}.{own}" if name else own for name, one in layers for own in one.state_dict()]


def recall_norms(context: Context, arm: Arm, model: nn.Module) -> None:
    """Give a received model the client's own BatchNorm layers (FedBN, arXiv 2102.07623).

    Before its first training they are the received ones.
    """
    kept = context.state.array_records.get(norms_key(arm))
    if kept is not None:
        model.load_state_dict(kept.to_torch_state_dict(), strict=False)


def keep_norms(
    context: Context, arm: Arm, model: nn.Module, received: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Keep a trained model's BatchNorm layers; what is sent has the received ones instead."""
    state, own = model.state_dict(), norms_of(model)
    keep(context, norms_key(arm), ArrayRecord({name: state[name] for name in own}))
    return {**state, **{name: received[name] for name in own}}


def norms_key(arm: Arm) -> str:
    """Name of the record of an arm's BatchNorm layers in a client's state."""
    return f"batch-norm-{arm.slug}"


def personal_key(arm: Arm) -> str:
    """Name of an arm's record: the arms of a run share a client's state."""
    return f"personal-{arm.slug}"
