"""The image folder that comes out: real images untouched, synthetic ones marked."""

from __future__ import annotations

import csv
import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fairfed.augmentation.export import export
from fairfed.augmentation.source import load_source
from fairfed.config import PipelineConfig
from fairfed.data import ImageTable, load_images
from generators.requests import Request
from generators.store import ImageStore
from semantic.errors import InputError
from semantic.space import Cell

Configured = Callable[..., PipelineConfig]
CELLS = (Cell("hat", "f"), Cell("test", "m"), Cell("hat", "m"))
BIG = 2**63 - 25


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store", "maker")


@pytest.fixture
def accepted(store: ImageStore) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    rows = []
    for i, cell in enumerate(CELLS):
        image = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
        request = Request(cell, f"a photo of a {cell.class_name}", BIG + i)
        rows.append(asdict(store.put(request, image, scorer="s", score=0.5, margin=1.0)))
    return rows


def _hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _metadata(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


# `datasets` leaves the file open.
@pytest.mark.filterwarnings("ignore:unclosed file.*metadata.csv:ResourceWarning")
def test_datasets_reads_real_and_synthetic_together(
    augmentation: Configured, store: ImageStore, accepted: list[dict[str, Any]], tmp_path: Path
) -> None:
    import datasets

    config = augmentation()
    counts = export(config, load_source(config), accepted, store, tmp_path / "dataset")
    assert counts == {"train real": 72, "train synthetic": 3, "test real": 24}
    found = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache")
    )
    assert {name: part.num_rows for name, part in found.items()} == {"train": 99}
    made = found["train"].filter(lambda row: row["synthetic"])
    assert set(zip(made["label"], made["sex"], strict=True)) == {
        (cell.class_name, cell.group) for cell in CELLS
    }
    assert sorted(int(seed, 0) for seed in made["seed"]) == [BIG, BIG + 1, BIG + 2]
    assert set(made["split"]) == {"train"}
    assert np.asarray(made[0]["image"]).shape == (16, 16, 3)


def _read_back(config: PipelineConfig, folder: Path, **data: object) -> ImageTable:
    changed = config.data.model_copy(update={"source": str(folder), **data})
    return load_images(config.model_copy(update={"data": changed}))


