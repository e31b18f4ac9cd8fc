"""A generator from a module of the user's own, by its name in the configuration."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.augmentation.output_dir import OutputDir
from fairfed.augmentation.pipeline import Pipeline
from fairfed.augmentation.steps import STEPS, run_steps
from fairfed.cli.model_files import configured_models
from fairfed.config import PipelineConfig
from generators.diffusion import DiffusionSettings, load_generator
from semantic.errors import InputError
from tests.fairfed.augmentation.silent import Silent

MODULE = """
import numpy as np
from semantic.errors import InputError


class Stripes:
    fingerprint = "stripes 1"
    batch_size = 4

    def __init__(self, settings):
        self._side = settings.image_size

    def generate(self, requests):
        images = np.zeros((len(requests), self._side, self._side, 3), np.uint8)
        for image, request in zip(images, requests, strict=True):
            image[:: 2 + request.seed % 3] = 255
        return images

    def autoencode(self, images):
        return images.copy()

    def refuse(self, request):
        if request.cell.class_name == "shoe":
            raise InputError("stripes have no shoes")


class Nothing:
    pass
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_generator.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_generator", raising=False)


def test_an_augmentation_with_it(
    augmentation: Callable[..., PipelineConfig], tmp_path: Path
) -> None:
    config = augmentation("generator.model=my_generator:Stripes")
    out = tmp_path / "out"
    with Pipeline(config, OutputDir(out, config), Silent()) as pipeline:
        run_steps(pipeline, STEPS)
    assert json.loads((out / "generation.json").read_text())["images"] == 6
    made = sorted((out / "dataset" / "synthetic").iterdir())
    assert set(np.unique(np.asarray(Image.open(made[0])))) == {0, 255}
    store = json.loads((tmp_path / "store" / "stripes 1" / "generator.json").read_text())
    assert store["fingerprint"] == "stripes 1"


def test_what_it_cannot_make_is_refused_before_anything_is_made(
    augmentation: Callable[..., PipelineConfig], tmp_path: Path
) -> None:
    config = augmentation("generator.model=my_generator:Stripes", 'synthesis.classes=["shoe"]')
    with (
        Pipeline(config, OutputDir(tmp_path / "out", config), Silent()) as pipeline,
        pytest.raises(InputError, match="stripes have no shoes"),
    ):
        run_steps(pipeline, STEPS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("my_generator:Nothing", "is no generator: it lacks generate, autoencode"),
        ("my_generator:Dots", "module 'my_generator' has no class 'Dots'"),
        ("no_such:Stripes", "No module named 'no_such'"),
    ],
)
def test_what_is_no_generator_is_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text):
        load_generator(DiffusionSettings(model=name))
    (tmp_path / "run.toml").write_text(f'[generator]\nmodel = "{name}"')
    found = configured_models(tmp_path / "run.toml")[0]
    assert found.missing == "the class"
    assert text in found.remedy
