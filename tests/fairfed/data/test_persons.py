"""`data.split_by`: all rows of one person train, or all of them test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fairfed.config import parse_config
from fairfed.config.labels import found_space
from fairfed.config.site import load_site
from fairfed.data import load_images
from fairfed.data.tables import load_rows
from fairfed.sites.local_data import load_site_data
from semantic.errors import InputError
from tests.fairfed.data.folders import configure, noises, write

BY = 'data.split_by = "patient"'


def _folder(tmp_path: Path, *, split: bool = False) -> tuple[Path, list[str]]:
    """Sixty images of two classes and fifteen patients, who have four each; the last none."""
    images = noises(60)
    folder = write(tmp_path / "images", images, ["a", "b"])
    table = pd.read_csv(folder / "metadata.csv")
    table["patient"] = [f"p{row // 4}" if row < 56 else "" for row in range(60)]
    table = table if split else table.drop(columns="split")
    table.to_csv(folder / "metadata.csv", index=False)
    return folder, table["patient"].tolist()


def test_a_persons_images_are_on_one_side(tmp_path: Path) -> None:
    folder, persons = _folder(tmp_path)
    table = load_images(configure(folder, BY))
    sides = {(p, t) for p, t in zip(persons, table.test.tolist(), strict=True) if p}
    assert len(sides) == 14
    assert 8 <= table.test.sum() <= 16
    assert abs(table.labels[table.test].mean() - 0.5) < 0.1
    again = load_images(configure(folder, BY))
    assert np.array_equal(table.test, again.test)


def test_a_sites_too(tmp_path: Path) -> None:
    folder, persons = _folder(tmp_path)
    path = tmp_path / "site.toml"
    path.write_text(f'name = "x"\n[data]\nsource = "{folder}"\nsplit_by = "patient"\n')
    labels = found_space(("a", "b"), ("all",), (), "images", 8)
    table, _ = load_site_data(load_site(path), labels, 0)
    assert len({(p, t) for p, t in zip(persons, table.test.tolist(), strict=True) if p}) == 14


def test_a_division_of_the_data_that_cuts_persons_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = _folder(tmp_path, split=True)
    table = pd.read_csv(folder / "metadata.csv")
    table.loc[0, "split"] = "test"
    table.to_csv(folder / "metadata.csv", index=False)
    load_images(configure(folder, BY))
    assert "1 of 18 persons (data.split_by) have both training and test rows" in caplog.text


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    folder, _ = _folder(tmp_path)
    with pytest.raises(InputError, match=r"no column 'patiant', which data\.split_by names"):
        load_images(configure(folder, 'data.split_by = "patiant"'))
    table = pd.read_csv(folder / "metadata.csv")
    table["patient"] = [f"p{row % 3}" for row in range(60)]
    table.to_csv(folder / "metadata.csv", index=False)
    with pytest.raises(InputError, match=r"split_by: 3 persons, and setting a fifth aside takes 5"):
        load_images(configure(folder, BY))


def test_rows_of_a_table_go_by_person(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 80, 200),
            "person": rng.integers(0, 40, 200),
            "label": rng.integers(0, 2, 200),
        }
    )
    frame.to_csv(tmp_path / "x.csv", index=False)
    text = f'data = {{ source = "{tmp_path}/x.csv", sensitive = [], split_by = "person" }}'
    config = parse_config(text + '\nmodel = "logistic"', "x", ("partition.clients = 2",))
    table = load_rows(config).table
    sides = set(zip(frame["person"].tolist(), table.test.tolist(), strict=True))
    assert len(sides) == frame["person"].nunique()
    assert 0.2 < table.test.mean() < 0.7


def test_without_a_division_groups_share_a_fifth_of_every_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = _folder(tmp_path)
    table = pd.read_csv(folder / "metadata.csv")
    table["sex"] = ["f" if row // 2 % 3 == 0 else "m" for row in range(60)]
    table.to_csv(folder / "metadata.csv", index=False)
    found = load_images(configure(folder, 'data.sensitive = ["sex"]'))
    assert found.cells(np.flatnonzero(found.test)).tolist() == [[2, 4], [2, 4]]
    assert "12 of 60 are set aside, a fifth of each class" in caplog.text
