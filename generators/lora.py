"""Low-rank adaptation (LoRA; Hu et al. 2021, arXiv 2106.09685) of a frozen network, by peft.

For every layer ``W`` that is adapted, ``W + B A`` with ``A [rank, in]`` and ``B [out, rank]``; only
`A` and `B` are trained. Here the scale is always 1 (peft's alpha is the rank), so that a file of
the matrices alone says what was trained.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def add_lora(
    network: Network, layers: Sequence[str], rank: int, generator: torch.Generator
) -> Network:
    """Adapt layers of a network in place; all else of it no longer asks for gradients.

    Layers are dotted names of linear layers, convolutions or attentions (`nn.MultiheadAttention`).
    The generator draws `A` uniformly from ±1/√in, as peft does from the global random state; `B` is
    0, so that the network computes at first what it did.
    """
    from peft import LoraConfig, inject_adapter_in_model

    network.requires_grad_(False)
    how = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(layers), init_lora_weights=False)
    # Without memory at first, for peft would draw from the global random state.
    inject_adapter_in_model(how, network, low_cpu_mem_usage=True)
    for name, parameter in list(network.named_parameters()):
        if not parameter.requires_grad:
            continue
        drawn = torch.zeros(parameter.shape)
        if "lora_A" in name:
            bound = 1 / math.sqrt(parameter[0].numel())
            drawn.uniform_(-bound, bound, generator=generator)
        owner, _, last = name.rpartition(".")
        setattr(network.get_submodule(owner), last, nn.Parameter(drawn))
    return network


def trained_part(network: nn.Module) -> dict[str, Tensor]:
    """The parameters that ask for gradients, by name, detached."""
    return {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}


def load_trained_part(network: nn.Module, part: dict[str, Tensor]) -> None:
    """Set the parameters that ask for gradients; names and shapes must be theirs."""
    own = {name: p for name, p in network.named_parameters() if p.requires_grad}
    expected = {name: tuple(p.shape) for name, p in own.items()}
    given = {name: tuple(value.shape) for name, value in part.items()}
    if given != expected:
        differing = sorted(set(given.items()) ^ set(expected.items()))
        raise ValueError(f"the adapted weights do not fit the network, first at {differing[0]}")
    with torch.no_grad():
        for name, value in part.items():
            own[name].copy_(value)


def copy_sharing_frozen(network: Network) -> Network:
    """A copy with trainable parameters of its own; frozen ones are shared, not copied.

    Buffers are copied, because a forward pass in training mode may change them.
    """
    shared = {id(p): p for p in network.parameters() if not p.requires_grad}
    return copy.deepcopy(network, dict(shared))
