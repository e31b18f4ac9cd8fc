"""Which settings of two written-out configurations differ, for whoever is refused for it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any


def differing(before: str, after: str, most: int = 3) -> str:
    """Which settings of two TOML texts differ, in words: `rounds (4 there, 6 here)`.

    Beyond `most` they are counted.
    """
    old, new = (dict(_settings(tomllib.loads(text))) for text in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    shown = [
        f"{name} ({_brief(old.get(name))} there, {_brief(new.get(name))} here)"
        for name in names[:most]
    ]
    further = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*shown, *further])


def _settings(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _settings(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _brief(value: Any) -> str:
    text = "unset" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
