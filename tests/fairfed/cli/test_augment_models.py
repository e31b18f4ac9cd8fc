"""`fairfed augment` with the bundled models, prototypes, and a classifier to invert."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairfed.augmentation.output_dir import OutputDir
from fairfed.augmentation.pipeline import OWNER, Pipeline
from fairfed.config import PipelineConfig
from fairfed.config.load import load_model
from generators.store import request_key
from generators.synthesis import SHARED
from semantic.errors import InputError
from tests.fairfed.augmentation.silent import Silent

Augment = Callable[..., str]
Command = Callable[..., tuple[int, str]]


def _rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def _made(config: PipelineConfig, out: Path, cell: tuple[int, int], n: int) -> list[Any]:
    """Requests and images of a cell that an augmentation has made."""
    with Pipeline(config, OutputDir(out, config), Silent()) as pipeline:
        maker = pipeline.synthesiser()
        requests = [maker.request(*cell, index, OWNER) for index in range(n)]
        found = [pipeline.store.get(request_key(r, pipeline.store.generator)) for r in requests]
    return [(r, entry[1].astype(float)) for r, entry in zip(requests, found, strict=True) if entry]


def test_images_that_start_from_real_ones_resemble_them(
    augment: Augment, bundled_toml: Path, folder: Path, tmp_path: Path
) -> None:
    real, noise = "conditioning.start_from_real=true", "conditioning.start_from_real=false"
    made = {}
    for name, setting in (("real", real), ("noise", noise)):
        augment(folder, tmp_path / name, setting)
        settings = [setting, f'data.source="{folder}"']
        config = load_model(PipelineConfig, bundled_toml, settings)
        made[name] = [_made(config, tmp_path / name, cell, 2) for cell in ((0, 0), (1, 0))]
        assert not any("source" in row for row in _rows(tmp_path / name))
    # The short cell (Bag × blue): nearer to the image that each one started from.
    for (request, image), (_, plain) in zip(made["real"][0], made["noise"][0], strict=True):
        source = request.source.pixels.astype(float)
        assert np.abs(image - source).mean() < 0.6 * np.abs(plain - source).mean()
    # The missing cell (Trouser × blue) has nothing to start from.
    for (request, image), (_, plain) in zip(made["real"][1], made["noise"][1], strict=True):
        assert request.source is None
        assert np.array_equal(image, plain)
    config = load_model(PipelineConfig, bundled_toml, [real, f'data.source="{folder}"'])
    with Pipeline(config, OutputDir(tmp_path / "real", config), Silent()) as pipeline:
        assert pipeline.space.cell(0, 0).group == "blue"
        with pytest.raises(InputError, match="cannot be shared"):
            pipeline.synthesiser().pool(0, 0, 2, SHARED)


def test_prototypes_of_this_data_are_exact_or_released_once(
    augment: Augment, folder: Path, tmp_path: Path
) -> None:
    mode, released = "conditioning.mode=prototype", "conditioning.epsilon=1e6"
    augment(folder, tmp_path / "exact", mode)
    rows = _rows(tmp_path / "exact")
    cells = {(row["class_name"], row["group"]): row["prototype"] for row in rows}
    # A cell with images has a prototype of its own; one without takes its class's.
    assert len(set(cells.values())) == 2
    assert all(len(digest) == 64 for digest in cells.values())
    assert not (tmp_path / "exact" / "prototypes.json").exists()
    command = tmp_path / "noised", mode, released
    augment(folder, *command)
    first = (tmp_path / "noised" / "prototypes.json").read_bytes()
    record = json.loads(first)
    assert record["epsilon"] == 1e6
    before = _rows(tmp_path / "noised")
    assert {row["prototype"] for row in before}.isdisjoint(cells.values())
    augment(folder, *command)
    assert (tmp_path / "noised" / "prototypes.json").read_bytes() == first
    assert _rows(tmp_path / "noised") == before


def test_a_release_that_noise_has_made_useless_is_kept_and_not_made_again(
    fairfed: Command, bundled_toml: Path, folder: Path, tmp_path: Path
) -> None:
    command = (
        "augment", folder, "--config", bundled_toml, "--out", tmp_path / "out",
        "--set", "conditioning.mode=prototype", "--set", "conditioning.epsilon=0.1",
    )  # fmt: skip
    said = [fairfed(*command)]
    first = (tmp_path / "out" / "prototypes.json").read_bytes()
    said.append(fairfed(*command))
    assert [code for code, _ in said] == [2, 2]
    assert all("no prototype for Bag × blue" in words for _, words in said)
    assert (tmp_path / "out" / "prototypes.json").read_bytes() == first


def test_prototypes_that_others_have_merged_condition_a_class_that_is_lacking_here(
    augment: Augment,
    fairfed: Command,
    image_folder_of: Callable[..., Path],
    tmp_path: Path,
) -> None:
    bags = image_folder_of(tmp_path / "bags", {("Bag", "red"): 8, ("Bag", "blue"): 8})
    both = image_folder_of(tmp_path / "both", {("Bag", "red"): 8, ("Trouser", "red"): 11})
    files = [tmp_path / "one.json", tmp_path / "two.json"]
    for site, file in zip((bags, both), files, strict=True):
        code, said = fairfed(
            "semantics", "prototypes", site, "--epsilon", "1e6", "--minimum", 1, "--out", file,
            "--set", 'data.classes=["Bag", "Trouser"]', "--set", "data.sensitive=[]",
        )  # fmt: skip
        assert code == 0, said
    merged = tmp_path / "merged.json"
    assert fairfed("semantics", "merge", *files, "--out", merged)[0] == 0
    settings = (
        "conditioning.mode=prototype", f'conditioning.prototypes="{merged}"',
        'synthesis.classes=["Trouser"]', "synthesis.per_class=4", "synthesis.cells=missing",
    )  # fmt: skip
    augment(bags, tmp_path / "out", *settings)
    rows = _rows(tmp_path / "out")
    assert [row["class_name"] for row in rows] == ["Trouser"] * 4
    assert len({row["prototype"] for row in rows}) == 1
    # CLIP recognises trousers of which this data shows none.
    assert np.mean([row["score"] for row in rows]) > 0.3


def _classifier(outputs: int) -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(2),
        nn.Flatten(), nn.Linear(16, outputs),
    )  # fmt: skip


def test_a_classifier_is_inverted_for_the_cells_that_it_knows(
    augment: Augment,
    fairfed: Command,
    bundled_toml: Path,
    folder: Path,
    tmp_path: Path,
) -> None:
    from generators.classifier import save_classifier

    path = save_classifier(_classifier(2), tmp_path / "classes.pt2", image_size=32)
    settings = (
        "synthesis.generator=inversion", f'inversion.classifier="{path}"', "inversion.steps=3",
        "inversion.company=4", "inversion.batch_size=4", "inversion.device=cpu",
    )  # fmt: skip
    augment(folder, tmp_path / "out", *settings, "data.sensitive=[]", "synthesis.cell_target=7")
    rows = _rows(tmp_path / "out")
    assert [(row["class_name"], row["group"]) for row in rows] == [
        ("Bag", "all"), ("Trouser", "all"), ("Trouser", "all"), ("Trouser", "all"),
    ]  # fmt: skip
    assert len({row["generator"] for row in rows}) == 1
    replaced = [word for setting in settings for word in ("--set", setting)]
    code, said = fairfed(
        "augment", folder, "--config", bundled_toml, "--out", tmp_path / "groups", *replaced
    )
    assert code == 2
    assert "the classifier has no output for Bag × blue" in said
