"""The text side: a small tokenizer, and CLIP's text tower as Stable Diffusion's text encoder.

CLIP's byte-pair merges form a list by rank. Keeping the merges that our words use, and the most
frequent ones, cuts those words as CLIP's own tokenizer does, while the vocabulary shrinks from
49,408 to ~1,300.
"""

from __future__ import annotations

import gzip
from importlib.resources import files
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.training.loop import device

CONTEXT = 40
"""Tokens of a prompt, start and end included."""
WIDTH = 128
"""Width of the text encoder and of the shared embedding."""
FREQUENT = 700
"""So many of CLIP's most frequent merges are kept whatever our words need."""

END = "<|endoftext|>"
START = "<|startoftext|>"

_RENAMED = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def _clip_merges() -> list[tuple[str, str]]:
    path = files("open_clip") / "bpe_simple_vocab_16e6.txt.gz"
    with path.open("rb") as handle:
        lines = gzip.decompress(handle.read()).decode("utf-8").split("\n")
    pairs = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    return [(pair[0], pair[1]) for pair in pairs]


def _merges_of(word: str, rank: dict[tuple[str, str], int]) -> set[tuple[str, str]]:
    """Merges that byte-pair encoding applies to one word (ASCII)."""
    pieces = [*word[:-1], word[-1] + "</w>"]
    used: set[tuple[str, str]] = set()
    while len(pieces) > 1:
        pairs = list(pairwise(pieces))
        best = min(pairs, key=lambda pair: rank.get(pair, len(rank)))
        if best not in rank:
            break
        used.add(best)
        merged, i = [], 0
        while i < len(pieces):
            if i + 1 < len(pieces) and (pieces[i], pieces[i + 1]) == best:
                merged.append(pieces[i] + pieces[i + 1])
                i += 2
            else:
                merged.append(pieces[i])
                i += 1
        pieces = merged
    return used


def build_tokenizer(words: set[str], context_length: int = CONTEXT) -> Any:
    """Tokenizer (`transformers.CLIPTokenizer`) for the given words.

    The end token has the largest id, as open_clip's pooling requires, and pads.
    """
    from open_clip.tokenizer import bytes_to_unicode
    from transformers import CLIPTokenizer

    merges = _clip_merges()
    rank = {pair: i for i, pair in enumerate(merges)}
    kept = set(merges[:FREQUENT]).union(*(_merges_of(word.lower(), rank) for word in words))
    ordered = sorted(kept, key=rank.__getitem__)
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(letter + "</w>" for letter in letters), *("".join(m) for m in ordered)]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    return CLIPTokenizer(
        vocab=vocabulary,
        merges=ordered,
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=context_length,
    )


def tokenize(tokenizer: Any, texts: list[str]) -> Tensor:
    """Token ids, ``[len(texts), context]``, with the context that the tokenizer was made for."""
    ids = tokenizer(texts, padding="max_length", truncation=True)["input_ids"]
    return torch.tensor(ids)


@torch.no_grad()
def hidden_states(text_encoder: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    """Conditioning by texts, ``[len(texts), context, WIDTH]``; equal ones are encoded once."""
    unique, inverse = np.unique(texts, return_inverse=True)
    tokens = tokenize(tokenizer, list(unique)).to(device())
    found: Tensor = text_encoder(input_ids=tokens).last_hidden_state
    return found[torch.from_numpy(inverse).to(device())]


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
