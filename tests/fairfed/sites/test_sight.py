"""What is refused, left out and said where CLIP or the generator does not know the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fairfed.config import SemanticConfig
from fairfed.data.table import ImageTable
from fairfed.sites.sight import Sight, check_words, forget, look
from semantic.errors import InputError
from semantic.known_words import KnownWords
from tests.semantic.test_sight import Words

KNOWN = KnownWords(
    "pets in two colours", frozenset(["a", "photo", "of", "picture", "cat", "dog", "red", "blue"])
)


def _table(
    classes: tuple[str, ...] = ("cat", "dog"), colours: tuple[str, ...] = ("red", "blue")
) -> ImageTable:
    """Eighty images that show their class and colour; `light` is in none of them."""
    rows = np.arange(80)
    labels, colour, light = rows % 2, rows // 2 % 2, rows // 4 % 2
    images = np.zeros((80, 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = (1 << labels) | (4 << colour)
    names = tuple(f"{c} × {light}" for c in colours for light in ("day", "lamp"))
    return ImageTable(labels, 2 * colour + light, rows % 5 == 4, classes, names, images=images)


def _look(table: ImageTable, known: KnownWords | None = None, **settings: object) -> Sight:
    semantic = SemanticConfig.model_validate({"attributes": "names", **settings})
    encoder = Words()
    encoder.known_words = known
    rows = np.flatnonzero(~table.test)
    return look(semantic, ("colour", "light"), table, rows, encoder, None)


def test_a_column_that_no_image_shows_is_hidden_and_said() -> None:
    seen = _look(_table())
    seen.check()
    assert seen.hidden == (1,)
    assert seen.notes[0].startswith("light: of 64 real images CLIP reads light rightly in 50 %")
    assert seen.warnings == ()
    assert seen.spoken(["red × day"]) == {"red × day": "red × all"}


def test_a_column_with_a_value_that_is_no_known_word_is_hidden() -> None:
    seen = _look(_table(colours=("red", "mauve")), KNOWN)
    assert seen.hidden == (0, 1)
    assert "CLIP does not know 'mauve' (it was trained on pets in two colours)" in seen.notes[0]


def test_classes_outside_the_known_words_are_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"class 'melanoma'.*'melanoma'.*inverting a classifier"):
        _look(_table(("cat", "melanoma")), KNOWN).check()


def test_classes_that_clip_reads_by_chance_are_refused() -> None:
    table = _table()
    blind = replace(table, images=np.full_like(table.images, 5))
    with pytest.raises(InputError, match="does not tell the classes apart: of 64 real images"):
        _look(blind).check()


def test_allowing_it_refuses_and_hides_nothing_and_says_so() -> None:
    seen = _look(_table(("cat", "melanoma")), KNOWN, allow_unknown=True)
    seen.check()
    assert (seen.hidden, seen.notes, seen.spoken(["red × day"])) == ((), (), {})
    assert "melanoma" in seen.warnings[0]
    assert "light" in seen.warnings[1]
    assert all(warning.startswith("semantic.allow_unknown: ") for warning in seen.warnings)
    known = _look(_table(), allow_unknown=True)
    assert [warning for warning in known.warnings if "light" not in warning] == []


def test_forgotten_columns_join_their_groups() -> None:
    table = _table()
    joined = forget(table, (1,))
    assert joined.group_names == ("red × all", "blue × all")
    assert joined.groups.tolist() == (table.groups // 2).tolist()
    assert forget(table, (0, 1)).group_names == ("all",)
    assert forget(table, ()) is table


def test_phrases_of_an_induction_are_checked() -> None:
    encoder, semantic = Words(), SemanticConfig(attributes="names")
    encoder.known_words = KNOWN
    check_words(semantic, ("cat", "dog"), encoder, ["a red dog"])
    with pytest.raises(InputError, match=r"attribute 'long tail'.*'long', 'tail'"):
        check_words(semantic, ("cat", "dog"), encoder, ["red", "long tail"])
