"""Composability of unseen classes and cells, on tables small enough to judge by eye."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic.attributes import AttributeTable, load_attributes
from semantic.composable import composability, rank_candidates
from semantic.composable_cells import cell_composability
from semantic.errors import InputError
from semantic.induction import measured_sums


def _table(**classes: str) -> AttributeTable:
    """Table from the attributes of each class, in one text."""
    attributes = tuple(sorted({a for text in classes.values() for a in text.split()}))
    values = np.array([[float(a in text.split()) for a in attributes] for text in classes.values()])
    return AttributeTable(tuple(classes), tuple(classes), attributes, values)


def test_class_whose_attributes_occur_apart_in_other_classes_is_composable() -> None:
    table = _table(zebra="stripes hooves", tiger="stripes paws", bee="stripes wings",
                   horse="hooves tail", goat="hooves horns")  # fmt: skip
    (found,) = composability(table, ["zebra"])
    assert found.carriers == {"hooves": ("horse", "goat"), "stripes": ("tiger", "bee")}
    assert (found.uncovered, found.rank, found.twins) == ((), 2, ())
    assert found.nearest == "tiger"
    assert found.distance == pytest.approx(2 / 3)
    assert (found.adds, found.lacks) == (("hooves",), ("paws",))
    assert found.composable
    assert found.explain() == "zebra is composable: like tiger, but hooves."


def test_attribute_of_no_or_one_seen_class_is_uncovered() -> None:
    table = _table(zebra="stripes hooves mane", tiger="stripes paws", bee="stripes wings",
                   horse="hooves tail")  # fmt: skip
    (found,) = composability(table, ["zebra"])
    assert found.uncovered == ("hooves", "mane")
    assert not found.composable
    said = found.explain()
    assert "'hooves' occurs only in horse;" in said
    assert "'mane' occurs in no seen class" in said
    assert "also describes tiger, bee" in said


def test_classes_alike_in_everything_else_are_one_company() -> None:
    alike = _table(new="stripes tail", tiger="stripes paws", cat="stripes paws", dog="tail paws",
                   fox="tail ears")  # fmt: skip
    (found,) = composability(alike, ["new"])
    assert found.uncovered == ("stripes",)
    assert "only in tiger, cat, too few in different company" in found.explain()


def test_minimum_asks_for_more_companies() -> None:
    table = _table(zebra="stripes hooves", tiger="stripes paws", bee="stripes wings",
                   cod="stripes fins", horse="hooves tail", goat="hooves horns")  # fmt: skip
    assert composability(table, ["zebra"], minimum=2)[0].uncovered == ()
    assert composability(table, ["zebra"], minimum=3)[0].uncovered == ("hooves",)


def test_attributes_that_always_come_together_do_not_vary_independently() -> None:
    table = _table(zebra="stripes hooves herd", tiger="stripes paws", bee="stripes wings",
                   horse="hooves herd tail", goat="hooves herd horns")  # fmt: skip
    (found,) = composability(table, ["zebra"])
    assert found.uncovered == ()
    assert (found.rank, found.independent, found.composable) == (2, False, False)
    assert "only 2 of its 3 attributes vary independently" in found.explain()


def test_class_that_a_seen_one_contains_is_not_distinguishable() -> None:
    table = _table(pony="hooves tail", horse="hooves tail big", goat="hooves horns", cow="tail big",
                   deer="hooves tail horns")  # fmt: skip
    (found,) = composability(table, ["pony"])
    assert found.twins == ("horse", "deer")
    assert not found.composable
    assert "what is learnt of it also describes horse, deer" in found.explain()


def test_unseen_classes_teach_each_other_nothing() -> None:
    table = _table(zebra="stripes hooves", tiger="stripes paws", bee="stripes wings",
                   horse="hooves tail", goat="hooves horns")  # fmt: skip
    zebra, goat = composability(table, ["zebra", "goat"])
    assert zebra.uncovered == ("hooves",)
    assert goat.uncovered == ("hooves", "horns")


def test_class_without_typical_attributes_and_table_without_seen_classes() -> None:
    table = _table(ghost="", cat="paws", dog="paws tail")
    (found,) = composability(table, ["ghost"])
    assert not found.composable
    assert "no attribute of it reaches 0.5" in found.explain()
    with pytest.raises(InputError, match="nothing can be composed"):
        composability(table, ["ghost", "cat", "dog"])
    with pytest.raises(InputError, match="'cow' is in no row"):
        composability(table, ["cow"])


def test_measured_words_set_a_class_apart_that_phrases_cannot() -> None:
    table = _table(boot="footwear", sandal="footwear open", sneaker="footwear flat", coat="sleeves")
    assert composability(table, ["boot"])[0].twins == ("sandal", "sneaker")
    frequencies = {
        "boot": {"tall": 0.9},
        "sandal": {"tall": 0.06},
        "sneaker": {"tall": 0.04},
        "coat": {"tall": 1.0},
    }
    (found,) = composability(table, ["boot"], frequencies)
    assert found.carriers["tall"] == ("sandal", "coat")
    assert found.rank == 2
    assert found.composable
    assert found.adds == ("tall",)


def test_table_describes_the_unseen_and_measurement_the_seen() -> None:
    table = _table(boot="tall footwear", sandal="footwear tall", sneaker="footwear flat", coat="")
    measured = {"boot": {"tall": 0.0}, "sandal": {"tall": 0.0}, "coat": {"tall": 0.5}}
    (found,) = composability(table, ["boot"], measured)
    assert found.carriers["tall"] == ("coat",)


def test_word_frequencies_are_shares_of_the_classes_with_images() -> None:
    words = [("tall", "dark"), ("tall",), ("low",)]
    found = measured_sums(np.array([0, 0, 2]), words, ("coat", "none", "sandal")).frequencies()
    assert set(found) == {"coat", "sandal"}
    assert (found["coat"]["tall"], found["coat"]["dark"], found["coat"]["low"]) == (1, 0.5, 0)
    assert found["sandal"]["low"] == 1


def test_candidates_are_judged_jointly_with_the_fixed_class() -> None:
    table = _table(boot="footwear laces", sandal="footwear open", sneaker="footwear laces flat",
                   corset="laces top", shirt="top sleeves", coat="top sleeves flat",
                   robe="sleeves long", gown="top long")  # fmt: skip
    ranked = rank_candidates(table, ["boot"], ["sandal", "sneaker", "shirt"])
    assert [one.class_name for one in ranked] == ["shirt", "sandal", "sneaker"]
    shirt, sandal, sneaker = ranked
    assert shirt.uncovered == 0.0
    assert sandal.uncovered == pytest.approx(3 / 4)  # footwear twice, open
    assert sneaker.uncovered == 1.0  # footwear and laces twice, and flat
    assert [one.class_name for one in shirt.details] == ["boot", "shirt"]
    with pytest.raises(InputError, match="'boot' is already held out"):
        rank_candidates(table, ["boot"], ["boot"])


def test_bundled_table_alone_composes_no_ankle_boot() -> None:
    (boot,) = composability(load_attributes(), ["Ankle boot"])
    assert set(boot.uncovered) == {"laces", "heel", "covers the ankle"}
    assert not boot.distinguishable


@given(st.data())
def test_verdict_depends_on_no_order_and_promises_only_what_was_seen(data: st.DataObject) -> None:
    n_classes, n_attributes = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 6))
    bits = st.lists(st.booleans(), min_size=n_attributes, max_size=n_attributes)
    values = np.array([data.draw(bits) for _ in range(n_classes)], dtype=np.float64)
    classes = tuple(f"class {i}" for i in range(n_classes))
    attributes = tuple(f"attribute {i}" for i in range(n_attributes))
    (found,) = composability(AttributeTable(classes, classes, attributes, values), classes[:1])

    rows = data.draw(st.permutations(range(n_classes)))
    columns = data.draw(st.permutations(range(n_attributes)))
    names = tuple(classes[i] for i in rows)
    shuffled = AttributeTable(
        names, names, tuple(attributes[i] for i in columns), values[np.ix_(rows, columns)]
    )
    (again,) = composability(shuffled, classes[:1])
    assert again.composable == found.composable
    assert set(again.uncovered) == set(found.uncovered)
    assert set(again.twins) == set(found.twins)
    assert again.rank == found.rank <= len(found.carriers)
    assert 0 <= found.distance <= 1
    if found.composable:
        assert all(len(seen) >= 2 for seen in found.carriers.values())
        assert not any((values[0] <= other).all() for other in values[1:])


def _seen(text: str) -> set[tuple[str, str]]:
    """Cells such as `bag:red`, separated by spaces."""
    return {(cell.split(":")[0], cell.split(":")[1]) for cell in text.split()}


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ("bag:blue bag:green hat:red hat:blue tie:red", "bag × red is composable."),
        ("bag:blue hat:red hat:blue tie:red", "composable, but weakly"),
        ("bag:blue hat:red hat:blue tie:red tie:green", "seen in 1 other groups, 2 are needed"),
        ("bag:blue bag:green hat:red hat:blue", "'red' was seen in 1 other classes, 2 are needed"),
        ("bag:blue bag:green hat:red tie:red", "no other class was seen both with 'red'"),
        ("hat:red hat:blue tie:red", "seen in 0 other groups, 1 are needed"),
    ],
)
def test_unseen_cell_needs_its_class_and_its_group_in_other_company(seen: str, said: str) -> None:
    found = cell_composability(("bag", "red"), _seen(seen))
    assert said in found.reason
    assert found.composable == ("not composable" not in found.reason)


def test_crossed_group_is_judged_value_by_value() -> None:
    seen = {("bag", "old × red"), ("bag", "old × blue"), ("hat", "young × blue"),
            ("hat", "old × red"), ("tie", "young × green"), ("tie", "old × red")}  # fmt: skip
    found = cell_composability(("bag", "young × red"), seen)
    assert found.classes == {"young": ("hat", "tie"), "red": ("hat", "tie")}
    assert found.composable
    assert not cell_composability(("bag", "young × green"), seen).composable
