"""What a generator refuses before it makes an image: unknown words, unfit sizes, broken weights."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from generators.diffusion import DiffusionSettings, StableDiffusionGenerator, load_generator
from generators.requests import SHARED, Asker, Request
from semantic.attributes import table_from_names
from semantic.conditioning import Conditioner
from semantic.errors import InputError
from semantic.space import Cell, SemanticSpace

BUNDLED = DiffusionSettings(device="cpu", steps=1, batch_size=1)
MELANOMA = Request(Cell("melanoma", "all"), "a photo of a melanoma", 0)


def test_a_word_that_the_model_has_never_read_is_refused_wherever_it_stands() -> None:
    generator = load_generator(BUNDLED)
    composed = replace(MELANOMA, prompt="a photo of a item", terms=(("a photo of a mole", 1.0),))
    for request, word in ((MELANOMA, "melanoma"), (composed, "mole")):
        for ask in (generator.refuse, lambda request: generator.generate([request])):
            with pytest.raises(InputError, match=f"class 'melanoma'.*does not know '{word}'"):
                ask(request)
    generator.refuse(Request(Cell("Bag", "red"), "a photo of a red bag, handle", 0))


def test_allowing_unknown_words_makes_the_image_and_changes_no_other() -> None:
    allowing = load_generator(replace(BUNDLED, allow_unknown=True))
    assert allowing.generate([MELANOMA]).shape == (1, 32, 32, 3)
    assert allowing.fingerprint == load_generator(BUNDLED).fingerprint


def test_all_prompts_that_a_cell_may_need_are_looked_at_first() -> None:
    space = SemanticSpace(("melanoma",), ("all",), table_from_names(("melanoma",)))
    asker = Asker(0, Conditioner(space))
    with pytest.raises(InputError, match="'melanoma'"):
        asker.check(load_generator(BUNDLED), space.cell(0, 0), range(5), SHARED)


def test_the_bundled_model_draws_one_size() -> None:
    with pytest.raises(InputError, match=r"data\.image_size is 64.*set data\.image_size = 32"):
        DiffusionSettings(image_size=64)


def test_a_side_that_the_networks_cannot_halve_is_refused(tiny_pipeline: Path) -> None:
    with pytest.raises(InputError, match=r"image_size is 18.*multiple of 4"):
        StableDiffusionGenerator(DiffusionSettings(model=str(tiny_pipeline), image_size=18))


def test_weights_that_are_not_finite_are_named(tiny_pipeline: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_pipeline, broken)
    file = next((broken / "unet").glob("*.safetensors"))
    weights = load_file(file)
    weights["conv_in.bias"][0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"'conv_in\.bias' of its unet are not finite \(NaN"):
        StableDiffusionGenerator(DiffusionSettings(model=str(broken), image_size=16))
