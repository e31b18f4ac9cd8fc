"""Hugging Face datasets: splits, class names, and a clear error without a network."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from fairfed.config import Config, PipelineConfig, parse_config
from fairfed.data import load_images
from semantic.errors import InputError


def rows(labels: list[int], **columns: Any) -> datasets.Dataset:
    features = {
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=["cat", "dog"]),
        **{name: datasets.Value("string") for name in columns},
    }
    images = [Image.new("L", (10, 10), 20 * row) for row in range(len(labels))]
    values = {"image": images, "label": labels, **columns}
    return datasets.Dataset.from_dict(values, features=datasets.Features(features))


def config(name: object, **data: object) -> Config:
    settings = {"source": f"hf:{name}", "sensitive": [], "image_size": 8} | data
    return parse_config("\n".join(f"data.{k} = {v!r}" for k, v in settings.items()), "x")


def test_a_saved_dataset_with_train_and_test(tmp_path: Path) -> None:
    both = datasets.DatasetDict(
        train=rows([1, 0, 1], sex=["f", None, "m"]), test=rows([0], sex=["m"])
    )
    both.save_to_disk(str(tmp_path / "copy"))
    table = load_images(config(tmp_path / "copy", sensitive=["sex"]))
    assert table.classes == ("cat", "dog")
    assert table.labels.tolist() == [1, 0, 1, 0]
    assert table.test.tolist() == [False, False, False, True]
    assert [table.group_names[group] for group in table.groups] == ["f", "missing", "m", "m"]
    assert table.images[2].tolist() == np.full((8, 8, 3), 40).tolist()


def test_one_split_is_divided_by_its_column_or_by_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = rows([0] * 5 + [1] * 5, fold=["train", "TEST"] * 5)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: datasets.DatasetDict(train=one))
    assert load_images(config("pets", split="fold")).test.tolist() == [False, True] * 5
    assert load_images(config("pets")).test.sum() == 2


def test_missing_columns_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"train": rows([0, 1])})
    with pytest.raises(InputError, match="no column 'photo', which data.image_column names"):
        load_images(config("pets", image_column="photo"))
    with pytest.raises(InputError, match="no column 'sex', which data.sensitive names"):
        load_images(config("pets", sensitive=["sex"]))


def test_without_a_network_the_error_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str) -> None:
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(InputError, match=r"'pets' cannot be loaded .*\n.*save_to_disk\('copy'\)"):
        load_images(config("pets"))


def test_a_validation_split_is_said_and_used_as_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parts = {"test": rows([0] * 2), "validation": rows([1] * 3), "train": rows([0, 1]),
             "unsupervised": rows([1])}  # fmt: skip
    monkeypatch.setattr(datasets, "load_dataset", lambda name: datasets.DatasetDict(parts))
    table = load_images(config("three-parts"))
    assert table.labels.tolist() == [0, 1, 0, 0]
    assert table.test.tolist() == [False, False, True, True]
    assert "3 of 7 rows are for validation; they are neither trained" in caplog.text
    assert "the splits unsupervised are not used" in caplog.text
    table = load_images(config("three-parts", validation="train"))
    assert table.labels.tolist() == [0, 1, 1, 1, 1, 0, 0]
    assert table.test.tolist() == [False] * 5 + [True] * 2
    del parts["test"]
    table = load_images(config("three-parts"))
    assert table.test.tolist() == [False, False, True, True, True]


def test_what_is_no_image_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    good = datasets.Image().encode_example(Image.new("L", (10, 10), 9))
    images = [good, {"bytes": b"no image", "path": None}, None]
    made = datasets.Dataset.from_dict({"image": images, "label": ["a"] * 3, "n": [1, 2, 3]})
    made = made.cast_column("image", datasets.Image())
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"train": made})
    with pytest.raises(
        InputError, match=r"2 of 3 images cannot(.|\n)*row 2: not a(.|\n)*row 3: no"
    ):
        load_images(config("broken", sensitive=["n"]))
    with pytest.raises(InputError, match="column 'n' holds no images"):
        load_images(config("broken", image_column="n"))


def test_deep_images_of_a_dataset_have_a_window(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deep = rows([0] * 5)
    images = [Image.fromarray(np.full((8, 8), 200 * n, np.uint16)) for n in range(5)]
    deep = datasets.Dataset.from_dict({"image": images, "label": deep["label"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda name: datasets.DatasetDict(train=deep))
    found = load_images(config("deep")).images[:, 0, 0, 0]
    assert found.tolist() == [round(255 * 200 * n / 1023) for n in range(5)]
    assert "values from 0 to 1023" in caplog.text


def test_a_parquet_file_of_images_whoever_wrote_it(tmp_path: Path) -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    whole = {"image": [{"bytes": buffer.getvalue(), "path": None}] * 6, "label": ["a", "b"] * 3}
    pyarrow.parquet.write_table(pyarrow.table(whole), tmp_path / "x.parquet")
    table = load_images(config(tmp_path / "x.parquet", duplicates="keep"))
    assert table.classes == ("a", "b")
    assert table.images[0, 0, 0].tolist() == [255, 0, 0]
    with pytest.raises(InputError, match=r"a table; images are needed here .*'hf:' before"):
        load_images(PipelineConfig.model_validate({"data": {"source": f"{tmp_path}/x.parquet"}}))
