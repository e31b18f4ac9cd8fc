"""Rows are divided by the partitioners of flwr-datasets, for training and testing together."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairfed.config import PartitionConfig
from fairfed.data import ImageTable, partition_rows
from semantic.errors import InputError


def table(per_class: int = 40, n_classes: int = 4, clients: tuple[str, ...] | None = None) -> Any:
    labels = np.repeat(np.arange(n_classes), per_class)
    n = labels.size
    return ImageTable(
        images=np.zeros((n, 8, 8, 3), np.uint8),
        labels=labels,
        groups=np.arange(n) % 2,
        test=np.arange(n) % per_class >= per_class * 3 // 4,  # a class's last quarter
        classes=tuple("abcdefghij"[:n_classes]),
        group_names=("x", "y"),
        clients=clients,
    )


def divide(
    data: ImageTable, name: str, clients: int = 4, seed: int = 0, **options: Any
) -> list[np.ndarray]:
    partition = PartitionConfig(name=name, clients=clients, options=options)
    return partition_rows(data, partition, seed)[1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("iid", {}),
        ("linear", {}),
        ("square", {}),
        ("pathological", {}),
        ("dirichlet", {"alpha": 0.5, "min_partition_size": 5}),
        ("shard", {"num_shards_per_partition": 2}),
        ("continuous", {"strictness": 0.5}),
        ("inner_dirichlet", {"partition_sizes": [80, 80], "alpha": 1.0}),
        ("size", {"partition_sizes": [100, 60]}),
    ],
)
def test_every_row_goes_to_one_client(name: str, options: dict[str, Any]) -> None:
    rows = divide(table(), name, **options)
    assert sorted(np.concatenate(rows).tolist()) == list(range(160))
    assert all((np.diff(part) > 0).all() for part in rows)


def test_rows_are_divided_by_label_and_group_together() -> None:
    data = table(n_classes=2, per_class=80)
    rows = divide(data, "pathological", clients=4, partition_by="cell", num_classes_per_partition=1)
    assert [np.count_nonzero(data.cells(part)) for part in rows] == [1] * 4
    assert sum(data.cells(part) for part in rows).tolist() == [[40, 40], [40, 40]]


def test_a_dirichlet_draw_that_is_repeated_is_no_warning() -> None:
    drawn = divide(table(), "dirichlet", alpha=0.3, min_partition_size=25, seed=3)
    assert min(len(part) for part in drawn) >= 25


def test_same_seed_same_rows() -> None:
    first, again, other = (
        divide(table(), "dirichlet", alpha=0.5, min_partition_size=5, seed=seed)
        for seed in (1, 1, 2)
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any(a.shape != b.shape or (a != b).any() for a, b in zip(first, other, strict=True))


def test_pathological_gives_two_classes_each_and_every_class_to_someone() -> None:
    data = table()
    held = [set(data.labels[rows].tolist()) for rows in divide(data, "pathological")]
    assert [len(classes) for classes in held] == [2, 2, 2, 2]
    assert set.union(*held) == {0, 1, 2, 3}


def test_classes_that_nobody_holds_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "fairfed"):
        rows = divide(table(), "pathological", clients=1)
    assert len(rows[0]) == 80
    assert caplog.messages == ["partition: no client holds b, c, for training or for testing"]


def test_each_client_keeps_the_tables_share_of_test_rows() -> None:
    data = table(per_class=80)
    for rows in divide(data, "pathological"):
        for label in set(data.labels[rows].tolist()):
            mine = rows[data.labels[rows] == label]
            assert data.test[mine].mean() == pytest.approx(0.25, abs=0.04)


def test_iid_gives_every_client_its_share_of_every_class() -> None:
    data = table(per_class=80)
    for rows in divide(data, "iid"):
        assert np.bincount(data.labels[rows]).tolist() == pytest.approx([20] * 4, abs=1)


def test_column_takes_the_clients_of_the_data() -> None:
    data = table(per_class=8, n_classes=2, clients=tuple(["10", "9"] * 8))
    names, rows = partition_rows(data, PartitionConfig(name="column"), seed=0)
    assert names == ("9", "10")
    assert [part.tolist() for part in rows] == [list(range(1, 16, 2)), list(range(0, 16, 2))]


def test_natural_ids_are_the_datas_clients_too() -> None:
    data = table(per_class=8, n_classes=2, clients=tuple("ab" * 8))
    assert [len(part) for part in divide(data, "natural_id")] == [8, 8]


def test_a_distribution_is_given_as_nested_arrays() -> None:
    rows = divide(
        table(n_classes=4),
        "distribution",
        distribution_array=[[1.0, 2.0]] * 4,
        num_unique_labels_per_partition=2,
        preassigned_num_samples_per_label=4,
    )
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dirichelt", {}, "partition.name: no partitioner 'dirichelt'; did you mean 'dirichlet'?"),
        ("vertical_even", {}, "partition.name: no partitioner 'vertical_even'"),
        ("id_to_size_fnc", {}, "partition.name: no partitioner"),
        ("dirichlet", {"alpa": 1}, "partition.options.alpa: .*did you mean 'alpha'?"),
        ("iid", {"zzz": 1}, "partition.options.zzz: 'iid' has no such option; it has: num_part"),
        ("dirichlet", {}, "partition.options.alpha: missing; 'dirichlet' needs it"),
        ("dirichlet", {"alpha": -1.0}, "partition.options: 'dirichlet' refuses them|cannot divide"),
        ("dirichlet", {"alpha": 1.0, "partition_by": "age"}, "no column 'age'; there are: row, la"),
        ("natural_id", {}, "no column 'client'; .*data.client"),
        ("pathological", {"num_classes_per_partition": 9}, "'pathological' cannot divide"),
        ("column", {}, "'column' needs data.client"),
    ],
)
def test_an_error_names_the_option(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        divide(table(), name, **options)


def test_a_client_without_training_images_is_named() -> None:
    names = tuple("a" if row % 8 < 6 else "b" for row in range(16))  # b: test rows only
    data = table(per_class=8, n_classes=2, clients=names)
    with pytest.raises(InputError, match="client b gets no training images; use fewer clients"):
        partition_rows(data, PartitionConfig(name="column"), seed=0)


def test_clients_without_test_images_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    names = tuple("a" if row % 8 >= 4 else "b" for row in range(16))  # b: training rows only
    data = table(per_class=8, n_classes=2, clients=names)
    partition_rows(data, PartitionConfig(name="column"), seed=0)
    assert "1 of 2 clients have no test images and are not measured (b)" in caplog.text
    assert "rest on 4 test images of the others" in caplog.text


def test_a_division_in_which_nobody_tests_is_refused() -> None:
    data = replace(table(clients=("a",) * 160), test=np.zeros(160, bool))
    with pytest.raises(InputError, match="no client gets test images, so that nothing can be"):
        partition_rows(data, PartitionConfig(name="column"), seed=0)
