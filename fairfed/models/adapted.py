"""The CLIP of an arm: untrained, or adapted to the classes, before its training."""

from __future__ import annotations

import copy

import torch

from fairfed.config.model import Agreement
from fairfed.models.clip_adapted import AdaptedClip
from fairfed.models.clip_head import SCALE, ClipHead
from fairfed.models.clip_text import ClassVectors, LearnedContext
from fairfed.models.clip_tower import reinitialise, with_biases, with_lora
from semantic.encoder import ClipEncoder
from semantic.space import SemanticSpace


def adapted_clip(
    config: Agreement, method: str, scratch: bool, encoder: ClipEncoder, space: SemanticSpace
) -> AdaptedClip:
    """The untrained model of a method of adaptation (`adapt.method`).

    With `scratch` the image tower is drawn anew. An encoder without the part that the method
    adapts, or a class without a name, is refused.
    """
    draw = torch.Generator().manual_seed(config.seed)
    frozen = encoder.model
    if method == "prompt":
        nouns = [space.table.noun(name) for name in space.classes]
        context = LearnedContext(frozen, encoder.tokenize, config.adapt.context, nouns)
        return AdaptedClip(frozen.visual, context, encoder.scale)
    start = zero_shot_head(encoder, space).weight.detach()
    if method == "head":
        return AdaptedClip(frozen.visual, ClassVectors(start), encoder.scale)
    tower = copy.deepcopy(frozen.visual)
    if method == "lora":
        tower = with_lora(tower, config.adapt.rank, draw)
    elif method == "bias":
        tower = with_biases(tower)
    else:
        tower.requires_grad_(True)
        if scratch:
            tower = reinitialise(tower, draw)
            start = torch.randn(start.shape, generator=draw)
    scale = SCALE if scratch else encoder.scale
    return AdaptedClip(tower, ClassVectors(start), scale, whole=method == "full")


def zero_shot_head(encoder: ClipEncoder, space: SemanticSpace) -> ClipHead:
    """CLIP with the classes' prompts: Radford et al. 2021, arXiv 2103.00020, §3.1.

    The vectors are text embeddings: of a class, the mean over its prompts (all templates, all
    groups). Nothing travels: every site has the same CLIP.
    """
    head = ClipHead(encoder, len(space.classes))
    with torch.no_grad():
        for c in range(len(space.classes)):
            cells = [space.cell(c, g) for g in range(len(space.groups))]
            prompts = [prompt for cell in cells for prompt in space.prompts(cell)]
            head.weight[c] = encoder.embed_texts(list(dict.fromkeys(prompts))).mean(0)
    return head
