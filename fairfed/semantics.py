"""From the configuration to meaning: attribute table, label space, CLIP's scores, image store.

Shared by the clients of a federation (`fairfed.site`) and by `fairfed.augmentation`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fairfed.config import SemanticConfig

if TYPE_CHECKING:
    from semantic.attributes import AttributeTable
    from semantic.space import SemanticSpace


def attribute_table(semantic: SemanticConfig, classes: tuple[str, ...]) -> AttributeTable:
    """The class × attribute table of the configuration."""
    from semantic.attributes import load_attributes, table_from_names

    source = semantic.attributes
    return table_from_names(classes) if source == "names" else load_attributes(source)


def noun_table(semantic: SemanticConfig, classes: tuple[str, ...]) -> AttributeTable:
    """What classes are called: as configured, or by their names where the table lacks any."""
    from semantic.attributes import table_from_names

    table = attribute_table(semantic, classes)
    return table if set(classes) <= set(table.classes) else table_from_names(classes)


def semantic_space(
    semantic: SemanticConfig, classes: tuple[str, ...], groups: tuple[str, ...]
) -> SemanticSpace:
    """Classes and groups with what they are called.

    Raises
    ------
    semantic.errors.InputError
        If the attribute table cannot be read or has no row for a class.
    """
    from semantic.space import TEMPLATES, SemanticSpace

    templates = semantic.templates or TEMPLATES
    return SemanticSpace(classes, groups, attribute_table(semantic, classes), templates)


def store_directory(configured: str | None) -> Path:
    """Directory of the store of synthetic images: as configured, or in the user's cache."""
    if configured is not None:
        return Path(configured)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fairfed" / "synthetic"
