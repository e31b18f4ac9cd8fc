"""LoRA on a network, and a Stable Diffusion that goes on learning by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from generators.diffusion import DiffusionSettings
from generators.diffusion.families import load_networks
from generators.lora import add_lora, copy_sharing_frozen, load_trained_part, trained_part
from generators.specialise import Specialiser, lora_bytes
from semantic.errors import InputError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))


@pytest.fixture
def settings(tiny_pipeline: Path) -> DiffusionSettings:
    return DiffusionSettings(model=str(tiny_pipeline), image_size=16, steps=1, device="cpu")


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (6, 16, 16, 3), dtype=np.uint8)


def test_lora_begins_as_the_network_and_is_all_that_is_trained() -> None:
    network, rows = two_layers(), torch.rand(5, 3)
    before = network(rows)
    state = torch.get_rng_state()
    add_lora(network, ["0", "2"], 1, seeded())
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(network(rows), before)
    part = trained_part(network)
    assert sorted(tuple(value.shape) for value in part.values()) == [(1, 3), (1, 4), (2, 1), (4, 1)]
    again = trained_part(add_lora(two_layers(), ["0", "2"], 1, seeded()))
    assert all(torch.equal(part[name], again[name]) for name in part)


def test_a_copy_shares_what_is_frozen_and_trains_apart() -> None:
    network = add_lora(two_layers(), ["0"], 1, seeded())
    copied = copy_sharing_frozen(network)
    assert copied[2].weight is network[2].weight
    load_trained_part(copied, {name: value + 1 for name, value in trained_part(copied).items()})
    assert not torch.allclose(copied(torch.ones(1, 3)), network(torch.ones(1, 3)))


def test_a_part_of_another_network_is_refused() -> None:
    network = add_lora(two_layers(), ["0"], 1, seeded())
    other = add_lora(two_layers(), ["0"], 2, seeded())
    with pytest.raises(ValueError, match="do not fit the network"):
        load_trained_part(network, trained_part(other))


def test_training_lowers_the_loss_and_repeats(
    settings: DiffusionSettings, pictures: np.ndarray
) -> None:
    maker = Specialiser(settings, 4, 0)
    examples = maker.prepare(pictures, ["a red bag"] * 6)

    def train(seed: int) -> dict[str, torch.Tensor]:
        how = {"steps": 30, "batch_size": 6, "lr": 0.05, "caption_drop": 0.1}
        return maker.train(maker.start, examples, **how, generator=seeded(seed))[0]

    trained, again, other = train(1), train(1), train(2)
    assert all(torch.equal(trained[name], again[name]) for name in trained)
    assert any(not torch.equal(trained[name], other[name]) for name in trained)
    before = maker.loss(maker.start, examples, seeded())
    assert maker.loss(trained, examples, seeded()) < 0.99 * before
    assert maker.loss(maker.start, examples, seeded()) == before


def test_the_file_changes_the_unet_as_training_did(
    settings: DiffusionSettings, pictures: np.ndarray, tmp_path: Path
) -> None:
    from dataclasses import replace

    maker = Specialiser(settings, 2, 0)
    examples = maker.prepare(pictures, [""] * 6)
    how = {"steps": 3, "batch_size": 3, "lr": 0.1, "caption_drop": 0.0}
    trained, _ = maker.train(maker.start, examples, **how, generator=seeded())
    path = tmp_path / "lora.safetensors"
    path.write_bytes(lora_bytes({name: value.numpy() for name, value in trained.items()}))
    loaded = load_networks(replace(settings, lora=(str(path),))).components["unet"]
    plain = load_networks(settings).components["unet"]
    own = copy_sharing_frozen(maker._unet)
    load_trained_part(own, trained)
    call = torch.rand(2, 4, 8, 8), torch.tensor([10, 500]), examples.conditioning[:2]
    with torch.no_grad():
        torch.testing.assert_close(loaded(*call).sample, own(*call).sample, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(loaded(*call).sample, plain(*call).sample, atol=1e-3)


def test_other_families_are_refused(tiny_family: Callable[[str], Path]) -> None:
    model = DiffusionSettings(model=str(tiny_family("lcm")), image_size=16, device="cpu")
    with pytest.raises(InputError, match="is a LatentConsistencyModelPipeline; .* choose one"):
        Specialiser(model, 4, 0)
