"""The data that is augmented."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.augmentation.source import load_source
from fairfed.cli.semantic_site import prototype_sums
from fairfed.config import PipelineConfig
from semantic.errors import InputError

Configured = Callable[..., PipelineConfig]


@pytest.fixture
def folder(image_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(image_folder, tmp_path / "folder"))


def test_declared_classes_and_groups_have_no_images(augmentation: Configured) -> None:
    source = load_source(augmentation('synthesis.groups=["x"]'))
    assert source.table.classes == ("bag", "coat", "dress", "hat")
    assert source.table.group_names == ("f", "m", "x")
    assert source.cells.tolist() == [[16, 8, 0]] * 3 + [[0, 0, 0]]
    assert len(source.train) + len(source.test) == 96


def test_a_group_with_too_many_values_is_refused(augmentation: Configured) -> None:
    with pytest.raises(InputError, match=r"synthesis\.groups: 'x × y' has 2 values"):
        load_source(augmentation('synthesis.groups=["x × y"]'))


def test_a_changed_pixel_or_label_changes_the_digest(
    augmentation: Configured, folder: Path
) -> None:
    config = augmentation(f"data.source={folder}")
    before = load_source(config).digest
    assert load_source(config).digest == before
    shutil.copy(folder / "1.png", folder / "0.png")
    changed = load_source(config).digest
    text = (folder / "metadata.csv").read_text()
    (folder / "metadata.csv").write_text(text.replace("0.png,bag,f", "0.png,coat,f", 1))
    assert len({before, changed, load_source(config).digest}) == 3


def test_synthetic_rows_are_never_taken_for_real_ones(
    augmentation: Configured, folder: Path
) -> None:
    lines = (folder / "metadata.csv").read_text().splitlines()
    marked = [f"{lines[0]},synthetic", *(f"{line},false" for line in lines[1:])]
    (folder / "metadata.csv").write_text("\n".join(marked))
    assert len(load_source(augmentation(f"data.source={folder}")).table) == 96
    marked[3] = marked[3].replace("false", "True")
    (folder / "metadata.csv").write_text("\n".join(marked))
    with pytest.raises(InputError, match="row 3 is synthetic"):
        load_source(augmentation(f"data.source={folder}"))


def test_what_is_said_of_classes_alone_needs_no_groups(augmentation: Configured) -> None:
    declared = 'data.classes=["bag", "coat", "dress"]'
    config = augmentation(declared, 'data.table.groups={sex=["f"]}')
    assert load_source(config).table.group_names == ("f", "other")
    assert prototype_sums(config, "class").names == ("bag", "coat", "dress", "hat")
