"""Classes that the generator has never seen are composed; the others keep their names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairfed.config.synthesis import ConditioningConfig
from fairfed.sites.conditioning import MOST_WORDS, composing, describer
from fairfed.sites.semantics import Meaning, semantic_space
from semantic.attributes import load_attributes, table_from_names
from semantic.errors import InputError
from semantic.space import Cell, SemanticSpace

TABLE = load_attributes("benchmarks/zero_shot_attributes.csv")
TALL = ("Sandal", "Trouser", "Coat")
"""Seen classes some of whose images are tall."""


def _space() -> SemanticSpace:
    values = TABLE.values.copy()
    for name in TALL:
        values[TABLE.row(name), TABLE.attributes.index("tall")] = 0.4
    table = replace(TABLE, values=values)
    return SemanticSpace(TABLE.classes, ("grey", "red"), table)


def test_seen_classes_are_named_and_unseen_ones_described() -> None:
    how = ConditioningConfig(unseen=("Ankle boot", "Dress"))
    conditioner = describer(_space(), how)
    named = conditioner.describe(Cell("Sneaker", "red"), 1)
    assert (named.prompt, named.terms) == ("a photo of a red sneaker", ())
    composed = conditioner.describe(Cell("Ankle boot", "red"), 1)
    assert composed.prompt.startswith("a photo of a red item, ")
    assert "boot" not in composed.prompt
    assert composed.terms == (("a photo of a red item, tall", 0.6),)
    assert len(composed.prompt.split(", ")) <= 1 + 3 + MOST_WORDS
    assert composed == conditioner.describe(Cell("Ankle boot", "red"), 1)


def test_an_attribute_of_no_seen_class_is_left_out() -> None:
    conditioner = composing(_space(), ("Ankle boot", "Dress"))
    prompts = [conditioner.describe(Cell("Ankle boot", "red"), seed).prompt for seed in range(40)]
    assert TABLE.phrases("Ankle boot")
    assert not any("covers the ankle" in prompt for prompt in prompts)


def test_unknown_classes_and_empty_tables_are_refused() -> None:
    with pytest.raises(InputError, match=r"conditioning.unseen: 'Boot' is no class"):
        composing(_space(), ("Boot",))
    bare = SemanticSpace(("a", "b"), ("all",), table_from_names(("a", "b")))
    with pytest.raises(InputError, match="give a class × attribute table"):
        composing(bare, ("a",))


def test_words_for_classes_and_groups_must_name_what_there_is() -> None:
    told = Meaning("bundled", "names", (), {"nevus": "mole on skin"}, {"F": "of a woman"})
    space = semantic_space(told, ("nevus", "melanoma"), ("F", "M"))
    assert space.prompts(Cell("nevus", "F"))[0] == "a photo of a mole on skin of a woman"
    assert space.prompts(Cell("melanoma", "M"))[0] == "a photo of a M melanoma"
    with pytest.raises(InputError, match=r"semantic\.class_prompts: there is no 'nevus'; there a"):
        semantic_space(told, ("melanoma",), ("F", "M"))
    with pytest.raises(InputError, match=r"semantic\.group_prompts: there is no 'F'; there are: M"):
        semantic_space(told, ("nevus",), ("M",))
