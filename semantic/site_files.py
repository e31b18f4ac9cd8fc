"""Files that sites hand on: attribute sums and prototypes, read with errors that name the file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from semantic.errors import InputError
from semantic.induction import AttributeSums
from semantic.release import NoisedPrototypes

Content = TypeVar("Content", AttributeSums, NoisedPrototypes)


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """Read a vocabulary: one attribute phrase a line, each once; blank lines are skipped."""
    phrases: dict[str, int] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        phrase = " ".join(line.split())
        if phrase in phrases:
            raise InputError(
                f"{path}, line {number}: {phrase!r} is there already, in line {phrases[phrase]}; "
                "keep one"
            )
        if phrase:
            phrases[phrase] = number
    if not phrases:
        raise InputError(f"{path} names no attribute; write one phrase a line")
    return tuple(phrases)


def merged_sums(paths: Sequence[Path]) -> AttributeSums:
    """Merge the attribute sums of several sites, one file of each; errors name the file."""
    parts = _read_all(paths, AttributeSums.from_json)
    return _merged(paths, parts, "declare one label space (data.classes) and use one vocabulary")


def merged_prototypes(paths: Sequence[Path]) -> NoisedPrototypes:
    """Merge released prototypes of several sites, one file of each; raises as `merged_sums`.

    All must speak of the same names: releases by class and by cell come from the same images, so
    that their privacy would add up, which no merge of different sites' releases could state.
    """
    parts = _read_all(paths, NoisedPrototypes.from_json)
    space = _names(parts[0])
    for path, part in zip(paths, parts, strict=True):
        other = sorted(_names(part) ^ space)
        if other:
            raise InputError(
                f"{path} and {paths[0]} do not speak of the same names (one of them lacks "
                f"{other[0]!r}); release with the same data.classes and --by at all sites"
            )
    return _merged(paths, parts, "use one semantic.encoder at all sites")


def read_prototypes(path: Path, encoder: str) -> NoisedPrototypes:
    """Read released prototypes, of one site or merged; `encoder` is the fingerprint of CLIP."""
    found = _read(path, NoisedPrototypes.from_json)
    if found.encoder != encoder:
        raise InputError(
            f"{path} belongs to another CLIP than the configured one; set semantic.encoder to the "
            "one that made it"
        )
    return found


def _names(found: NoisedPrototypes) -> set[str]:
    return {*found.names, *found.withheld}


def _merged(paths: Sequence[Path], parts: Sequence[Content], remedy: str) -> Content:
    """All parts merged; one that does not fit the first is named."""
    merged = parts[0]
    for path, part in zip(paths[1:], parts[1:], strict=True):
        try:
            merged = merged + part
        except InputError as error:
            raise InputError(f"{path} does not fit {paths[0]}: {error}; {remedy}") from error
    return merged


def _read_all(paths: Sequence[Path], parse: Callable[[Any], Content]) -> list[Content]:
    """One content per file, no file twice: its images would count twice."""
    digests: dict[str, Path] = {}
    for path in paths:
        digest = hashlib.sha256(_text(path).encode()).hexdigest()
        if digest in digests:
            raise InputError(
                f"{path} holds the same as {digests[digest]}; give each site's file once"
            )
        digests[digest] = path
    return [_read(path, parse) for path in paths]


def _read(path: Path, parse: Callable[[Any], Content]) -> Content:
    try:
        return parse(json.loads(_text(path)))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON ({error}); make it anew") from error
    except InputError as error:
        text = str(error)  # of reading the file, it names it already
        raise InputError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a text file ({error})") from error
