"""The bundled federation: loaded, divided, shaded."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from fairfed.config import Config, parse_config
from fairfed.data import FederatedImages, load_federation, load_images
from fairfed.data.fashion import BUNDLED, FASHION_CLASSES


@functools.cache
def federation(iid: bool) -> FederatedImages:
    return load_federation(Config(), iid=iid)


def test_the_bundled_images_are_framed_grey_on_three_channels() -> None:
    table = load_images(Config())
    assert table.images.shape == (8000, 32, 32, 3)
    assert table.classes == FASHION_CLASSES
    assert not table.images[:, :2].any()
    assert not table.images[:, :, -2:].any()
    with np.load(BUNDLED) as arrays:
        np.testing.assert_array_equal(table.images[::97, 2:-2, 2:-2, 1], arrays["images"][::97])
    assert np.bincount(table.labels[table.test]).tolist() == [200] * 10


def test_ten_clients_hold_two_classes_each() -> None:
    cells = federation(False).train_cells()
    assert cells.shape == (10, 10, 4)
    assert ((cells.sum(axis=2) > 0).sum(axis=1) == 2).all()
    assert cells.sum() == 6000
    assert (cells.sum(axis=(0, 2)) == 600).all()


def test_test_rows_follow_the_clients_classes_and_are_even_over_the_tints() -> None:
    images = federation(False)
    train = images.train_cells()
    test = np.stack([images.table.cells(rows) for rows in images.test])
    np.testing.assert_array_equal(train.sum(axis=2) > 0, test.sum(axis=2) > 0)
    assert (test.sum(axis=0) == 50).all()


def test_the_iid_split_has_even_cells_and_the_same_test_pixels() -> None:
    main, iid = federation(False), federation(True)
    assert (iid.train_cells() == 15).all()
    test = main.table.test
    np.testing.assert_array_equal(main.table.test, iid.table.test)
    np.testing.assert_array_equal(main.table.images[test], iid.table.images[test])


def test_tints_tied_to_the_class_in_training_leave_the_test_pixels() -> None:
    text = 'data.tint.correlation = 0.9\npartition.name = "iid"'
    main, tied = federation(False), load_federation(parse_config(text, "x"))
    cells = tied.train_cells().sum(axis=0)
    own = cells[np.arange(10), np.arange(10) % 4]
    assert (cells.sum(axis=1) == 600).all()
    assert ((own > 510) & (own < 570)).all()
    assert (tied.table.cells(np.concatenate(tied.test)) == 50).all()
    test = main.table.test
    np.testing.assert_array_equal(main.table.images[test], tied.table.images[test])


def test_without_tints_there_is_one_group() -> None:
    images = load_federation(parse_config("data.tint.enabled = false", "x"))
    assert images.table.group_names == ("all",)
    np.testing.assert_array_equal(images.table.images[..., 0], images.table.images[..., 2])


def test_another_size_and_order_of_classes() -> None:
    order = FASHION_CLASSES[::-1]
    config = parse_config(f"data.image_size = 16\ndata.classes = {list(order)}", "x")
    table = load_images(config)
    assert table.images.shape == (8000, 16, 16, 3)
    np.testing.assert_array_equal(table.labels, 9 - load_images(Config()).labels)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data.sensitive = ["sex"]', "'bundled' has no column 'sex'"),
        ('data.classes = ["Bag"]', "data.classes: 'bundled' has the label 'T-shirt/top'"),
        ('data.source = "nowhere/at/all"', "data.source: no directory 'nowhere/at/all'"),
    ],
)
def test_wrong_settings_are_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_images(parse_config(text, "x"))
