"""The words that a small model was trained on, as a file beside its weights.

A model asked for a word that it has never read answers all the same, with whatever is nearest. A
model that was trained on few words therefore says which they are, in `known_words.json` of its
directory; a model without the file was trained on so many that nobody lists them, and is not asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from semantic.errors import InputError

KNOWN_WORDS = "known_words.json"
"""File in a model's directory: `about`, what it has seen, and `words`, lists of phrases by kind."""

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class KnownWords:
    """What a model has seen, and every word that its prompts may hold, in lower case."""

    about: str
    words: frozenset[str]

    def unknown(self, text: str) -> tuple[str, ...]:
        """Words of a text that the model has never read, in their order, each once."""
        return tuple(dict.fromkeys(word for word in words_of(text) if word not in self.words))


def words_of(text: str) -> list[str]:
    """Words of a text, in lower case: runs of letters and digits."""
    return _WORD.findall(text.lower())


def load_known_words(folder: Path) -> KnownWords | None:
    """What the model in a directory says that it knows; None where it does not say."""
    path = folder / KNOWN_WORDS
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        phrases = [phrase for kind in content["words"].values() for phrase in kind]
        about = str(content["about"])
        words = {word for phrase in phrases for word in words_of(phrase)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected JSON with 'about', a text, and 'words', lists of phrases by kind "
            f"({type(error).__name__}: {error}); correct it, or copy the model again"
        ) from error
    return KnownWords(about, frozenset(words))


def write_known_words(folder: Path, about: str, phrases: Mapping[str, Iterable[str]]) -> None:
    """Write the file into a model's directory; `load_known_words` reads it."""
    content = {"about": about, "words": {kind: list(own) for kind, own in phrases.items()}}
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    (folder / KNOWN_WORDS).write_text(text, encoding="utf-8")
