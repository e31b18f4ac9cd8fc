"""Who holds what: label sets, modalities, missing classes."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.config.shared import SharedConfig
from fairfed.systems.shared_space.sites import divide, label_sets
from semantic.errors import InputError

LABELS = np.tile(np.arange(6), 30)
TEST = np.arange(180) >= 120


def _shared(**changes: object) -> SharedConfig:
    settings = {
        "image_clients": 2, "both_clients": 1, "text_clients": 2, "classes_per_client": 3,
        "missing": ("a",), "images_per_class": 9, "captions_per_class": 8,
    }  # fmt: skip
    return SharedConfig.model_validate({**settings, **changes})


def test_every_class_is_in_a_label_set_and_the_sets_differ() -> None:
    sets = label_sets([0, 2, 3, 5, 7], 3, 3, seed=1)
    assert set().union(*map(set, sets)) == {0, 2, 3, 5, 7}
    assert len({frozenset(one) for one in sets}) == 3
    assert sets == label_sets([0, 2, 3, 5, 7], 3, 3, seed=1)
    assert sets != label_sets([0, 2, 3, 5, 7], 3, 3, seed=2)


@pytest.mark.parametrize(
    ("clients", "size", "message"),
    [(3, 6, "images are there of 5 classes only"), (2, 2, "some of 5 classes to nobody")],
)
def test_label_sets_that_cannot_be_are_refused(clients: int, size: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        label_sets([0, 1, 2, 3, 4], clients, size, seed=0)


def test_missing_classes_are_captions_alone_and_no_row_is_held_twice() -> None:
    found = divide(LABELS, TEST, [4], [1], _shared(), seed=0)
    assert [own.kind for own in found] == ["images", "images", "both", "text", "text"]
    for own in found:
        assert not TEST[own.rows].any()
        held = set(LABELS[own.rows].tolist())
        assert held == set(own.classes)
        assert held == {4} if own.kind == "text" else not held & {1, 4}
        most = 8 if own.kind == "text" else 9
        assert np.bincount(LABELS[own.rows]).max() <= most
    rows = np.concatenate([own.rows for own in found])
    assert len(set(rows.tolist())) == len(rows)


def test_test_rows_of_every_class_are_divided_among_clients_with_images() -> None:
    found = divide(LABELS, TEST, [4], [1], _shared(), seed=0)
    together = np.sort(np.concatenate([own.test for own in found]))
    assert together.tolist() == np.flatnonzero(TEST).tolist()
    assert [len(own.test) for own in found] == [24, 18, 18, 0, 0]
    assert all(set(LABELS[own.test].tolist()) == set(range(6)) for own in found[:3])


def test_held_out_rows_are_of_missing_and_arriving_classes() -> None:
    found = divide(LABELS, TEST, [4], [1], _shared(), seed=0)
    held = [own.held_out for own in found]
    assert all(set(LABELS[rows].tolist()) == {1, 4} for rows in held[:3])
    assert [len(rows) for rows in held[3:]] == [0, 0]
