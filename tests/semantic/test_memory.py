"""The semantic memory: what a class resembles, and in which attributes it differs."""

from __future__ import annotations

import numpy as np
import pytest

from semantic.attributes import AttributeTable, load_attributes
from semantic.encoder import load_encoder
from semantic.errors import InputError
from semantic.memory import Neighbour, SemanticMemory, compose, remember, remembered
from semantic.space import Cell, SemanticSpace

TABLE = AttributeTable(
    ("horse", "cat", "zebra", "thing"),
    ("horse", "house cat", "zebra", "thing"),
    ("hooves", "stripes", "whiskers"),
    np.array([[1, 0, 0], [0, 0.2, 1], [1, 0.9, 0], [0, 0, 0.0]]),
)
TEXTS = np.array([[1, 0], [0, 1], [0.8, 0.6], [0.0, 1.0]])


def _memory(**prototypes: tuple[float, ...]) -> SemanticMemory:
    return SemanticMemory(TABLE, ("horse", "cat"), TEXTS, prototypes)


def test_without_prototypes_text_and_attributes_count_alike() -> None:
    found = _memory().nearest("zebra")
    assert [n.class_name for n in found] == ["horse", "cat"]
    assert {n.evidence for n in found} == {"text and attributes"}
    cosine = 1 / np.sqrt(1 + 0.9**2)
    assert found[0].similarity == pytest.approx((0.8 + cosine) / 2)
    assert found[0].adds == (("stripes", 0.9),)
    assert found[0].lacks == ()
    assert found[1].adds == (("hooves", 1.0), ("stripes", pytest.approx(0.7)))
    assert found[1].lacks == (("whiskers", 1.0),)


def test_prototypes_come_first_where_the_class_has_one() -> None:
    memory = _memory(zebra=(0.0, 1.0), cat=(0.6, 0.8))
    assert memory.nearest("zebra") == [
        Neighbour("cat", pytest.approx(0.8), "prototypes",
                  (("hooves", 1.0), ("stripes", pytest.approx(0.7))), (("whiskers", 1.0),))
    ]  # fmt: skip
    unpictured = _memory(cat=(0.6, 0.8)).nearest("zebra")
    assert unpictured[0].evidence == "text and attributes"


def test_a_class_without_attributes_is_compared_by_text() -> None:
    found = _memory().nearest("thing", 1)
    assert found == [Neighbour("cat", 1.0, "text")]


def test_a_seen_class_is_not_its_own_neighbour() -> None:
    assert [n.class_name for n in _memory().nearest("horse")] == ["cat"]


def test_explains_in_words() -> None:
    assert _memory().explain("zebra", 2) == (
        "A zebra is like a horse (0.77 by text and attributes), but has: stripes. "
        "A zebra is like a house cat (0.37 by text and attributes), "
        "but has: hooves, stripes; and has not: whiskers."
    )
    assert _memory().explain("thing") == "A thing is like a house cat (1.00 by text)."


def test_composes_from_the_neighbour_and_the_differences() -> None:
    space = SemanticSpace(TABLE.classes, ("red", "all"), TABLE)
    cats = SemanticMemory(TABLE, ("cat",), TEXTS)
    noun, phrases = remembered(cats, "zebra")
    assert noun == "house cat"
    assert dict(phrases) == pytest.approx({"hooves": 1.0, "stripes": 0.7, "whiskers": -1.0})
    found = compose(cats, space, Cell("zebra", "red"), weight=2.0)
    assert found.prompt == "a photo of a red house cat"
    assert found.terms[0] == ("a photo of a item, hooves", 2.0)
    assert found.terms[2] == ("a photo of a item, whiskers", -2.0)


def test_bundled_clip_finds_footwear_for_the_ankle_boot() -> None:
    table = load_attributes()
    seen = tuple(name for name in table.classes if name != "Ankle boot")
    memory = remember(load_encoder(), table, seen)
    nearest = memory.nearest("Ankle boot", 2)
    assert {n.class_name for n in nearest} == {"Sneaker", "Sandal"}
    assert "covers the ankle" in dict(nearest[0].adds)
    assert memory.texts.shape == (10, load_encoder().dimension)
    words = memory.explain("Ankle boot")
    assert words.startswith("An ankle boot is like a s")
    assert "covers the ankle" in words


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="'dog' is in no row"):
        _memory().nearest("dog")
    with pytest.raises(InputError, match="'dog' is in no row"):
        SemanticMemory(TABLE, ("dog",), TEXTS)
    with pytest.raises(InputError, match="no seen class"):
        SemanticMemory(TABLE, ("cat",), TEXTS).nearest("cat")
