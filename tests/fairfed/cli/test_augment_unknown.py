"""`fairfed augment` where the bundled models do not know the data: refused, left out, or said."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Command = Callable[..., tuple[int, str]]
Augment = Callable[..., str]
Folder = Callable[..., Path]
WIDE = {("Bag", "red"): 10, ("Bag", "blue"): 8, ("Trouser", "red"): 10}
"""Images enough to test what CLIP sees."""


@pytest.fixture
def foreign(image_folder_of: Folder, tmp_path: Path) -> Path:
    """An image folder whose second class is a disease."""
    folder = image_folder_of(tmp_path / "foreign", WIDE)
    table = folder / "metadata.csv"
    table.write_text(table.read_text().replace(",Trouser,", ",melanoma,"))
    return folder


def _said(fairfed: Command, data: Path, bundled_toml: Path, *further: str) -> tuple[int, str]:
    out = data.parent / "out"
    options = ("--config", bundled_toml, "--out", out, "--set", "semantic.attributes=names")
    code, said = fairfed("augment", data, *options, *further)
    return code, " ".join(said.split())


@pytest.mark.parametrize("step", [("--until", "plan"), ("--preview",), ("--audit-generator",), ()])
def test_a_foreign_class_is_refused_before_the_first_image(
    step: tuple[str, ...], fairfed: Command, foreign: Path, bundled_toml: Path
) -> None:
    code, said = _said(fairfed, foreign, bundled_toml, *step)
    assert code == 2
    assert "class 'melanoma'" in said
    assert "does not know 'melanoma'" in said
    assert "inverting a classifier" in said
    assert "semantic.allow_unknown = true" in said
    assert not (foreign.parent / "out").exists()
    assert not list((foreign.parent / "store").rglob("*.png"))


def test_allowed_it_is_said_in_red_and_written_down(
    fairfed: Command, foreign: Path, bundled_toml: Path
) -> None:
    allowed = ("--set", "semantic.allow_unknown=true", "--until", "plan")
    code, said = _said(fairfed, foreign, bundled_toml, *allowed)
    assert code == 0
    assert "semantic.allow_unknown: class 'melanoma' is called 'melanoma'" in said
    plan = json.loads((foreign.parent / "out" / "plan.json").read_text())
    assert "melanoma" in plan["sight"]["warnings"][0]


def test_a_class_described_in_known_words_is_made(
    fairfed: Command, foreign: Path, bundled_toml: Path, tmp_path: Path
) -> None:
    table = tmp_path / "described.csv"
    table.write_text("class,prompt\nBag,bag\nmelanoma,trouser\n")
    described = ("--set", f"semantic.attributes={table}", "--until", "plan")
    code, said = _said(fairfed, foreign, bundled_toml, *described)
    assert code == 0, said


def test_a_group_that_cannot_be_seen_is_neither_asked_for_nor_claimed(
    augment: Augment, image_folder_of: Folder, tmp_path: Path
) -> None:
    data, out = image_folder_of(tmp_path / "wide", WIDE), tmp_path / "out"
    settings = ('data.sensitive=["light"]', 'synthesis.classes=["Dress"]', "synthesis.per_class=4")
    said = " ".join(augment(data, out, *settings, until="export").split())
    assert "light: the generator does not know 'dim'" in said
    assert "Its cells can be made only by what carries it" in said
    with (out / "dataset" / "metadata.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    made = [row for row in rows if row["synthetic"] == "true"]
    assert [(row["label"], row["light"]) for row in made] == [("Dress", "")] * 4
    assert {row["prompt"] for row in made} == {"a photo of a dress"}
    assert {row["light"] for row in rows if row["synthetic"] == "false"} == {"bright", "dim"}


def test_a_group_that_cannot_be_seen_comes_from_own_images_of_it(
    augment: Augment, image_folder_of: Folder, tmp_path: Path
) -> None:
    data, out = image_folder_of(tmp_path / "wide", WIDE), tmp_path / "out"
    settings = ('data.sensitive=["light"]', "conditioning.start_from_real=true",
                "synthesis.cell_target=21")  # fmt: skip
    said = " ".join(augment(data, out, *settings, until="export").split())
    assert "short, from own images" in said
    quality = json.loads((out / "quality.json").read_text())
    assert quality["sight"]["remarks"][0].startswith("light: ")
    assert {trial["verdict"] for trial in quality["trial"]["classes"]} <= {"knows", "not tried"}
    with (out / "dataset" / "metadata.csv").open(newline="") as lines:
        made = [row for row in csv.DictReader(lines) if row["synthetic"] == "true"]
    assert {row["light"] for row in made} == {"bright", "dim"}
    assert not any("dim" in row["prompt"] or "bright" in row["prompt"] for row in made)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ('semantic.templates=["a {style} {noun}"]', "has the field {style}; there are {noun}"),
        ('semantic.templates=["a { {noun}"]', "cannot be read"),
        ("data.image_size=64", "data.image_size is 64, and the bundled generator"),
        ('semantic.templates=["a photo of a red {noun} and a ' + "red " * 90 + '"]', "tokens"),
        ('semantic.templates=["a sketch of a {noun}"]', "does not know 'sketch'"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_the_plan(
    setting: str, words: str, fairfed: Command, folder: Path, bundled_toml: Path, tmp_path: Path
) -> None:
    options = ("--config", bundled_toml, "--out", tmp_path / "out", "--set", setting)
    code, said = fairfed("augment", folder, *options)
    assert code == 2
    assert words in " ".join(said.split())
    assert not (tmp_path / "out").exists()


def test_nothing_accepted_is_an_error_with_its_reason(
    fairfed: Command, folder: Path, bundled_toml: Path, tmp_path: Path
) -> None:
    strict = ("--set", 'curation.checks=["margin"]', "--set", "curation.margin=1000",
              "--set", "curation.minimum=1000")  # fmt: skip
    options = ("--config", bundled_toml, "--out", tmp_path / "out", *strict)
    code, said = fairfed("augment", folder, *options)
    said = " ".join(said.split())
    assert code == 1
    assert "none of the 6 images asked for could be made: all were rejected (12 margin)" in said
    assert "more tries would not change that" in said
    assert "Raise curation.max_tries" not in said
    assert np.isfinite(json.loads((tmp_path / "out" / "curation.json").read_text())["short"])
