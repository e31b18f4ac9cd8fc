"""A user's image folder: the `imagefolder` convention, and errors that name the row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.config import Config, parse_config
from fairfed.data import load_federation, load_images
from semantic.errors import InputError

HEADING = "file_name,label,sex,age,site,split"


def write_folder(folder: Path, rows: list[str], heading: str = HEADING) -> Path:
    """Write a metadata file and a flat image of shade 10 · row for each of its rows."""
    folder.mkdir(exist_ok=True)
    (folder / "metadata.csv").write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
    for number, row in enumerate(rows):
        name = row.split(",")[0]
        if name.endswith(".png"):
            Image.new("RGB", (12, 10), (10 * number, 0, 0)).save(folder / name)
    return folder


def configure(folder: Path, **data: object) -> Config:
    settings = {"source": str(folder), "sensitive": ["sex"], "image_size": 8} | data
    lines = [f"{name} = {value!r}" for name, value in settings.items()]
    return parse_config("\n".join(["[data]", *lines]), "x")


ROWS = [
    "0.png,cat,f,old,north,train",
    "1.png,dog,m,young,north,train",
    "2.png,cat,,old,south,test",
    "3.png,dog,f,,south,train",
    "4.png,dog,m,old,north,test",
]


def test_columns_become_labels_groups_clients_and_split(tmp_path: Path) -> None:
    table = load_images(configure(write_folder(tmp_path, ROWS), client="site"))
    assert table.classes == ("cat", "dog")
    assert table.labels.tolist() == [0, 1, 0, 1, 1]
    assert table.group_names == ("f", "m", "missing")
    assert table.groups.tolist() == [0, 1, 2, 0, 1]
    assert table.test.tolist() == [False, False, True, False, True]
    assert table.clients == ("north", "north", "south", "south", "north")
    assert table.images.shape == (5, 8, 8, 3)
    assert table.images[:, 4, 4].tolist() == [[10 * row, 0, 0] for row in range(5)]


def test_several_sensitive_columns_are_crossed(tmp_path: Path) -> None:
    table = load_images(configure(write_folder(tmp_path, ROWS), sensitive=["sex", "age"]))
    names = [table.group_names[group] for group in table.groups]
    assert names == ["f × old", "m × young", "missing × old", "f × missing", "m × old"]


def test_no_sensitive_column_is_one_group(tmp_path: Path) -> None:
    table = load_images(configure(write_folder(tmp_path, ROWS), sensitive=[]))
    assert table.group_names == ("all",)
    assert table.cells(np.arange(5)).tolist() == [[2], [3]]


def test_all_sensitive_values_absent_is_one_group(tmp_path: Path) -> None:
    rows = ["0.png,cat,,o,n,train", "1.png,cat, ,o,n,test"]
    assert load_images(configure(write_folder(tmp_path, rows))).group_names == ("missing",)


def test_a_fifth_of_each_class_tests_where_there_is_no_split(tmp_path: Path) -> None:
    rows = [f"{row}.png,{'cat' if row < 10 else 'dog'},f" for row in range(25)]
    folder = write_folder(tmp_path, rows, "file_name,label,sex")
    table = load_images(configure(folder))
    assert table.cells(np.flatnonzero(table.test)).tolist() == [[2], [3]]
    np.testing.assert_array_equal(table.test, load_images(configure(folder)).test)


def test_train_and_test_folders_are_a_split(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ["a.png,cat,f", "b.png,dog,m"], "file_name,label,sex")
    write_folder(tmp_path / "test", ["a.png,cat,f"], "file_name,label,sex")
    assert load_images(configure(tmp_path)).test.tolist() == [False, False, True]


def test_numbers_sort_by_value_and_classes_can_be_declared(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, ["0.png,10,f,o,n,train", "1.png,9,f,o,n,test"])
    assert load_images(configure(folder)).classes == ("9", "10")
    table = load_images(configure(folder, classes=["10", "9", "8"]))
    assert (table.classes, table.labels.tolist()) == (("10", "9", "8"), [0, 1])


def test_the_datas_clients_make_a_federation(tmp_path: Path) -> None:
    rows = [f"{row}.png,cat,f,o,{'b' if row % 2 else 'a'},train" for row in range(6)]
    folder = write_folder(tmp_path, [*rows, "6.png,cat,m,o,a,test"])
    config = configure(folder, client="site")
    config = config.model_copy(
        update={"partition": config.partition.model_copy(update={"name": "column"})}
    )
    images = load_federation(config)
    assert images.names == ("a", "b")
    assert [rows.tolist() for rows in images.train] == [[0, 2, 4], [1, 3, 5]]
    assert [rows.tolist() for rows in images.test] == [[6], []]
    assert images.train_cells().tolist() == [[[3, 0]], [[3, 0]]]
    assert len(load_federation(config, iid=True).train) == 2


def test_pictures_are_turned_upright_and_made_rgb(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, ["g.gif,cat,f,o,n,train", "r.jpg,cat,f,o,n,test"])
    Image.new("L", (8, 8), 200).save(folder / "g.gif")
    halves = Image.new("RGB", (8, 8))
    halves.paste((255, 255, 255), (0, 0, 8, 4))  # white above black
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    halves.save(folder / "r.jpg", exif=exif)
    images = load_images(configure(folder)).images
    assert (images[0] == 200).all()
    assert images[1, 1].max() < 30
    assert images[1, 6].min() > 225


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([], {}, r"metadata.csv: no rows below the heading"),
        (["gone.jpg,cat,f,o,n,train"], {}, "row 1 names 'gone.jpg', which is not in"),
        ([*ROWS, ",cat,f,o,n,train"], {}, "row 6 names '', which is not in"),
        ([*ROWS, "5.png,cat"], {}, "row 6 has not the 6 fields"),
        ([*ROWS, "5.png,cat,f,o,n,train,more"], {}, "row 6 has not the 6 fields"),
        (ROWS, {"classes": ["cat"]}, r"row 2 has the label 'dog', .*not in data.classes \(cat\)"),
        (ROWS, {"label": "kind"}, "no column 'kind', which data.label names; there are: file_n"),
        (ROWS, {"sensitive": ["tint"]}, "no column 'tint', .* data.sensitive = \\[\\]"),
        (ROWS, {"client": "hospital"}, "no column 'hospital', which data.client names"),
        ([*ROWS, "5.png,,f,o,n,train"], {}, "label of row 6 is blank"),
        ([*ROWS, "5.png,cat,f,o,,train"], {"client": "site"}, "client of row 6 is blank"),
        ([*ROWS, "5.png,cat,f,o,n,eval"], {}, "row 6 has split = 'eval', expected train or test"),
        ([*ROWS, "1.png,dog,m,o,n,test"], {}, "row 6 names the image of row 2, '1.png'"),
        ([*ROWS, ROWS[0]], {}, "row 6 names the image of row 1, '0.png'"),
        ([*ROWS, "./3.png,dog,f,,south,test"], {}, "row 6 names the image of row 4, '3.png'"),
        (ROWS[:2], {}, "no test rows among 2"),
        (ROWS[2:3], {}, "no training rows among 1"),
    ],
)
def test_an_error_names_the_row(
    tmp_path: Path, rows: list[str], settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_images(configure(write_folder(tmp_path, rows), **settings))


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, ROWS)
    (folder / "3.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="3.png: not a readable image"):
        load_images(configure(folder))
    (folder / "3.png").write_bytes((folder / "1.png").read_bytes()[:45])
    with pytest.raises(InputError, match="3.png: not a readable image"):
        load_images(configure(folder))


def test_a_folder_without_metadata_or_file_names_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="metadata.csv: no such file"):
        load_images(configure(tmp_path))
    write_folder(tmp_path, ["cat,f"], "label,sex")
    with pytest.raises(InputError, match="no column 'file_name'; there are: label, sex"):
        load_images(configure(tmp_path))
    (tmp_path / "metadata.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a CSV file in UTF-8"):
        load_images(configure(tmp_path))


def test_an_image_of_both_folders_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", ["a.png,cat,f", "b.png,dog,m"], "file_name,label,sex")
    write_folder(tmp_path / "test", ["../train/b.png,dog,m"], "file_name,label,sex")
    with pytest.raises(
        InputError, match=r"row 1 names the image of row 2 of .*train.metadata\.csv"
    ):
        load_images(configure(tmp_path))


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("file_name,label,sex,sex", "has several columns 'sex'; rename all but one"),
        ("file_name;label;sex", "separated by semicolons: save it with commas"),
        ("file_name\tlabel\tsex", "separated by tabs: save it with commas"),
    ],
)
def test_a_heading_that_cannot_be_meant_says_why(tmp_path: Path, heading: str, said: str) -> None:
    folder = write_folder(tmp_path, ["0.png,cat,f,m", "1.png,dog,m,f"], heading)
    with pytest.raises(InputError, match=said):
        load_images(configure(folder))
