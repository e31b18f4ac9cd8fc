"""The full Fashion-MNIST, from IDX files."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairfed.config import parse_config
from fairfed.data import fashion, load_images
from fairfed.data.fashion import FASHION_CLASSES, pad_to_square
from generators.idx import read_idx
from semantic.errors import InputError


def write_idx(path: Path, values: np.ndarray) -> None:
    sizes = np.array(values.shape, ">u4").tobytes()
    raw = bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def write_set(folder: Path, suffix: str = ".gz") -> None:
    rng = np.random.default_rng(0)
    for part, size in (("train", 20), ("t10k", 10)):
        images = rng.integers(0, 256, (size, 28, 28))
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(size) % 10)


@pytest.mark.parametrize("suffix", [".gz", ""])
def test_four_idx_files_are_the_full_set(tmp_path: Path, suffix: str) -> None:
    write_set(tmp_path, suffix)
    config = parse_config(f'data.source = "fashion-mnist"\ndata.directory = "{tmp_path}"', "x")
    table = load_images(config)
    assert table.images.shape == (30, 32, 32, 3)
    assert table.test.tolist() == [False] * 20 + [True] * 10
    assert table.labels.tolist() == [row % 10 for row in range(30)]
    assert table.classes == FASHION_CLASSES


def test_without_files_it_comes_through_datasets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part: dict[str, Any] = {"image": [np.zeros((28, 28), np.uint8)] * 2, "label": [9, 0]}
    monkeypatch.setattr(fashion, "DEBIAN_DIRECTORY", tmp_path / "absent")
    monkeypatch.setattr(fashion, "load_splits", lambda name: {"train": part, "test": part})
    table = load_images(parse_config('data.source = "fashion-mnist"', "x"))
    assert table.labels.tolist() == [9, 0, 9, 0]
    assert table.test.tolist() == [False, False, True, True]


def test_a_damaged_or_absent_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x-idx.gz"
    with pytest.raises(InputError, match="x-idx: no such file; the directory must hold"):
        read_idx(path)
    for content in (b"", b"no gzip", gzip.compress(b"\0\0\x09\x01"), gzip.compress(b"\0\0\x08")):
        path.write_bytes(content)
        with pytest.raises(InputError, match="x-idx.gz: damaged"):
            read_idx(path)
    write_idx(path, np.zeros((3, 3)))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-1]))
    with pytest.raises(InputError, match="x-idx.gz: damaged"):
        read_idx(path)


def test_padding_frames_an_image_in_black() -> None:
    padded = pad_to_square(np.ones((1, 2, 3), np.uint8), 5)
    assert padded[0].tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 1, 0],
        [0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
