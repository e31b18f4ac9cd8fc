"""What a site holds becomes a table of the federation, whatever its layout; no row gets lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.config import TableConfig
from fairfed.config.labels import LabelSpace
from fairfed.config.site import SiteConfig
from fairfed.data import load_images
from fairfed.sites.checking import own_space
from fairfed.sites.local_data import load_site_data
from semantic.errors import InputError
from tests.fairfed.data.folders import configure, noise

LABELS = LabelSpace(classes=("shoe", "bag", "hat"), sensitive={"tint": ("red", "blue")},
                    image_size=8)  # fmt: skip


def site(source: Path, **data: object) -> SiteConfig:
    return SiteConfig.model_validate({"name": "n", "data": {"source": str(source), **data}})


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(seed)).save(path)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Class folders: 4 of `Schuh` and 1 of `Tasche` to train on, 1 each to test on; 2 `Rest`."""
    seed = 0
    for part, name, count in [
        ("train", "Schuh", 4), ("train", "Tasche", 1), ("train", "Rest", 2),
        ("test", "Schuh", 1), ("test", "Tasche", 1),
    ]:  # fmt: skip
        for number in range(count):
            seed += 1
            picture(tmp_path / "a" / part / name / f"{number}.png", seed)
    return tmp_path / "a"


GERMAN = {"Schuh": "shoe", "Tasche": "bag", "Rest": ""}


def test_class_folders_without_a_sensitive_column(folders: Path) -> None:
    table, report = load_site_data(site(folders, labels=GERMAN), LABELS, 0)
    assert table.classes == ("shoe", "bag", "hat")
    assert table.group_names == ("red", "blue", "missing")
    assert report.train == ((0, 0, 4), (0, 0, 1), (0, 0, 0))
    assert report.test == ((0, 0, 1), (0, 0, 1), (0, 0, 0))
    assert (report.read, report.used, report.emptied) == (9, 7, {"Rest": 2})
    assert report.lines() == [
        "7 of 9 images are used; not the others: 2 with a label that data.labels leaves out",
        "data.labels: Schuh → shoe, Tasche → bag",
        "labels that data.labels leaves out: 'Rest' (2)",
        "no column for tint: all images count as missing",
    ]


def test_images_are_those_of_a_simulation_with_the_same_rows(folders: Path) -> None:
    found, _ = load_site_data(site(folders, labels=GERMAN), LABELS, 0)
    simulated = load_images(configure(folders))
    chosen = simulated.labels != simulated.classes.index("Rest")
    assert np.array_equal(found.images, simulated.images[chosen])
    assert np.array_equal(found.test, simulated.test[chosen])
    assert np.array_equal(found.rows, simulated.rows[chosen])


def table_of(folder: Path, rows: list[dict[str, object]]) -> Path:
    for number in range(len(rows)):
        picture(folder / f"{number}.png", 100 + number)
    lines = (json.dumps({"file_name": f"{n}.png", **row}) for n, row in enumerate(rows))
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_table_with_numbers_for_labels_and_its_own_sensitive_column(tmp_path: Path) -> None:
    rows = [
        {"dx": 1, "farbe": "rot", "split": "train"},
        {"dx": 2, "farbe": "blau", "split": "train"},
        {"dx": 9, "farbe": "blau", "split": "train"},
        {"dx": 2, "farbe": None, "split": "test"},
        {"dx": 1, "farbe": "blue", "split": "val"},
    ]
    data = {
        "label": "dx", "sensitive": {"tint": "farbe"}, "labels": {"1": "hat", "2": "shoe"},
        "groups": {"tint": {"rot": "red", "blau": "blue"}}, "unknown": "drop",
    }  # fmt: skip
    table, report = load_site_data(site(table_of(tmp_path / "b", rows), **data), LABELS, 0)
    assert table.labels.tolist() == [2, 0, 0]
    assert table.groups.tolist() == [0, 1, 2]
    assert table.rows.tolist() == [0, 1, 3]
    assert report.left_out["for validation"] == 1
    assert report.unknown == {"9": 1}
    assert report.used == len(table) == 3


def test_a_wrong_label_names_the_row_of_the_file(tmp_path: Path) -> None:
    rows = [{"label": name, "split": "train"} for name in ("shoe", "shoo")]
    with pytest.raises(InputError, match=r"(?s)metadata.jsonl.*'shoo' in 1 row \(.*row 2\).*shoe"):
        load_site_data(site(table_of(tmp_path / "b", rows)), LABELS, 0)


def test_unreadable_files_and_copies_are_counted(tmp_path: Path) -> None:
    folder = table_of(tmp_path / "b", [{"label": "shoe"}] * 200 + [{"label": "bag"}] * 6)
    (folder / "3.png").write_bytes(b"no image")
    (folder / "8.png").write_bytes(b"")
    (folder / "7.png").write_bytes((folder / "6.png").read_bytes())
    table, report = load_site_data(site(folder, duplicates="drop"), LABELS, 0)
    assert report.left_out["unreadable"] == 2
    assert report.left_out["copies"] == 1
    assert report.used == len(table) == 203
    with pytest.raises(InputError, match="2 of 206 images cannot be read; replace"):
        load_site_data(site(folder, unreadable="error"), LABELS, 0)


