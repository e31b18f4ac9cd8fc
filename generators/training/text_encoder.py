"""The CLIP's text tower as `transformers.CLIPTextModel`, the text encoder of Stable Diffusion."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from generators.training.clip import CONTEXT, WIDTH

_RENAMED = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def _layer(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Weights of one transformer block under transformers' names."""
    converted = {
        f"{new}.{kind}": state[f"{prefix}.{old}.{kind}"]
        for old, new in _RENAMED.items()
        for kind in ("weight", "bias")
    }
    for kind in ("weight", "bias"):
        joint = state[f"{prefix}.attn.in_proj_{kind}"].chunk(3)
        for part, value in zip("qkv", joint, strict=True):
            converted[f"self_attn.{part}_proj.{kind}"] = value
    return converted


def text_encoder_of(clip: Any, end_token: int) -> Any:
    """Text encoder with the same last hidden states as the `open_clip.model.CLIP`'s text tower.

    The end token's id is the largest.
    """
    from transformers import CLIPTextConfig, CLIPTextModel

    state = clip.state_dict()
    layers = len(clip.transformer.resblocks)
    config = CLIPTextConfig(
        vocab_size=state["token_embedding.weight"].shape[0],
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        hidden_act="gelu",
        projection_dim=WIDTH,
        bos_token_id=end_token - 1,
        eos_token_id=end_token,
        pad_token_id=end_token,
    )
    model = CLIPTextModel(config)
    weights = {
        "embeddings.token_embedding.weight": state["token_embedding.weight"],
        "embeddings.position_embedding.weight": state["positional_embedding"],
        "final_layer_norm.weight": state["ln_final.weight"],
        "final_layer_norm.bias": state["ln_final.bias"],
    }
    for i in range(layers):
        block = _layer(state, f"transformer.resblocks.{i}")
        weights |= {f"encoder.layers.{i}.{name}": value for name, value in block.items()}
    names = list(model.state_dict())
    root = names[0].removesuffix("embeddings.token_embedding.weight")
    weights = {root + name: value.clone() for name, value in weights.items()}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    left = [name for name in missing if not name.endswith("position_ids")]
    if left or unexpected:
        raise RuntimeError(f"text tower not converted: missing {left}, unexpected {unexpected}")
    return model.eval()


@torch.no_grad()
def difference(clip: Any, model: Any, tokens: Tensor) -> float:
    """Largest difference of the pooled text embeddings of the two models on `tokens`."""
    hidden = model(input_ids=tokens).last_hidden_state
    pooled = hidden[torch.arange(len(tokens)), tokens.argmax(1)] @ clip.text_projection
    return float((pooled - clip.encode_text(tokens)).abs().max())
