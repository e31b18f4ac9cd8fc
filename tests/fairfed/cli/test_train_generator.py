"""`fairfed train-generator`: from a folder to models that an augmentation takes, and a card."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.augmentation.own_generator import material
from fairfed.config import PipelineConfig
from generators.training import presets
from generators.training.loop import Schedule

Command = Callable[..., tuple[int, str]]
SHORT = Schedule(steps=2, batch_size=4, learning_rate=1e-3)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of two classes, of 130 images each."""
    folder, rng = tmp_path_factory.mktemp("shapes"), np.random.default_rng(0)
    for name, at in (("disc", slice(4, 12)), ("bar", slice(14, 28))):
        (folder / name).mkdir()
        for i in range(130):
            image = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8)
            image[at] += 150
            Image.fromarray(image).save(folder / name / f"{i}.png")
    return folder


def test_a_folder_becomes_a_generator_with_a_card(
    fairfed: Command, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(
        presets.PRESETS["mini-32"],
        schedules=dict.fromkeys(presets.PRESETS["mini-32"].schedules, SHORT),
    )
    monkeypatch.setitem(presets.PRESETS, "mini-32", short)
    out = tmp_path / "own"
    names = ["--set", "semantic.attributes=names", "--set", "data.sensitive=[]"]
    code, said = fairfed("train-generator", shapes, "--out", out, "--card", "4", *names)
    assert code == 0, said
    card = (out / "README.md").read_text()
    assert "images of bar, disc" in card
    assert f'model = "{out}/stable-diffusion"' in card
    last = json.loads((out / "work" / "clip.jsonl").read_text().splitlines()[-1])
    assert f"| clip | {last['step']} | {last['images']} |" in card
    figures = json.loads((out / "quality.json").read_text())
    assert figures["images"] == 8
    assert set(figures["judge"]["synthetic"]["recalls"]) == {"bar", "disc"}
    assert "README.md" in json.loads((out / "checksums.json").read_text())
    code, said = fairfed(
        "augment", shapes, "--out", tmp_path / "made", "--until", "plan", *names,
        "--set", f'generator.model="{out}/stable-diffusion"',
        "--set", f'semantic.encoder="{out}/clip"',
    )  # fmt: skip
    # Its CLIP saw four images twice and need not tell the classes apart, but it knows their words.
    assert "does not know 'bar'" not in said
    code, said = fairfed("doctor", out / "config.toml")
    assert code == 0, said
    assert f"{out}/stable-diffusion" in "".join(said.split())
    code, said = fairfed("train-generator", shapes, "--out", out, "--rows", "0:256", *names)
    assert code == 2
    assert "was begun with other images and captions" in " ".join(said.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--preset", "huge"], "--preset 'huge' is unknown; choose one of mini-32, mini-64"),
        (["--rows", "10"], "--rows '10': expected FIRST:END"),
        (["--rows", "0:50"], "a generator needs at least 200"),
        (["--stage", "paint"], "--stage 'paint' is no stage"),
        (["--effort", "0"], "--effort 0: give a number above 0"),
        (["--without", "square"], "class 'square' is in no row"),
        (["--stage", "unet"], "run stage 'clip' first"),
        (["--preset", "lora"], "[specialise] in a configuration"),
        (["--set", "data.image_size=48"], "data.image_size 48: preset mini-32 is of 32 pixels"),
        (["--caption", "text"], "no column 'text' (--caption)"),
    ],
)
def test_what_cannot_be_trained_is_said(
    fairfed: Command, shapes: Path, tmp_path: Path, options: list[str], said: str
) -> None:
    code, text = fairfed(
        "train-generator", shapes, "--out", tmp_path / "own", "--set", "semantic.attributes=names",
        "--set", "data.sensitive=[]", *options,
    )  # fmt: skip
    assert code == 2
    assert said in " ".join(text.split())


def test_what_is_no_generator_is_not_written_over(
    fairfed: Command, shapes: Path, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("mine")
    code, text = fairfed(
        "train-generator", shapes, "--out", tmp_path, "--set", "semantic.attributes=names",
        "--set", "data.sensitive=[]",
    )  # fmt: skip
    assert code == 2
    assert "has no training to go on with" in " ".join(text.split())
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_captions_come_from_a_column_beside_the_images(tmp_path: Path) -> None:
    rows = ["file_name,label,text"]
    for i in range(256):
        Image.new("RGB", (8, 8), (i, 9, 0)).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'pale' if i % 2 else 'dark'},a {'cheerful' if i % 2 else ''} dot")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    source = {"source": str(tmp_path), "sensitive": []}
    config = PipelineConfig.model_validate({"data": source, "semantic": {"attributes": "names"}})
    work = material(config, tmp_path / "work", "mini-32", caption="text").work
    pairs = zip(work.data.labels, work.data.texts, strict=True)
    assert set(pairs) == {(0, "a  dot"), (1, "a cheerful dot")}
    assert work.tokenizer.tokenize("cheerful") == ["cheerful</w>"]
