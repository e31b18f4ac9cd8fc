"""`fairfed augment` on other kinds of data: Hugging Face data sets, crossed groups, bad tables."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

Augment = Callable[..., str]
Command = Callable[..., tuple[int, str]]


def _metadata(out: Path) -> list[dict[str, str]]:
    with (out / "dataset" / "metadata.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_a_hugging_face_data_set_is_augmented_and_its_files_copied(
    augment: Augment, folder: Path, tmp_path: Path
) -> None:
    import datasets

    with (folder / "metadata.csv").open(newline="") as lines:
        listed = list(csv.DictReader(lines))
    originals = [(folder / row["file_name"]).read_bytes() for row in listed]
    columns = {name: [row[name] for row in listed] for name in ("label", "tint", "split")}
    images = [{"bytes": content, "path": None} for content in originals]
    made = datasets.Dataset.from_dict({"image": images, **columns})
    made.cast_column("image", datasets.Image()).save_to_disk(tmp_path / "saved")
    augment(f"hf:{tmp_path / 'saved'}", tmp_path / "out", until="export")
    rows = _metadata(tmp_path / "out")
    real = [row for row in rows if row["synthetic"] == "false"]
    files = [tmp_path / "out" / "dataset" / row["file_name"] for row in real]
    assert [file.read_bytes() for file in files] == originals
    assert [(row["label"], row["tint"]) for row in real] == [
        (row["label"], row["tint"]) for row in listed
    ]
    # Two for the short cell, four for the missing one.
    assert len(rows) - len(real) == 6


def test_two_sensitive_columns_are_crossed_and_split_again(
    augment: Augment, folder: Path, tmp_path: Path
) -> None:
    sensitive = 'data.sensitive=["tint", "light"]'
    settings = sensitive, "synthesis.cell_target=2", "semantic.allow_unknown=true"
    said = augment(folder, tmp_path / "out", *settings, until="export")
    assert "Bag × blue × bright" in said
    made = [row for row in _metadata(tmp_path / "out") if row["synthetic"] == "true"]
    found = [(row["label"], row["tint"], row["light"]) for row in made]
    assert sorted(set(found)) == [
        ("Bag", "blue", "bright"), ("Bag", "blue", "dim"),
        ("Trouser", "blue", "bright"), ("Trouser", "blue", "dim"),
    ]  # fmt: skip
    assert len(found) == 1 + 1 + 2 + 2
    prompts = {row["tint"] + row["light"]: row["prompt"] for row in made}
    assert "blue" in prompts["bluedim"]
    assert "dim" in prompts["bluedim"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("class,prompt,soft\nBag,bag,0\n", "class 'Trouser' is in no row"),
        (f"class,prompt,soft\nBag,bag,0\nTrouser,{'long ' * 90},1\n", "tokens"),
    ],
)
def test_a_class_without_a_prompt_or_with_too_long_a_one_is_an_error(
    fairfed: Command,
    bundled_toml: Path,
    folder: Path,
    tmp_path: Path,
    table: str,
    said: str,
) -> None:
    (tmp_path / "table.csv").write_text(table)
    code, shown = fairfed(
        "augment", folder, "--config", bundled_toml, "--out", tmp_path / "out",
        "--set", f'semantic.attributes="{tmp_path / "table.csv"}"',
    )  # fmt: skip
    assert code == 2
    assert said in shown
    assert not (tmp_path / "out").exists()


def test_help_describes_the_argument(fairfed: Command) -> None:
    code, said = fairfed("augment", "--help")
    assert code == 0
    assert "Image folder with metadata.csv" in said