def test_fairfed_reads_the_real_images_back_and_no_synthetic_one_by_itself(
    augmentation: Configured,
    store: ImageStore,
    accepted: list[dict[str, Any]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    config, folder = augmentation(), tmp_path / "dataset"
    source = load_source(config)
    export(config, source, accepted, store, folder)
    table = _read_back(config, folder)
    assert "3 of 99 rows are marked 'synthetic' and are left out" in caplog.text
    assert table.classes == ("bag", "coat", "dress")
    assert np.array_equal(table.images, source.table.images)
    assert np.array_equal(table.test, source.table.test)
    asked = _read_back(config, folder, synthetic="train")
    assert len(asked) == 99
    assert asked.classes == ("bag", "coat", "dress", "hat", "test")
    assert not asked.test[96:].any()
    with pytest.raises(InputError, match=r"row 97 is synthetic \(column 'synthetic'\)"):
        _read_back(config, folder, synthetic="error")


def test_synthetic_images_are_no_client_and_no_test_images(
    augmentation: Configured, store: ImageStore, accepted: list[dict[str, Any]], tmp_path: Path
) -> None:
    config, folder = augmentation('data.client="site"'), tmp_path / "dataset"
    export(config, load_source(config), accepted, store, folder)
    assert set(_read_back(config, folder).clients or ()) == {"a", "b", "c"}
    with pytest.raises(InputError, match="are no client's; leave them out"):
        _read_back(config, folder, synthetic="train")
    # Without a split, a fifth of the real images tests, and of the synthetic ones none.
    drawn = _read_back(config, folder, synthetic="train", client=None, split="none")
    assert drawn.test[:96].sum() > 0
    assert not drawn.test[96:].any()


@pytest.mark.parametrize("name", ["score", "prompt", "seed", "generator", "original", "synthetic"])
def test_a_column_of_the_users_keeps_its_values_whatever_its_name(
    augmentation: Configured,
    store: ImageStore,
    accepted: list[dict[str, Any]],
    image_folder: Path,
    tmp_path: Path,
    name: str,
) -> None:
    lines = (image_folder / "metadata.csv").read_text().splitlines()
    head = lines[0].replace("label", name)
    rows = [f"{head},patient", *(f"{image_folder}/{r},p{i}" for i, r in enumerate(lines[1:]))]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    config = augmentation(f"data.source={tmp_path}", f"data.label={name}")
    export(config, load_source(config), accepted, store, tmp_path / "dataset")
    found = _metadata(tmp_path / "dataset")
    assert [row[name] for row in found[:96]] == [line.split(",")[1] for line in lines[1:]]
    assert [row["patient"] for row in found] == [f"p{i}" for i in range(96)] + [""] * 3
    assert [row["site"] for row in found[:96]] == [line.split(",")[3] for line in lines[1:]]
    original = "fairfed_original" if name == "original" else "original"
    assert found[5][original] == f"{image_folder}/5.png"
    ours = "fairfed_synthetic" if name == "synthetic" else "synthetic"
    assert [row[ours] for row in found] == ["false"] * 96 + ["true"] * 3
    assert len(_read_back(config, tmp_path / "dataset")) == 96


def test_a_group_called_all_keeps_its_name(
    augmentation: Configured, store: ImageStore, image_folder: Path, tmp_path: Path
) -> None:
    text = (image_folder / "metadata.csv").read_text().replace(",f,", ",all,")
    rows = text.replace(",m,", ",all,").splitlines()
    rows = [rows[0], *(f"{image_folder}/{row}" for row in rows[1:])]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    config = augmentation(f"data.source={tmp_path}")
    image = np.full((16, 16, 3), 9, np.uint8)
    request = Request(Cell("hat", "all"), "a hat", 1)
    entry = asdict(store.put(request, image, scorer="s", score=0.5, margin=1.0))
    export(config, load_source(config), [entry], store, tmp_path / "dataset")
    assert {row["sex"] for row in _metadata(tmp_path / "dataset")} == {"all"}


def test_a_full_disk_names_the_file(
    augmentation: Configured,
    store: ImageStore,
    accepted: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = augmentation()
    source = load_source(config)

    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"real/0000000\.png cannot be written \(No space left"):
        export(config, source, accepted, store, tmp_path / "dataset")


def test_files_are_copied_byte_for_byte_and_sources_left_alone(
    augmentation: Configured,
    store: ImageStore,
    accepted: list[dict[str, Any]],
    image_folder: Path,
    tmp_path: Path,
) -> None:
    config = augmentation()
    before = _hashes(image_folder)
    export(config, load_source(config), accepted, store, tmp_path / "dataset")
    after = _hashes(tmp_path / "dataset")
    assert _hashes(image_folder) == before
    copies = [value for name, value in after.items() if name.startswith("real/")]
    assert sorted(copies) == sorted(v for name, v in before.items() if name.endswith(".png"))
    for row in _metadata(tmp_path / "dataset"):
        if row["synthetic"] == "true":
            with Image.open(tmp_path / "dataset" / row["file_name"]) as image:
                assert image.text["synthetic"] == "true"
                assert image.text["prompt"] == row["prompt"]
                assert int(image.text["seed"]) == int(row["seed"], 0)


def test_exporting_again_gives_the_same_bytes_whatever_an_interruption_left(
    augmentation: Configured, store: ImageStore, accepted: list[dict[str, Any]], tmp_path: Path
) -> None:
    config = augmentation()
    source = load_source(config)
    export(config, source, accepted, store, tmp_path / "dataset")
    first = _hashes(tmp_path / "dataset")
    for rest in ("dataset.part", "dataset.old"):
        (tmp_path / rest / "train").mkdir(parents=True)
        (tmp_path / rest / "train" / "half.png").write_bytes(b"half")
    export(config, source, accepted, store, tmp_path / "dataset")
    assert _hashes(tmp_path / "dataset") == first
    assert not list(tmp_path.glob("dataset.*"))


def test_crossed_groups_and_clients_get_their_own_columns(
    augmentation: Configured, store: ImageStore, image_folder: Path, tmp_path: Path
) -> None:
    settings = ['data.sensitive=["sex", "light"]', 'data.client="site"', f"data.source={tmp_path}"]
    lines = (image_folder / "metadata.csv").read_text().splitlines()
    rows = [f"{lines[0]},light", *(f"{image_folder}/{line}," for line in lines[1:])]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    config = augmentation(*settings)
    source = load_source(config)
    assert source.table.group_names == ("f × missing", "m × missing")
    request = Request(Cell("hat", "f × dim"), "a dim hat", 1)
    image = np.full((16, 16, 3), 9, np.uint8)
    entry = asdict(store.put(request, image, scorer="s", score=0.5, margin=1.0))
    export(config, source, [entry], store, tmp_path / "dataset")
    found = _metadata(tmp_path / "dataset")
    real, made = found[0], found[-1]
    assert (real["sex"], real["light"], real["site"], real["synthetic"]) == ("f", "", "a", "false")
    assert (made["sex"], made["light"], made["site"], made["synthetic"]) == (
        "f", "dim", "synthetic", "true",
    )  # fmt: skip


def test_an_image_that_is_gone_or_an_empty_export_says_what_to_do(
    augmentation: Configured, store: ImageStore, accepted: list[dict[str, Any]], tmp_path: Path
) -> None:
    config = augmentation('export.real="none"')
    source = load_source(config)
    with pytest.raises(InputError, match="nothing to export"):
        export(config, source, [], store, tmp_path / "dataset")
    store.path_of(accepted[1]["key"]).unlink()
    with pytest.raises(InputError, match="run the step 'curate' again"):
        export(config, source, accepted, store, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()
