"""Stable Diffusion through diffusers, on a pipeline with random weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generators.diffusion import DiffusionSettings, StableDiffusionGenerator, load_generator
from generators.requests import Request, request_seed
from semantic.errors import InputError
from semantic.space import Cell

BAG = Cell("Bag", "red")


@pytest.fixture(scope="module")
def settings(tiny_pipeline: Path) -> DiffusionSettings:
    return DiffusionSettings(
        model=str(tiny_pipeline), steps=4, image_size=16, batch_size=4, device="cpu"
    )


def _requests(count: int) -> list[Request]:
    return [
        Request(BAG, ("a red bag", "a dress")[i % 2], request_seed(0, "", BAG, i))
        for i in range(count)
    ]


def test_one_request_gives_one_image_whatever_its_batch(settings: DiffusionSettings) -> None:
    generator = StableDiffusionGenerator(settings)
    requests = _requests(6)
    together = generator.generate(requests)
    assert together.shape == (6, 16, 16, 3)
    assert together.dtype == np.uint8
    assert np.array_equal(generator.generate(requests[3:5]), together[3:5])
    assert np.array_equal(generator.generate(requests[::-1]), together[::-1])
    assert not np.array_equal(together[0], together[2])


def test_threads_do_not_disturb_each_other(settings: DiffusionSettings) -> None:
    generator = StableDiffusionGenerator(settings)
    requests = _requests(8)
    alone = generator.generate(requests)
    with ThreadPoolExecutor(2) as pool:
        halves = list(pool.map(generator.generate, [requests[:4], requests[4:]]))
    assert np.array_equal(np.concatenate(halves), alone)


def test_prompt_guidance_and_solver_change_images_and_fingerprint(
    settings: DiffusionSettings,
) -> None:
    seed = request_seed(0, "", BAG, 0)
    base = StableDiffusionGenerator(settings)
    bag = base.generate([Request(BAG, "a red bag", seed)])
    assert not np.array_equal(bag, base.generate([Request(BAG, "a dress", seed)]))
    fingerprints = {base.fingerprint}
    for change in ({"guidance": 1.0}, {"steps": 3}, {"scheduler": "ddim"}):
        other = StableDiffusionGenerator(replace(settings, **change))  # type: ignore[arg-type]
        fingerprints.add(other.fingerprint)
        assert not np.array_equal(bag, other.generate([Request(BAG, "a red bag", seed)])), change
    assert len(fingerprints) == 4
    assert StableDiffusionGenerator(settings).fingerprint == base.fingerprint


def test_autoencode_keeps_shape_and_is_deterministic(settings: DiffusionSettings) -> None:
    generator = load_generator(settings)
    images = np.random.default_rng(0).integers(0, 255, (5, 16, 16, 3), dtype=np.uint8)
    rendered = generator.autoencode(images)
    assert rendered.shape == images.shape
    assert np.array_equal(rendered, generator.autoencode(images))
    assert generator.autoencode(images[:0]).shape == (0, 16, 16, 3)
    assert load_generator(settings) is generator


def test_what_cannot_be_loaded_says_what_to_do(settings: DiffusionSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither a diffusers .*hf download nobody/no-such-model"):
        StableDiffusionGenerator(replace(settings, model="nobody/no-such-model"))
    with pytest.raises(InputError, match=r"holds no model_index\.json"):
        StableDiffusionGenerator(replace(settings, model=str(tmp_path)))
    with pytest.raises(InputError, match="'heun-ish' is unknown"):
        StableDiffusionGenerator(replace(settings, scheduler="heun-ish"))


def test_prompt_that_would_be_cut_off_is_refused(settings: DiffusionSettings) -> None:
    generator = load_generator(settings)
    with pytest.raises(InputError, match=r"has \d+ tokens, the model reads \d+; shorten what"):
        generator.generate([Request(BAG, "a bag, " * 40, 1)])
