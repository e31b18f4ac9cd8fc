"""Images that cannot be read, that show nothing, and that are there twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fairfed.data import ImageTable, load_images
from semantic.errors import InputError
from tests.fairfed.data.folders import configure, noises, write

Caplog = pytest.LogCaptureFixture


def _load(folder: Path, *overrides: str) -> ImageTable:
    return load_images(configure(folder, *overrides))


def _numbers(table: ImageTable) -> list[int]:
    assert table.rows is not None
    return table.rows.tolist()


def test_one_bad_file_of_a_hundred_is_left_out_and_listed(tmp_path: Path, caplog: Caplog) -> None:
    folder = write(tmp_path, noises(100), ["a", "b"])
    (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:60])
    table = _load(folder)
    assert _numbers(table) == [row for row in range(100) if row != 7]
    assert table.labels.tolist() == [row % 2 for row in range(100) if row != 7]
    assert "1 of 100 images cannot be read and are left out; 99 are used" in caplog.text
    assert f"{folder / '7.png'}: not a readable image" in caplog.text
    with pytest.raises(InputError, match="1 of 100 images cannot be read; replace"):
        _load(folder, 'data.unreadable = "error"')


def test_too_many_bad_files_stop_and_are_all_listed(tmp_path: Path) -> None:
    folder = write(tmp_path, noises(100), ["a", "b"])
    for name in ("7.png", "30.png"):
        (folder / name).write_text("<html>404</html>")
    with pytest.raises(InputError) as raised:
        _load(folder)
    assert "2 of 100 images cannot be read, and data.unreadable = 'skip'" in str(raised.value)
    assert all(f"{folder / name}: not" in str(raised.value) for name in ("7.png", "30.png"))


def test_flat_images_are_counted_and_named(tmp_path: Path, caplog: Caplog) -> None:
    images = noises(6)
    images["2.png"][:], images["4.png"][:] = 255, 255
    folder = write(tmp_path, images, ["a", "b"])
    assert len(_load(folder, 'data.duplicates = "drop"')) == 6
    assert "2 of 6 images are one flat colour: 2.png, 4.png" in caplog.text
    assert "same pixels" not in caplog.text


def _with_copies(folder: Path) -> Path:
    """Rows 0 and 6 are copies that train and test; 1 and 2 have two labels; 3 and 5 are alike."""
    images = noises(8)
    for copy, of in ((6, 0), (2, 1), (5, 3)):
        images[f"{copy}.png"] = images[f"{of}.png"]
    return write(folder, images, ["a", "b"])


def test_copies_are_counted_and_named(tmp_path: Path, caplog: Caplog) -> None:
    assert len(_load(_with_copies(tmp_path))) == 8
    assert "6 of 8 images have the same pixels as another" in caplog.text
    assert "(0.png = 6.png, 1.png = 2.png, 3.png = 5.png)" in caplog.text
    assert "1 of these 3 sets both train and test, 1 have several labels" in caplog.text


def test_copies_are_dropped_and_those_with_two_labels_altogether(tmp_path: Path) -> None:
    table = _load(_with_copies(tmp_path), 'data.duplicates = "drop"')
    assert _numbers(table) == [3, 4, 6, 7]
    assert table.test.tolist() == [False, False, True, True]


def test_another_file_with_the_same_pixels_is_a_copy(tmp_path: Path, caplog: Caplog) -> None:
    folder = write(tmp_path, noises(5), ["a"])
    text = (folder / "metadata.csv").read_text()
    (folder / "metadata.csv").write_text(f"{text}x.bmp,a,train\n")
    from PIL import Image

    with Image.open(folder / "0.png") as image:
        image.save(folder / "x.bmp")
    _load(folder)
    assert "(0.png = x.bmp)" in caplog.text


def test_images_that_no_row_names_are_counted(tmp_path: Path, caplog: Caplog) -> None:
    folder = write(tmp_path, noises(5), ["a"])
    (folder / "more").mkdir()
    for name in ("more/x.PNG", "more/y.png", ".hidden.png", "note.txt"):
        shutil.copy(folder / "0.png", folder / name)
    assert len(_load(folder)) == 5
    assert "2 images are in no row of metadata.csv and are not used" in caplog.text
    assert str(folder / "more" / "x.PNG") in caplog.text


def test_ordinary_folders_are_loaded_without_a_word(tmp_path: Path, caplog: Caplog) -> None:
    images = noises(6)
    table = _load(write(tmp_path, images, ["a", "b"]))
    assert not caplog.text
    assert all(np.array_equal(found[..., 0], image)
               for found, image in zip(table.images, images.values(), strict=True))  # fmt: skip
