"""From the configuration to meaning: attribute table, label space, CLIP's scores, image store.

Shared by the sites of a federation and by `fairfed.augmentation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fairfed.config import SemanticConfig
from semantic.attributes import AttributeTable, load_attributes, table_from_names
from semantic.errors import InputError
from semantic.files import cache_folder
from semantic.naming import CROSSED, TEMPLATES
from semantic.space import SemanticSpace

NO_NAME = "semantic.{setting}: there is no {name!r}; there are: {known}"


@dataclass(frozen=True)
class Meaning:
    """What classes mean at a site: as `SemanticConfig`, with the table that was agreed on."""

    encoder: str  # the site's own source of CLIP
    attributes: AttributeTable | str  # the federation's table, or `names`
    # As in `SemanticConfig`.
    templates: tuple[str, ...] = ()
    class_prompts: Mapping[str, str] = field(default_factory=dict)
    group_prompts: Mapping[str, str] = field(default_factory=dict)
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
    table = table if set(classes) <= set(table.classes) else table_from_names(classes)
    return _called(table, semantic)


def semantic_space(
    semantic: SemanticConfig | Meaning, classes: tuple[str, ...], groups: tuple[str, ...]
) -> SemanticSpace:
    """Classes and groups with what they are called; the table must have a row for each class."""
    values = {value for group in groups for value in group.split(CROSSED)}
    for setting, given, known in (
        ("class_prompts", semantic.class_prompts, set(classes)),
        ("group_prompts", semantic.group_prompts, values),
    ):
        unknown = sorted(set(given) - known)
        if unknown:
            raise InputError(NO_NAME.format(setting=setting, name=unknown[0],
                                            known=", ".join(sorted(known))))  # fmt: skip
    templates = semantic.templates or TEMPLATES
    table = _called(attribute_table(semantic, classes), semantic)
    return SemanticSpace(classes, groups, table, templates, worded=dict(semantic.group_prompts))


def _called(table: AttributeTable, semantic: SemanticConfig | Meaning) -> AttributeTable:
    """The table with classes called as the configuration says."""
    pairs = zip(table.classes, table.prompts, strict=True)
    prompts = tuple(semantic.class_prompts.get(name, prompt) for name, prompt in pairs)
    return replace(table, prompts=prompts)


def store_directory(configured: str | None) -> Path:
    """Directory of the store of synthetic images: as configured, or in the user's cache."""
    return cache_folder("synthetic") if configured is None else Path(configured)
