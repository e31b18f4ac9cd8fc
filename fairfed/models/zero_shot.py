"""CLIP with the classes' prompts, untrained: Radford et al. 2021, arXiv 2103.00020, §3.1.

The classifier is a `ClipHead` whose vectors are text embeddings: of a class, the mean over its
prompts (all templates, all groups). Nothing travels: every site has the same CLIP.
"""

from __future__ import annotations

import torch

from fairfed.models.clip_head import ClipHead
from semantic.encoder import ClipEncoder
from semantic.space import SemanticSpace


def zero_shot_head(encoder: ClipEncoder, space: SemanticSpace) -> ClipHead:
    """The classifier of the classes of a label space."""
    head = ClipHead(encoder, len(space.classes))
    with torch.no_grad():
        for c in range(len(space.classes)):
            cells = [space.cell(c, g) for g in range(len(space.groups))]
            prompts = [prompt for cell in cells for prompt in space.prompts(cell)]
            head.weight[c] = encoder.embed_texts(list(dict.fromkeys(prompts))).mean(0)
    return head
