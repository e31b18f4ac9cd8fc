"""Who holds which classes, and what selects and tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fairfed.config.zsl import ZslConfig
from fairfed.systems.zsl.split import Classes, blocks_of, rows_of, split_classes, split_rows
from fairfed.systems.zsl.table import FeatureTable, unit_attributes
from semantic.attributes import load_attributes, table_from_names
from semantic.composable import rank_candidates
from semantic.errors import InputError

FASHION = load_attributes()


def _table(per_class: int = 20) -> FeatureTable:
    """Fashion-MNIST's classes with a quarter of each for testing."""
    labels = np.repeat(np.arange(10), per_class)
    return FeatureTable(
        features=np.ones((len(labels), 4), np.float32),
        labels=labels,
        test=np.arange(len(labels)) % 4 == 3,
        classes=FASHION.classes,
        attributes=unit_attributes(FASHION, FASHION.classes),
        texts=np.zeros((10, 0), np.float32),
        rectified=False,
    )


def test_the_rule_of_composable_classes_chooses_where_nothing_else_does() -> None:
    found = split_classes(_table(), FASHION, ZslConfig(n_unseen=2, n_validation=1))
    first = rank_candidates(FASHION, [], FASHION.classes)[0].class_name
    assert FASHION.classes.index(first) in found.unseen
    assert len(found.unseen) == 2
    assert len(found.validation) == 1
    assert sorted((*found.trained, *found.validation, *found.unseen)) == list(range(10))


def test_configured_classes_come_before_proposed_ones() -> None:
    table = replace(_table(), unseen=("Bag", "Coat"), validation=("Shirt", "Bag"))
    proposed = split_classes(table, FASHION, ZslConfig())
    assert proposed == Classes((0, 1, 2, 3, 5, 7, 9), (6,), (4, 8))
    chosen = split_classes(table, FASHION, ZslConfig(unseen=("Dress", "Shirt")))
    assert (chosen.unseen, chosen.validation) == ((3, 6), (8,))
    none = split_classes(table, FASHION, ZslConfig(n_validation=0))
    assert none.validation == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unseen": ("Bag", "Hat")}, "zsl.unseen: there is no class 'Hat'"),
        ({"validation": ("Hat",)}, "zsl.validation: there is no class 'Hat'"),
        ({"unseen": ("Bag",)}, "needs two"),
        ({"n_unseen": 8}, "10 of 10 classes are held out"),
    ],
)
def test_impossible_roles_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_classes(_table(), FASHION, ZslConfig(**settings))


def test_blocks_are_equal_up_to_one_class_disjoint_and_seeded() -> None:
    blocks = blocks_of(range(10, 18), 3, 0)
    assert sorted(map(len, blocks)) == [2, 3, 3]
    assert sorted(c for block in blocks for c in block) == list(range(10, 18))
    assert blocks == blocks_of(range(10, 18), 3, 0) != blocks_of(range(10, 18), 3, 1)
    with pytest.raises(InputError, match="partition.clients is 9, but only 8 classes"):
        blocks_of(range(8), 9, 0)


def test_no_row_serves_two_purposes_and_clients_hold_no_test_row() -> None:
    table, classes = _table(), Classes((0, 1, 2, 4, 5), (6, 7), (3, 9))
    found = split_rows(table, classes, 2, 0)
    parts = [*found.train, found.validation_seen, found.validation_unseen, found.test_seen]
    together = np.concatenate([*parts, found.test_unseen])
    assert len(together) == len(set(together.tolist()))
    assert not table.test[np.concatenate(parts[:-1])].any()
    assert table.test[found.test_unseen].all()
    assert set(table.labels[found.test_unseen].tolist()) == {3, 9}
    for block, rows in zip(found.blocks, found.train, strict=True):
        assert set(table.labels[rows].tolist()) == set(block)
    # 15 training rows a class, of which a tenth is 1.5, to the even number 2
    assert np.bincount(table.labels[found.validation_seen]).tolist() == [2, 2, 2, 0, 2, 2]


def test_without_validation_classes_nothing_is_held_back() -> None:
    classes = Classes((0, 1, 2, 4, 5, 6, 7, 8), (), (3, 9))
    found = split_rows(_table(), classes, 2, 0)
    assert len(found.validation_seen) == len(found.validation_unseen) == 0
    assert sum(map(len, found.train)) == 8 * 15


def test_a_role_without_rows_is_refused() -> None:
    table = replace(_table(), test=np.zeros(200, bool))
    with pytest.raises(InputError, match="'T-shirt/top' has no test row"):
        split_rows(table, Classes((0, 1), (2,), (3, 4)), 2, 0)
    assert len(rows_of(table, [3], test=False)) == 20


def test_a_class_without_attributes_is_refused() -> None:
    with pytest.raises(InputError, match="class 'bag' has no attribute"):
        unit_attributes(table_from_names(("bag", "coat")), ("bag", "coat"))
