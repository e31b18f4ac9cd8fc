"""Configurations of known systems, ready to run: ``fairfed run --preset NAME``.

A preset is a TOML file of this package. Its first line is a comment that says what it is, the
second one says where it comes from.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib.resources import files

from semantic.errors import InputError

ENDING = ".toml"


@dataclass(frozen=True)
class Preset:
    """One packaged configuration.

    Attributes
    ----------
    name
        What the command line calls it.
    title, source
        What it is, and where it comes from: a line each.
    text
        The configuration, TOML.
    """

    name: str
    title: str
    source: str
    text: str


def preset_names() -> tuple[str, ...]:
    """All names, in alphabetical order."""
    found = (entry.name for entry in files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(ENDING) for name in found if name.endswith(ENDING)))


def load_preset(name: str) -> Preset:
    """Read one preset.

    Raises
    ------
    semantic.errors.InputError
        If there is none of this name; the message lists those there are.
    """
    known = preset_names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]!r}? " if close else ""
        raise InputError(f"no preset {name!r}; {advice}there are: {', '.join(known)}")
    text = files(__name__).joinpath(name + ENDING).read_text(encoding="utf-8")
    return Preset(name, *_comments(text), text)


def _comments(text: str) -> tuple[str, str]:
    """The first two lines without their comment signs."""
    first, second, *_ = [*text.splitlines(), "", ""]
    return first.lstrip("# ").strip(), second.lstrip("# ").strip()
