"""From the configuration to meaning: attribute table, label space, CLIP's scores, image store.

Shared by the sites of a federation and by `fairfed.augmentation`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fairfed.config import SemanticConfig
from semantic.attributes import AttributeTable, load_attributes, table_from_names
from semantic.naming import TEMPLATES
from semantic.space import SemanticSpace


@dataclass(frozen=True)
class Meaning:
    """What classes mean at a site: as `SemanticConfig`, with the table that was agreed on."""

    encoder: str  # the site's own source of CLIP
    attributes: AttributeTable | str  # the federation's table, or `names`
    # As in `SemanticConfig`.
    templates: tuple[str, ...] = ()
    allow_unknown: bool = False


def attribute_table(semantic: SemanticConfig | Meaning, classes: tuple[str, ...]) -> AttributeTable:
    """The class × attribute table of the configuration."""
    source = semantic.attributes
    if isinstance(source, AttributeTable):
        return source
    return table_from_names(classes) if source == "names" else load_attributes(source)


def noun_table(semantic: SemanticConfig | Meaning, classes: tuple[str, ...]) -> AttributeTable:
    """What classes are called: as configured, or by their names where the table lacks any."""
    table = attribute_table(semantic, classes)
    return table if set(classes) <= set(table.classes) else table_from_names(classes)


def semantic_space(
    semantic: SemanticConfig | Meaning, classes: tuple[str, ...], groups: tuple[str, ...]
) -> SemanticSpace:
    """Classes and groups with what they are called; the table must have a row for each class."""
    templates = semantic.templates or TEMPLATES
    return SemanticSpace(classes, groups, attribute_table(semantic, classes), templates)


def store_directory(configured: str | None) -> Path:
    """Directory of the store of synthetic images: as configured, or in the user's cache."""
    if configured is not None:
        return Path(configured)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fairfed" / "synthetic"
