"""The adapted CLIP of an arm, built once per process and copied for every message."""

from __future__ import annotations

import copy
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from fairfed import site
from fairfed.baselines.zero_shot import zero_shot_head
from fairfed.errors import PublicInputError
from fairfed.models.clip_adapted import AdaptedClip
from fairfed.models.clip_head import SCALE
from fairfed.models.clip_text import ClassVectors, LearnedContext
from fairfed.models.clip_tower import reinitialise, with_biases, with_lora
from fairfed.semantics import semantic_space
from generators.lora import copy_sharing_frozen
from semantic.encoder import load_encoder

if TYPE_CHECKING:
    from fairfed.config import Arm, Config

OTHER_WEIGHTS = (
    "semantic.encoder {source!r} has other weights here ({own:.12}) than at the server "
    "({asked:.12}), and only what differs from them travels; install the same ones"
)
_LOADING = threading.RLock()


def adaptation_of(config: Config, arm: Arm | None) -> str | None:
    """What of a CLIP classifier an arm trains; None where the model is no such classifier."""
    if config.model != "clip":
        return None
    return (arm.adapt if arm else None) or config.adapt.method


def keeps_tower(config: Config, arm: Arm | None) -> bool:
    """Whether embeddings of images stay the same in training, so that they are made once."""
    return adaptation_of(config, arm) in ("head", "prompt")


def adapted_clip(config: Config, arm: Arm | None) -> AdaptedClip:
    """The untrained model of an arm; frozen weights are shared by all copies of it.

    Raises
    ------
    semantic.errors.InputError
        If the encoder is not to be had, has no part that the method adapts, or a class has no name.
    """
    method = adaptation_of(config, arm)
    scratch = arm is not None and arm.from_scratch
    with _LOADING:
        return copy_sharing_frozen(_template(config.to_toml(), str(method), scratch))


@lru_cache(maxsize=8)
def _template(toml: str, method: str, scratch: bool) -> AdaptedClip:
    config = site.configuration(toml)
    encoder = load_encoder(config.semantic.encoder)
    draw = torch.Generator().manual_seed(config.seed)
    frozen = encoder.model
    if method == "prompt":
        context = LearnedContext(frozen, encoder.tokenize, config.adapt.context, _nouns(toml))
        return AdaptedClip(frozen.visual, context, encoder.scale)
    start = zero_shot_head(toml, False).weight.detach()
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


def _nouns(toml: str) -> list[str]:
    """What the classes are called in prompts."""
    table = site.federation(toml, False).table
    space = semantic_space(site.configuration(toml).semantic, table.classes, table.group_names)
    return [space.table.noun(name) for name in table.classes]


def identity(config: Config) -> dict[str, Any]:
    """What a request says of the frozen weights that an adaptation is relative to."""
    if config.model != "clip":
        return {}
    return {"encoder": load_encoder(config.semantic.encoder).fingerprint}


def require_same(config: Config, asked: str) -> None:
    """Check a request's weights against those of this site.

    Raises
    ------
    InputError
        If they are others.
    """
    own = load_encoder(config.semantic.encoder).fingerprint
    if own != asked:
        source = config.semantic.encoder
        raise PublicInputError(OTHER_WEIGHTS.format(source=source, own=own, asked=asked))
