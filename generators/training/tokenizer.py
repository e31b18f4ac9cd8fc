"""A small tokenizer that cuts our captions exactly as CLIP's own does.

CLIP's byte-pair merges form a list by rank. Keeping the merges that our words use, and the most
frequent ones, keeps the split of those words while the vocabulary shrinks from 49,408 to ~1,300.
"""

from __future__ import annotations

import gzip
from importlib.resources import files
from itertools import pairwise
from typing import Any

FREQUENT = 700
"""So many of CLIP's most frequent merges are kept whatever our words need."""

END = "<|endoftext|>"
START = "<|startoftext|>"


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


def build_tokenizer(words: set[str], context_length: int) -> Any:
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
