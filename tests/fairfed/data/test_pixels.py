"""Files with more than 8 bits, transparent files, and files that are too large."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fairfed.config import parse_config
from fairfed.data import load_images
from semantic.errors import InputError
from tests.fairfed.data.folders import configure, noise, noises, write

Caplog = pytest.LogCaptureFixture
Floats = npt.NDArray[np.float64]


def _loaded(folder: Path, *overrides: str) -> npt.NDArray[np.uint8]:
    """The red channel of a folder's images."""
    return load_images(configure(folder, *overrides)).images[..., 0]


@pytest.mark.parametrize(
    ("suffix", "deeper", "top"),
    [
        ("png", lambda v: np.uint16(v * 257.0), "65535"),
        ("tif", lambda v: np.uint16(v * 257.0), "65535"),
        ("png", lambda v: np.uint16(np.rint(v * 1023 / 255)), "1023"),
        ("png", lambda v: np.uint16(np.rint(v * 4095 / 255)), "4095"),
        ("png", lambda v: np.uint16(v), "255"),
        ("tiff", lambda v: np.int32(v * 257.0), "65535"),
        ("tiff", lambda v: np.float32(v / 255), "1"),
        ("tiff", lambda v: np.float32(v), "255"),
    ],
)
def test_more_bits_are_brought_to_eight(
    tmp_path: Path, caplog: Caplog, suffix: str, deeper: Callable[[Floats], Floats], top: str
) -> None:
    plain = {f"{row}.{suffix}": noise(row) for row in range(4)}
    expected = _loaded(write(tmp_path / "plain", plain, ["a", "b"]))
    assert not caplog.text
    deep = {name: deeper(image.astype(float)) for name, image in plain.items()}
    found = _loaded(write(tmp_path / "deep", deep, ["a", "b"]))
    assert np.array_equal(found, expected)
    assert f"4 of 4 images have more than 8 bits; values from 0 to {top} become" in caplog.text


def test_one_window_serves_all_images(tmp_path: Path) -> None:
    bright = np.uint16(noise(0)) * 16
    images = {"0.png": bright, "1.png": bright // 2, "2.png": bright // 4, "3.png": bright // 8}
    means = _loaded(write(tmp_path, images, ["a", "b"])).mean((1, 2))
    assert means[:3] / means[1:] == pytest.approx([2, 2, 2], rel=0.05)


def test_a_few_wild_pixels_do_not_set_the_window(tmp_path: Path) -> None:
    images = {f"{row}.png": np.uint16(noise(row, side=100)) * 16 for row in range(4)}
    images["1.png"][50, :5] = 65535
    folder = write(tmp_path, images, ["a", "b"])
    assert _loaded(folder, "data.image_size = 100")[1, 50, :5].tolist() == [255] * 5
    assert _loaded(folder).mean() == pytest.approx(127, abs=10)


def test_negative_and_fractional_values_span_the_datas_range(tmp_path: Path) -> None:
    units = noise(0).astype(np.float32) * 10 - 1000  # as a CT has
    units[4, 4] = np.nan
    images = {"0.tiff": units, "1.tiff": units + 100, "2.tiff": units, "3.tiff": units}
    found = _loaded(write(tmp_path, images, ["a", "b"]))
    assert (found.min(), found.max()) == (0, 255)
    assert found[0, 4, 4] == 0
    assert found[1, 0, 0] == round(255 * 100 / (2550 + 100))


def test_a_window_of_the_users_clips(tmp_path: Path) -> None:
    deep = {f"{row}.png": np.uint16(noise(row)) for row in range(4)}
    found = _loaded(write(tmp_path, deep, ["a", "b"]), "data.window = [100, 151]")
    for row, image in enumerate(deep.values()):
        expected = np.clip((image.astype(int) - 100) * 5, 0, 255)
        assert np.array_equal(found[row], expected)


def test_files_of_eight_bits_are_left_alone_beside_deeper_ones(tmp_path: Path) -> None:
    images: dict[str, npt.NDArray[np.generic]] = {**noises(3), "3.png": np.uint16(noise(3)) * 4}
    found = _loaded(write(tmp_path, images, ["a", "b"]))
    assert all(np.array_equal(found[row], noise(row)) for row in range(3))


def _drawing() -> Image.Image:
    """A black square on transparent black."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[2:6, 2:6, 3] = 255
    return Image.fromarray(pixels)


def test_transparent_images_are_laid_on_white(tmp_path: Path, caplog: Caplog) -> None:
    opaque = Image.fromarray(noise(1)).convert("RGBA")
    palette = _drawing().convert("LA").convert("RGBA").quantize(4)
    images = {"0.png": _drawing(), "1.png": opaque, "2.png": _drawing().convert("LA")}
    folder = write(tmp_path, {**images, "3.png": palette}, ["a", "b"])
    found = _loaded(folder)
    for row in (0, 2, 3):
        assert (found[row, 2:6, 2:6] == 0).all()
        assert (found[row, :2] == 255).all()
    assert np.array_equal(found[1], noise(1))
    assert "3 of 4 images are transparent in parts and laid on white" in caplog.text
    assert (_loaded(folder, 'data.background = "#101010"')[0, :2] == 16).all()


def _png_of_16_bit_colours(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG that Pillow does not write: two bytes a colour, the lower one 0."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + (row.astype(np.uint16) << 8).astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_colours_of_16_bits_are_said(tmp_path: Path, caplog: Caplog) -> None:
    folder = write(tmp_path, noises(4), ["a", "b"])
    colours = np.stack([noise(1), noise(2), noise(3)], axis=-1)
    (folder / "0.png").write_bytes(_png_of_16_bit_colours(colours))
    assert np.array_equal(load_images(configure(folder)).images[0], colours)
    assert "1 of 4 images have colours of 16 bits, of which the upper 8 are used" in caplog.text


def test_a_large_image_says_what_to_raise(tmp_path: Path) -> None:
    images = {**noises(3), "3.png": np.zeros((1200, 1000), np.uint8)}
    folder = write(tmp_path, images, ["a", "b"])
    with pytest.raises(InputError, match=r"3\.png: 1 megapixels.* of data\.max_megapixels"):
        _loaded(folder, "data.max_megapixels = 1")
    assert len(_loaded(folder, "data.max_megapixels = 1.3")) == 4


def test_pillows_own_limit_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, noises(4), ["a", "b"])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert len(_loaded(folder)) == 4
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(
    ("setting", "said"),
    [("window = [5, 5]", "5 is not below 5"), ('background = "snowy"', "unknown color")],
)
def test_settings_that_mean_nothing_are_refused(setting: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_config(f"data.{setting}", "x")