def test_cut_points_make_the_groups_of_a_number(tmp_path: Path) -> None:
    labels = LabelSpace(classes=("shoe",), sensitive={"age": ("young", "old")}, image_size=8)
    rows = [{"label": "shoe", "alter": age, "split": "train"} for age in (20, 60, 61, None)]
    rows.append({"label": "shoe", "alter": 60, "split": "test"})
    data = {
        "sensitive": {"age": "alter"}, "table": {"groups": {"alter": [60.0]}},
        "groups": {"age": {"< 60": "young", "≥ 60": "old"}},
    }  # fmt: skip
    table, _ = load_site_data(site(table_of(tmp_path / "b", rows), **data), labels, 0)
    assert table.groups.tolist() == [0, 1, 1, 2, 1]


def test_the_word_missing_is_no_value(tmp_path: Path) -> None:
    rows = [{"label": "shoe", "tint": t, "split": s} for t, s in
            [("missing", "train"), ("red", "train"), ("", "test")]]  # fmt: skip
    data = {"sensitive": {"tint": "tint"}}
    table, report = load_site_data(site(table_of(tmp_path / "b", rows), **data), LABELS, 0)
    assert table.groups.tolist() == [2, 0, 2]
    assert report.missing == {"tint": {}}
    _, own = own_space(site(tmp_path / "b", **data))
    assert own.sensitive == {"tint": ("red",)}


def test_names_that_cannot_be_a_space_of_their_own_are_one_message(tmp_path: Path) -> None:
    folder = table_of(tmp_path / "b", [{"label": "a × b"}])
    with pytest.raises(InputError, match="write it otherwise, as 'a x b'"):
        own_space(site(folder))
    folder = table_of(tmp_path / "c", [{"label": ""}])
    with pytest.raises(InputError, match="no row has a label in column 'label'"):
        own_space(site(folder))
    with pytest.raises(InputError, match="column 'label' has no value in any row"):
        own_space(site(table_of(tmp_path / "d", [{"label": "", "dx": "a"}]), label="dx",
                       sensitive={"tint": "label"}))  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"sensitive": {"skin": "dx"}}, r"no sensitive column 'skin' \(there are: tint\)"),
        ({"sensitive": {"tint": "farbe"}}, "no column 'farbe', which data.sensitive names"),
        ({"label": "dy"}, "no column 'dy', which data.label names"),
    ],
)
def test_columns_that_are_not_there_are_named(tmp_path: Path, data: dict, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_site_data(site(table_of(tmp_path / "b", [{"label": "shoe"}]), **data), LABELS, 0)


PEOPLE = LabelSpace(kind="table", classes=("stays", "leaves"), sensitive={"sex": ("f", "m")})
SCHEMA = TableConfig(numeric=("age",), categorical=("sex", "job"))


def write_people(path: Path, gender: bool) -> Path:
    heading = "alter,job,weg,split" + (",gender" if gender else "")
    lines = [
        f"{20 + n},{'cook' if n % 2 else '?'},{'ja' if n % 3 else 'nein'},"
        f"{'test' if n > 6 else 'train'}" + (f",{'wm'[n % 2]}" if gender else "")
        for n in range(10)
    ]
    path.write_text("\n".join([heading, *lines]), encoding="utf-8")
    return path


OWN = {"label": "weg", "labels": {"ja": "leaves", "nein": "stays"}, "columns": {"age": "alter"}}


def test_a_table_takes_the_federations_names_of_columns_classes_and_groups(tmp_path: Path) -> None:
    data = OWN | {
        "sensitive": {"sex": "gender"}, "groups": {"sex": {"w": "f"}}, "table": {"validation": 0.0}
    }  # fmt: skip
    path = write_people(tmp_path / "a.csv", gender=True)
    table, report = load_site_data(site(path, **data), PEOPLE, 0, SCHEMA)
    assert list(table.features) == ["age", "sex", "job"]
    assert table.features["sex"].tolist() == ["f", "m"] * 5
    assert table.features["age"].tolist() == [20.0 + n for n in range(10)]
    assert table.labels.tolist() == [0, 1, 1, 0, 1, 1, 0, 1, 1, 0]
    assert table.groups.tolist() == [0, 1] * 5
    assert (report.unit, report.read, report.used) == ("rows", 10, 10)


def test_a_table_without_the_sensitive_column_has_it_missing(tmp_path: Path) -> None:
    path = write_people(tmp_path / "a.csv", gender=False)
    table, report = load_site_data(site(path, **OWN), PEOPLE, 0, SCHEMA)
    assert table.features["sex"].isna().all()
    assert set(table.groups.tolist()) == {2}
    assert report.lacking == ("sex",)


def test_rows_that_are_dropped_do_not_move_the_numbers_in_errors(tmp_path: Path) -> None:
    path = write_people(tmp_path / "a.csv", gender=False)
    text = path.read_text(encoding="utf-8").replace("27,", "old,").replace("nein", "wer weiß")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="row 8 has age = 'old', expected a number"):
        load_site_data(site(path, **OWN, unknown="drop"), PEOPLE, 0, SCHEMA)


def test_the_federations_kind_of_rows_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a table, and the federation's rows are those of a so"):
        load_site_data(site(tmp_path / "a.csv"), LABELS, 0)
    with pytest.raises(InputError, match="is a source of images, and the federation's rows are"):
        load_site_data(site(tmp_path), PEOPLE, 0)
