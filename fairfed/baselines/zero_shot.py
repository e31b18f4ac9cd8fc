"""CLIP with the classes' prompts, untrained: Radford et al. 2021, arXiv 2103.00020, §3.1.

The classifier is a `ClipHead` whose vectors are text embeddings: of a class, the mean over its
prompts (all templates, all groups). Nothing travels: every site has the same CLIP.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from fairfed import site
from fairfed.semantics import semantic_space

if TYPE_CHECKING:
    from torch import Tensor

    from fairfed.models import ClipHead


def zero_shot_head(toml: str, iid: bool) -> ClipHead:
    """The classifier of a configuration's classes.

    Raises
    ------
    semantic.errors.InputError
        If the encoder is not to be had, or the attribute table has no row for a class.
    """
    import torch

    from fairfed.models import ClipHead
    from semantic.encoder import load_encoder

    config, table = site.configuration(toml), site.federation(toml, iid).table
    space = semantic_space(config.semantic, table.classes, table.group_names)
    encoder = load_encoder(config.semantic.encoder)
    head = ClipHead(encoder, len(table.classes))
    with torch.no_grad():
        for c in range(len(table.classes)):
            cells = [space.cell(c, g) for g in range(len(table.group_names))]
            prompts = [prompt for cell in cells for prompt in space.prompts(cell)]
            head.weight[c] = encoder.embed_texts(list(dict.fromkeys(prompts))).mean(0)
    return head


def embeddings(toml: str, iid: bool, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
    """CLIP embeddings of real rows, kept, because every round asks for the same ones."""
    return _embeddings(toml, iid, rows.tobytes())


@lru_cache(maxsize=256)
def _embeddings(toml: str, iid: bool, rows: bytes) -> Tensor:
    from semantic.encoder import load_encoder

    chosen = site.images(toml, iid).table.images[np.frombuffer(rows, np.int64)]
    return load_encoder(site.configuration(toml).semantic.encoder).embed_images(chosen)
