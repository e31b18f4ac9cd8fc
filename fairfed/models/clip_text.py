"""Class vectors of a CLIP classifier: free ones, or texts with learned context (CoOp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantic.errors import InputError


class ClassVectors(nn.Module):
    """One trained vector a class, ``[classes, dimension]``, from text embeddings or random."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.detach().clone())

    def forward(self) -> Tensor:
        """The vectors, ``[classes, dimension]``."""
        return self.weight


class LearnedContext(nn.Module):
    """Class vectors as text embeddings of ``[v_1] … [v_m] noun``; the ``v`` are trained.

    Unified context of CoOp (Zhou, Yang, Loy & Liu 2022, arXiv 2109.01134): all classes share it, so
    that what one client learns of the images' domain helps with classes that it lacks. Every token
    of the words `context` becomes a trained vector; the parameters of `clip` are shared, frozen.

    Departures: the context begins as given words (an option of CoOp's code), and each noun ends the
    text without a full stop, as the bundled CLIP was trained.

    Raises
    ------
    semantic.errors.InputError
        If the text tower is no transformer of tokens, or the texts are longer than its context.
    """

    tokens: Tensor
    embedded: Tensor

    def __init__(self, clip: Any, tokenize: Any, context: str, nouns: Sequence[str]) -> None:
        super().__init__()
        self.text = _TextTower(clip)
        tokens = tokenize([f"{context} {noun}" for noun in nouns])
        count = _common_start(tokenize, context)
        if len({tuple(row) for row in tokens.tolist()}) < len(nouns):
            raise InputError(
                f"adapt.context {context!r} and a class name are longer than the text tower's "
                f"{tokens.shape[1]} tokens, or two classes share a name; shorten adapt.context"
            )
        tokens = self.text.read_part(tokens)
        self.register_buffer("tokens", tokens, persistent=False)
        with torch.no_grad():
            embedded = self.text.embed(tokens)
        self.register_buffer("embedded", embedded, persistent=False)
        self.context = nn.Parameter(embedded[0, 1 : 1 + count].clone())

    def forward(self) -> Tensor:
        """Unit embeddings of the classes' texts, ``[classes, dimension]``."""
        classes, count = len(self.tokens), len(self.context)
        shared = self.context.expand(classes, -1, -1)
        rows = torch.cat([self.embedded[:, :1], shared, self.embedded[:, 1 + count :]], 1)
        found: Tensor = self.text(rows, self.tokens)
        return found


def _common_start(tokenize: Any, context: str) -> int:
    """Number of tokens of the context: of its text those between the first and the last."""
    text, empty = tokenize([context, ""])
    end = int(empty[1])
    return int((text == end).int().argmax()) - 1


class _TextTower(nn.Module):
    """open_clip's text transformer from embeddings of tokens on, which open_clip begins before."""

    mask: Tensor | None

    def __init__(self, clip: Any) -> None:
        super().__init__()
        text = getattr(clip, "text", clip)
        kind: Any = getattr(text, "pool_type", getattr(text, "text_pool_type", None))
        fitting = kind in ("argmax", "eos") and getattr(text, "cls_emb", None) is None
        if not fitting or not hasattr(text, "token_embedding"):
            raise InputError(
                "adapt.method 'prompt' needs a CLIP whose text tower is open_clip's transformer of "
                "tokens, read at the last one; choose another semantic.encoder, or another method"
            )
        self._end: Any = getattr(text, "text_eos_id", getattr(text, "eos_id", None))
        self._kind = str(kind)
        self.token_embedding = text.token_embedding
        self.positions = text.positional_embedding
        self.transformer = text.transformer
        self.norm = text.ln_final
        self.projection = text.text_projection
        self.register_buffer("mask", text.attn_mask, persistent=False)

    def read_part(self, tokens: Tensor) -> Tensor:
        """Tokens without the padding behind the longest text, where none looks ahead to it."""
        if self.mask is None:
            return tokens
        ends = tokens.argmax(1) if self._kind == "argmax" else (tokens == self._end).int().argmax(1)
        return tokens[:, : int(ends.max()) + 1]

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings of tokens, ``[n, length, width]``, before positions are added."""
        found: Tensor = self.token_embedding(tokens)
        return found

    def forward(self, rows: Tensor, tokens: Tensor) -> Tensor:
        """Unit embeddings of texts whose tokens' embeddings are given."""
        from open_clip.transformer import text_global_pool

        length = rows.shape[1]
        mask = None if self.mask is None else self.mask[:length, :length]
        hidden = self.transformer(rows + self.positions[:length], attn_mask=mask)
        pooled = text_global_pool(self.norm(hidden), tokens, self._kind, eos_token_id=self._end)
        if isinstance(self.projection, nn.Linear):
            pooled = self.projection(pooled)
        elif self.projection is not None:
            pooled = pooled @ self.projection
        return F.normalize(pooled, dim=-1)
