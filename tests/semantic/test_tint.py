"""A tint shades an image in a flat colour."""

from __future__ import annotations

import numpy as np
import pytest

from semantic.tint import TINTS, tint_images


def test_grey_is_the_image_itself_on_three_channels() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    grey = np.array([list(TINTS).index("grey")])
    tinted = tint_images(images, grey)
    assert tinted.shape == (1, 16, 16, 3)
    for channel in range(3):
        np.testing.assert_array_equal(tinted[..., channel], images)


def test_black_stays_black_and_white_becomes_the_colour() -> None:
    images = np.stack([np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)])
    for index, colour in enumerate(TINTS.values()):
        black, white = tint_images(images, np.array([index, index]))
        assert not black.any()
        assert (white == colour).all()


def test_rgb_images_are_multiplied_channel_by_channel() -> None:
    image = np.array([[[[100, 200, 50]]]], np.uint8)
    index = list(TINTS).index("red")
    expected = [round(v * c / 255) for v, c in zip((100, 200, 50), TINTS["red"], strict=True)]
    assert tint_images(image, np.array([index]))[0, 0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("shape", "index", "message"),
    [
        ((2, 4), [0, 0], "expected"),
        ((2, 4, 4), [0], "2 images"),
        ((2, 4, 4), [0, 4], "outside 0 to 3"),
        ((2, 4, 4), [-1, 0], "outside 0 to 3"),
    ],
)
def test_wrong_shapes_and_indices_are_refused(
    shape: tuple[int, ...], index: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tint_images(np.zeros(shape, np.uint8), np.array(index))
