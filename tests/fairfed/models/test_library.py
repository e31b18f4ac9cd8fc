"""Networks of torchvision and timm: built, refused, begun with weights, trained in a federation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fairfed.config import Config
from fairfed.models import build_model
from fairfed.models.library import IMAGENET, load_weights
from semantic.errors import InputError
from tests.fairfed.runs import logged, play

Small = Callable[..., Config]
TINY = "timm:test_resnet.r160_in1k"
"""95,000 parameters with BatchNorm."""


@pytest.mark.parametrize("name", [TINY, "torchvision:squeezenet1_1"])
def test_a_network_has_seeded_weights_and_the_asked_classes(name: str) -> None:
    one, same, other = (build_model(name, 3, 64, seed=seed) for seed in (0, 0, 1))
    states = [model.state_dict() for model in (one, same, other)]
    assert all(torch.equal(states[0][n], states[1][n]) for n in states[0])
    assert not all(torch.equal(states[0][n], states[2][n]) for n in states[0])
    assert one(torch.rand(2, 3, 64, 64)).shape == (2, 3)


def test_images_are_brought_to_what_a_network_was_made_for() -> None:
    model, seen = build_model("torchvision:squeezenet1_1", 3, 64).eval(), []
    model.features[0].register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    model(torch.full((1, 3, 64, 64), 0.5))
    wanted = [(0.5 - mean) / deviation for mean, deviation in zip(*IMAGENET, strict=True)]
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("torchvision:resnet81", 64, "has no network 'resnet81'; did you mean resnet"),
        ("timm:vit_tinny", 64, "has no network 'vit_tinny'; did you mean"),
        ("torchvision:vit_b_32", 64, "cannot take images of 64 pixels .* set data.image_size"),
        ("torchvision:alexnet", 16, "cannot take images of 16 pixels"),
    ],
)
def test_what_cannot_be_had_is_said(name: str, size: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        build_model(name, 3, size)


def test_weights_fit_by_name_but_for_a_last_layer_of_other_classes(tmp_path: Path) -> None:
    trained, model = build_model(TINY, 5, 32, seed=1), build_model(TINY, 3, 32)
    drawn = {name: value.clone() for name, value in model.state_dict().items()}
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    torch.save({"state_dict": trained.state_dict()}, tmp_path / "w.pt")
    for file in ("w.safetensors", "w.pt"):
        left = load_weights(model, str(tmp_path / file))
        assert sorted(left) == ["fc.bias", "fc.weight"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, drawn[name] if name in left else trained.state_dict()[name])
    with pytest.raises(InputError, match="are of another network: missing"):
        load_weights(build_model("cnn-bn", 3), str(tmp_path / "w.pt"))
    with pytest.raises(InputError, match="no such file"):
        load_weights(model, str(tmp_path / "none.pt"))
    (tmp_path / "bad.pt").write_text("no tensors")
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(model, str(tmp_path / "bad.pt"))


def test_a_federation_trains_one_whatever_the_workers(small: Small, tmp_path: Path) -> None:
    save_file(build_model(TINY, 9, 32, seed=7).state_dict(), tmp_path / "w.safetensors")
    settings = (
        f"model={TINY!r}", "data.image_size=32", "rounds=1", 'arms=[{name="FedAvg"}]',
        f"weights={tmp_path}/w.safetensors",
    )  # fmt: skip
    losses = []
    for workers in (1, 2):
        config = small(*settings, f"out={tmp_path}/run-{workers}")
        play(config, workers=workers)
        losses.append([client["test_loss"] for client in logged(config)[-1]["clients"]])
    assert losses[0] == losses[1]
    assert np.isfinite(losses[0]).all()
