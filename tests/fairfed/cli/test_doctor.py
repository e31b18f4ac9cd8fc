"""`fairfed doctor CONFIG`: which models are on disk, and how to get the others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.cli import doctor
from fairfed.cli.model_files import ModelFile, configured_models
from semantic.errors import InputError

Reader = Callable[[str], dict[str, ModelFile]]


@pytest.fixture
def models(tmp_path: Path) -> Reader:
    """Function that reads the models of a configuration given as text."""

    def read(text: str) -> dict[str, ModelFile]:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return {model.setting: model for model in configured_models(path)}

    return read


def test_bundled_models_are_here(models: Reader) -> None:
    found = models("rounds = 2\n")
    assert [model.value for model in found.values()] == ["bundled", "bundled"]
    assert not any(model.missing for model in found.values())


def test_a_model_of_the_hub_comes_with_its_command(models: Reader) -> None:
    found = models(
        '[generator]\nmodel = "stabilityai/sd-turbo"\n'
        '[semantic]\nencoder = "ViT-B-32/laion2b_s34b_b79k"\n'
    )
    assert found["generator.model"].missing == "the model"
    assert found["generator.model"].remedy == "hf download stabilityai/sd-turbo"
    encoder = found["semantic.encoder"]
    assert encoder.missing == "the weights"
    assert encoder.remedy == "hf download laion/CLIP-ViT-B-32-laion2B-s34B-b79K"


def test_a_directory_is_looked_through(models: Reader, tiny_pipeline: Path, tmp_path: Path) -> None:
    whole, broken, empty = (tmp_path / name for name in ("whole", "broken", "empty"))
    shutil.copytree(tiny_pipeline, whole)
    shutil.copytree(tiny_pipeline, broken)
    shutil.rmtree(broken / "vae")
    empty.mkdir()
    missing = {
        folder.name: models(f'[generator]\nmodel = "{folder}"\n')["generator.model"].missing
        for folder in (whole, broken, empty)
    }
    assert missing == {"whole": "", "broken": "vae", "empty": "model_index.json"}
    nowhere = models('[generator]\nmodel = "/no/such/place"\n')["generator.model"]
    assert nowhere.missing == "the directory"


def test_files_of_additions_are_looked_for(models: Reader, tmp_path: Path) -> None:
    (tmp_path / "here.safetensors").touch()
    found = models(
        f'[generator]\nlora = ["{tmp_path}/here.safetensors:0.5"]\n'
        'embeddings = ["words/gone.pt=<gone>"]\n'
    )
    assert not found["generator.lora"].missing
    assert found["generator.embeddings"].missing == "the file"
    assert "gone.pt --local-dir words" in found["generator.embeddings"].remedy


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("hf-hub:someone/clip", "hf download someone/clip"),
        ("RN50/openai", "hf download timm/resnet50_clip.openai"),
        ("ViT-Q-1/none", "open_clip.list_pretrained()"),
    ],
)
def test_an_encoder_that_is_not_here_comes_with_a_way(
    models: Reader,
    source: str,
    remedy: str,
) -> None:
    encoder = models(f'[semantic]\nencoder = "{source}"\n')["semantic.encoder"]
    assert encoder.missing
    assert remedy in encoder.remedy


def test_an_augmentation_s_configuration_is_read_too(models: Reader) -> None:
    found = models('[synthesis]\nper_class = 3\n[generator]\nmodel = "a/b"\n')
    assert found["generator.model"].remedy == "hf download a/b"
    with pytest.raises(InputError, match="per_klass"):
        models("[synthesis]\nper_klass = 3\n")


def test_what_is_missing_is_printed_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[generator]\nmodel = "nobody/nothing"\n')
    assert not doctor.examine(path)
    shown = capsys.readouterr().out
    assert "generator.model = nobody/nothing: the model missing" in shown
    assert "hf download nobody/nothing" in shown
    path.write_text("")
    assert doctor.examine(path)


def test_where_it_would_be_computed_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text('device = "cpu"\n[generator]\ndevice = "cpu"\n')
    assert doctor.examine(path)
    assert "clients train on cpu, images are generated on cpu" in capsys.readouterr().out
    path.write_text('device = "cuda:99"\n')
    with pytest.raises(InputError, match="device is 'cuda:99', and torch finds"):
        doctor.examine(path)
