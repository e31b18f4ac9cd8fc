"""A network of which a part is trained and communicated; everybody has the rest already."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from generators.lora import add_lora
from semantic.errors import InputError

NO_LAYERS = "adapt = 'lora': the network has no linear layer or convolution to adapt; use 'head'"


class Partial(nn.Module):
    """Its `parameters` and its `state_dict` are those of the trained part alone.

    That is whatever asks for gradients. `load_state_dict` expects the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_state_dict_post_hook(_only_trained)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_frozen_may_miss)  # type: ignore[no-untyped-call]

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """The trained parameters."""
        for name, parameter in super().named_parameters(prefix, recurse, remove_duplicate):
            if parameter.requires_grad:
                yield name, parameter

    def trained_names(self) -> set[str]:
        """Names of what is communicated."""
        return {name for name, _ in self.named_parameters()}


class PartlyTrained(Partial):
    """A classifier whose last layer is trained, and what else asks for gradients.

    It stays in evaluation mode: statistics and dropout are those of a finished network.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def train(self, mode: bool = True) -> PartlyTrained:
        """Change the mode of what is around the network."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of images ``[n, 3, H, W]`` in 0 to 1."""
        logits: Tensor = self.network(images)
        return logits


def partly_trained(
    network: nn.Module, method: str, rank: int, generator: torch.Generator
) -> PartlyTrained:
    """A network adapted in place: its `head`; it and all `bias`es; these and low-rank changes."""
    head = list(network.state_dict())[-1].rpartition(".")[0]
    if method == "lora":
        # peft has low ranks for plain convolutions alone.
        layers = lora_layers(
            network, lambda name, layer: name == head or getattr(layer, "groups", 1) > 1
        )
        if not layers:
            raise InputError(NO_LAYERS)
        add_lora(network, layers, rank, generator)
    else:
        network.requires_grad_(False)
    if method != "head":
        asking_for_biases(network)
    network.get_submodule(head).requires_grad_(True)
    return PartlyTrained(network)


def whole_state(model: PartlyTrained) -> dict[str, Tensor]:
    """All weights by the names of the plain network, low-rank changes added to what they change."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    network = model.network
    for layer in list(network.modules()):
        # An attention merges the layer that is in it.
        if isinstance(layer, BaseTunerLayer) and not layer.merged:
            layer.merge()
    adapted = [n for n, one in network.named_modules() if isinstance(one, BaseTunerLayer)]
    for name in adapted:
        plain = name.replace(".base_layer", "")
        owner, _, last = plain.rpartition(".")
        layer = network.get_submodule(plain)
        setattr(network.get_submodule(owner), last, layer.get_base_layer())  # type: ignore[operator]
    return {name: value.detach() for name, value in network.state_dict().items()}


def asking_for_biases(network: nn.Module) -> nn.Module:
    """Ask for gradients of all biases (BitFit; Ben Zaken et al. 2022, arXiv 2106.10199)."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.requires_grad_(True)
    return network


def lora_layers(network: nn.Module, left_out: Callable[[str, nn.Module], bool]) -> list[str]:
    """Names of the layers that LoRA changes: attentions, linear layers, convolutions."""
    modules = dict(network.named_modules())
    attentions = [name for name, one in modules.items() if isinstance(one, nn.MultiheadAttention)]
    inside = tuple(f"{name}." for name in attentions)  # peft adapts these with their attention
    others = [
        name
        for name, one in modules.items()
        if isinstance(one, nn.Linear | nn.Conv2d)
        and not left_out(name, one)
        and not name.startswith(inside)
    ]
    return attentions + others


def _only_trained(
    module: Partial, state: dict[str, Tensor], prefix: str, metadata: dict[str, Any]
) -> None:
    """Leave what is frozen out of a state."""
    trained = module.trained_names()
    for name in [name for name in state if name.removeprefix(prefix) not in trained]:
        del state[name]


def _frozen_may_miss(module: Partial, keys: Any) -> None:
    """Let a state lack what is frozen."""
    trained = module.trained_names()
    keys.missing_keys[:] = [name for name in keys.missing_keys if name in trained]
