"""CLIP's image tower as something to train: its biases, low-rank changes, or from scratch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.models.partial import asking_for_biases, lora_layers
from generators.lora import add_lora

STEM = ("conv1", "conv2", "conv3")
"""The first layers of a ResNet, too narrow for a low rank to save anything."""


class CallingPool(nn.Module):
    """open_clip's attention pool, with its projections called as layers.

    The original hands their weights to a function, past any LoRA on them. Only the mean's query is
    computed, since only its output is used. The pool's parameters are taken over.
    """

    def __init__(self, pool: Any) -> None:
        super().__init__()
        self.positional_embedding = pool.positional_embedding
        self.k_proj, self.q_proj = pool.k_proj, pool.q_proj
        self.v_proj, self.c_proj = pool.v_proj, pool.c_proj
        self._heads: int = pool.num_heads

    def forward(self, maps: Tensor) -> Tensor:
        """Features ``[n, dimension]`` of maps ``[n, channels, H, W]``."""
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1) + self.positional_embedding

        def by_head(projected: Tensor) -> Tensor:
            apart: Tensor = projected.unflatten(2, (self._heads, -1))
            return apart.transpose(1, 2)

        query, key = by_head(self.q_proj(tokens[:, :1])), by_head(self.k_proj(tokens))
        mixed = F.scaled_dot_product_attention(query, key, by_head(self.v_proj(tokens)))
        found: Tensor = self.c_proj(mixed.transpose(1, 2).flatten(1))
        return found


def with_lora(tower: nn.Module, rank: int, generator: torch.Generator) -> nn.Module:
    """Add LoRA to a tower in place: to attention and MLP, and to the convolutions of a ResNet.

    Biases are trained, too, as with peft's ``bias="all"``: low-rank changes alone cannot shift what
    a frozen BatchNorm expects, and a new domain shifts it (docs/systems/adaptation.md).
    """
    from open_clip.modified_resnet import AttentionPool2d

    pool = getattr(tower, "attnpool", None)
    if isinstance(pool, AttentionPool2d):
        tower.attnpool = CallingPool(pool)
    return asking_for_biases(add_lora(tower, lora_layers(tower, _stays), rank, generator))


def _stays(name: str, layer: nn.Module) -> bool:
    """Whether LoRA leaves a layer: of a stem, or a transformer's, which cuts the patches."""
    return isinstance(layer, nn.Conv2d) and (name in STEM or name.split(".")[-1] == "proj")


def with_biases(tower: nn.Module) -> nn.Module:
    """Ask for gradients of the biases alone."""
    return asking_for_biases(tower.requires_grad_(False))


def reinitialise(tower: nn.Module, generator: torch.Generator) -> nn.Module:
    """Draw all weights anew: the same network, untrained.

    Layers as He et al. (2015) for ReLU, normalisation as the identity, what is neither (positions,
    class tokens, projections, an attention's common weight) from a normal distribution of standard
    deviation 1/√(last axis).
    """
    with torch.no_grad():
        for module in tower.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
                module.weight.fill_(1)
                module.bias.zero_()
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
            else:
                for name, parameter in module.named_parameters(recurse=False):
                    if name.endswith("bias"):
                        parameter.zero_()
                    else:
                        parameter.normal_(0, parameter.shape[-1] ** -0.5, generator=generator)
    return tower
