"""What settings add to a Stable Diffusion: LoRA, words, noise, prototypes, guidance intervals."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from generators.diffusion import DiffusionSettings, StableDiffusionGenerator
from generators.diffusion.settings import embedding_file, lora_file
from generators.requests import Request
from semantic.errors import InputError
from semantic.space import Cell

BAG = Cell("Bag", "red")
PLAIN = Request(BAG, "a red bag", 1)
Family = Callable[[str], Path]


@pytest.fixture(scope="module")
def settings(tiny_pipeline: Path) -> DiffusionSettings:
    return DiffusionSettings(
        model=str(tiny_pipeline), steps=3, image_size=16, batch_size=2, device="cpu", guidance=20.0
    )


def _image(settings: DiffusionSettings, request: Request = PLAIN) -> np.ndarray[Any, Any]:
    return StableDiffusionGenerator(settings).generate([request])[0]


@pytest.fixture(scope="module")
def lora(tiny_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a LoRA with random weights for the tiny pipeline."""
    import torch
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from peft import LoraConfig, get_peft_model_state_dict

    torch.manual_seed(1)
    unet = UNet2DConditionModel.from_pretrained(tiny_pipeline, subfolder="unet")
    unet.add_adapter(LoraConfig(r=2, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    folder = tmp_path_factory.mktemp("lora")
    StableDiffusionPipeline.save_lora_weights(folder, get_peft_model_state_dict(unet))
    return folder / "pytorch_lora_weights.safetensors"


def test_entries_name_a_file_and_a_weight_or_token() -> None:
    assert lora_file("a/b.safetensors") == (Path("a/b.safetensors"), 1.0)
    assert lora_file("a/b.safetensors:0.5") == (Path("a/b.safetensors"), 0.5)
    assert lora_file("C:/b.safetensors") == (Path("C:/b.safetensors"), 1.0)
    assert embedding_file("b.pt") == (Path("b.pt"), None)
    assert embedding_file("b.pt=<word>") == (Path("b.pt"), "<word>")


def test_a_lora_changes_images_by_its_weight_and_is_no_reason_to_warn(
    settings: DiffusionSettings,
    lora: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # diffusers hands nothing on to the root logger, where pytest listens.
    monkeypatch.setattr(logging.getLogger("diffusers"), "handlers", [caplog.handler])
    plain = _image(settings)
    none, full = (replace(settings, lora=(f"{lora}:{weight}",)) for weight in (0, 1))
    assert np.array_equal(_image(none), plain)
    assert not np.array_equal(_image(full), plain)
    moved = shutil.copy(lora, tmp_path / "moved.safetensors")
    prints = [
        StableDiffusionGenerator(replace(settings, lora=entry)).fingerprint
        for entry in ((), (f"{lora}:0.5",), (str(lora),), (str(moved),))
    ]
    assert len(set(prints)) == 3
    assert prints[2] == prints[3]
    assert "LoRA keys" not in caplog.text


def test_a_textual_inversion_is_a_new_word(settings: DiffusionSettings, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "satchel.safetensors"
    save_file({"<satchel>": torch.randn(2, 8, generator=torch.Generator().manual_seed(0))}, path)
    request = replace(PLAIN, prompt="a <satchel>")
    taught = replace(settings, embeddings=(str(path),))
    assert not np.array_equal(_image(taught, request), _image(settings, request))
    assert np.array_equal(_image(taught), _image(settings))
    renamed = replace(settings, embeddings=(f"{path}=<mine>",))
    renamed_image = _image(renamed, replace(PLAIN, prompt="a <mine>"))
    assert np.array_equal(renamed_image, _image(taught, request))


def test_a_textual_inversion_for_two_encoders(tiny_family: Family, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "satchel.safetensors"
    save_file({"clip_l": torch.ones(1, 8), "clip_g": -torch.ones(1, 8)}, path)
    settings = DiffusionSettings(
        model=str(tiny_family("xl")), steps=2, image_size=16, batch_size=1, device="cpu"
    )
    request = replace(PLAIN, prompt="a <satchel>")
    taught = replace(settings, embeddings=(str(path),))
    assert not np.array_equal(_image(taught, request), _image(settings, request))


def test_additions_that_are_missing_or_do_not_fit_are_named(
    settings: DiffusionSettings, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    missing, alien = tmp_path / "missing.safetensors", tmp_path / "alien.safetensors"
    save_file({"a": torch.ones(1, 5), "b": torch.ones(1, 5)}, alien)
    for change in ({"lora": (str(missing),)}, {"embeddings": (str(missing),)}):
        with pytest.raises(InputError, match=r"missing\.safetensors is not there; put"):
            StableDiffusionGenerator(replace(settings, **change))  # type: ignore[arg-type]
    for change in ({"lora": (str(alien),)}, {"embeddings": (str(alien),)}):
        with pytest.raises(InputError, match=r"alien\.safetensors does not fit the model"):
            StableDiffusionGenerator(replace(settings, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"negative": "a dress"},
        {"prompt_noise": 0.5},
        {"guidance_from": 0.5},
        {"guidance_until": 0.3},
        {"scheduler": "lcm"},
        {"scheduler": "euler"},
        {"scheduler": "unipc"},
    ],
)
def test_each_setting_changes_image_and_fingerprint(
    settings: DiffusionSettings, change: dict[str, Any]
) -> None:
    plain = StableDiffusionGenerator(settings)
    changed = StableDiffusionGenerator(replace(settings, **change))
    assert changed.fingerprint != plain.fingerprint
    found = changed.generate([PLAIN, replace(PLAIN, seed=2)])
    assert not np.array_equal(found[0], plain.generate([PLAIN])[0])
    assert np.array_equal(changed.generate([PLAIN])[0], found[0])


def test_without_guidance_in_any_step_the_scale_does_not_matter(
    settings: DiffusionSettings,
) -> None:
    late = replace(settings, guidance_from=0.999)
    unguided = _image(replace(settings, guidance=1.0)).astype(int)
    assert np.abs(_image(late) - unguided).max() <= 1
    assert np.abs(_image(settings) - unguided).max() > 1


def test_a_request_s_own_negative_prompt_comes_first(settings: DiffusionSettings) -> None:
    both = _image(replace(settings, negative="a dress"), replace(PLAIN, negative="red"))
    assert np.array_equal(both, _image(settings, replace(PLAIN, negative="red")))


def test_a_prototype_becomes_tokens_where_the_model_has_a_projection(
    settings: DiffusionSettings, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "projected"
    shutil.copytree(settings.model, folder)
    draw = torch.Generator().manual_seed(0)
    weight = 3 * torch.randn(2 * 8, 4, generator=draw)
    save_file({"weight": weight, "bias": torch.zeros(16)}, folder / "image_projection.safetensors")
    generator = StableDiffusionGenerator(replace(settings, model=str(folder)))
    asked = [
        PLAIN,
        replace(PLAIN, prototype=(1.0, 0.0, 0.0, 0.0)),
        replace(PLAIN, prototype=(0.0, 1.0, 0.0, 0.0)),
        replace(PLAIN, prototype=(1.0, 0.0, 0.0, 0.0), terms=(("a dress", 1.0),)),
    ]
    images = generator.generate(asked)
    assert len({image.tobytes() for image in images}) == 4
    assert np.array_equal(images[0], _image(settings))
    assert np.array_equal(generator.generate(asked[::-1]), images[::-1])
    with pytest.raises(InputError, match="has 2 values, .* reads 4"):
        generator.generate([replace(PLAIN, prototype=(1.0, 0.0))])


def test_a_safety_checker_blackens_what_it_finds(
    settings: DiffusionSettings, tmp_path: Path
) -> None:
    from diffusers import StableDiffusionPipeline
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    vision = {**small, "num_attention_heads": 1, "image_size": 16, "patch_size": 8}
    config = CLIPConfig(vision_config=vision, projection_dim=8)
    pipeline = StableDiffusionPipeline.from_pretrained(settings.model)
    size = {"shortest_edge": 16}
    pipeline.register_modules(
        safety_checker=StableDiffusionSafetyChecker(config),
        feature_extractor=CLIPImageProcessor(size=size, crop_size={"height": 16, "width": 16}),
    )
    # Concepts point nowhere, so that a threshold below 0 finds them everywhere.
    pipeline.safety_checker.concept_embeds.data.zero_()
    pipeline.safety_checker.concept_embeds_weights.data.fill_(-0.1)
    pipeline.safety_checker.special_care_embeds_weights.data.fill_(1.0)
    pipeline.save_pretrained(tmp_path / "checked")
    checked = replace(settings, model=str(tmp_path / "checked"))
    assert _image(checked).max() > 0
    assert _image(replace(checked, safety_checker=True)).max() == 0
    with pytest.raises(InputError, match="has no safety checker; set"):
        StableDiffusionGenerator(replace(settings, safety_checker=True))


def test_values_out_of_range_are_refused() -> None:
    for change, match in (
        ({"strength": 0.0}, "must lie above 0"),
        ({"guidance_from": 0.5, "guidance_until": 0.5}, "no interval within 0 to 1"),
        ({"dtype": "int8"}, "choose one of float32"),
    ):
        with pytest.raises(InputError, match=match):
            DiffusionSettings(**change)  # type: ignore[arg-type]


def test_a_hub_model_is_read_from_the_cache_and_known_by_its_commit(
    settings: DiffusionSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--someone--small"
    shutil.copytree(settings.model, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for module in ("huggingface_hub.constants", "diffusers.pipelines.pipeline_utils"):
        monkeypatch.setattr(f"{module}.HF_HUB_CACHE", str(tmp_path), raising=False)
    hub = StableDiffusionGenerator(replace(settings, model="someone/small"))
    assert np.array_equal(hub.generate([PLAIN])[0], _image(settings))
    assert hub.fingerprint != StableDiffusionGenerator(settings).fingerprint
