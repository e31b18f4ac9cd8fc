"""An adapted CLIP: what is trained and sent, what stays, and that it computes what CLIP does."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from fairfed.models import AdaptedClip, train_epochs
from fairfed.models.clip_adapted import prepared
from fairfed.models.clip_text import ClassVectors, LearnedContext
from fairfed.models.clip_tower import reinitialise, with_biases, with_lora
from semantic.encoder import ClipEncoder, load_encoder
from semantic.errors import InputError


@pytest.fixture(scope="module")
def encoder() -> ClipEncoder:
    return load_encoder()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def pictures(count: int = 6, size: int = 32) -> torch.Tensor:
    drawn = np.random.default_rng(0).integers(0, 255, (count, size, size, 3), dtype=np.uint8)
    return torch.from_numpy(drawn)


def build(encoder: ClipEncoder, method: str) -> AdaptedClip:
    tower = copy.deepcopy(encoder.model.visual)
    if method == "prompt":
        classes: nn.Module = LearnedContext(
            encoder.model, encoder.tokenize, "a photo of a", ["bag", "ankle boot"]
        )
    else:
        classes = ClassVectors(torch.randn(2, encoder.dimension, generator=seeded()))
    if method == "lora":
        with_lora(tower, 1, seeded())
    elif method == "bias":
        with_biases(tower)
    elif method == "full":
        tower.requires_grad_(True)
    return AdaptedClip(tower, classes, encoder.scale, whole=method == "full")


METHODS = ("full", "head", "bias", "lora", "prompt")


@pytest.mark.parametrize("method", METHODS)
def test_only_the_adapted_part_is_trained_and_sent(encoder: ClipEncoder, method: str) -> None:
    model = build(encoder, method)
    everything = {name: value.clone() for name, value in nn.Module.named_parameters(model)}
    sent = {name: value.clone() for name, value in model.state_dict().items()}
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    train_epochs(model, pictures(), labels, epochs=1, batch_size=3, lr=0.1, generator=seeded())
    after = dict(nn.Module.named_parameters(model))
    assert after.keys() == everything.keys()
    changed = {name for name in everything if not torch.equal(everything[name], after[name])}
    trained = {name for name, _ in model.named_parameters()}
    assert changed <= trained <= set(sent)
    assert len(changed) > 0.9 * len(trained)
    statistics = {name for name in sent if "running" in name or "num_batches" in name}
    assert set(sent) - statistics == trained
    assert bool(statistics) == (method == "full")


def test_each_method_trains_what_its_name_says(encoder: ClipEncoder) -> None:
    names = {m: {n for n, _ in build(encoder, m).named_parameters()} for m in METHODS}
    count = {m: sum(p.numel() for p in build(encoder, m).parameters()) for m in METHODS}
    assert names["head"] == {"classes.weight"}
    assert names["prompt"] == {"classes.context"}
    assert count["prompt"] == 4 * 128  # "a photo of a" is four tokens
    assert {n for n in names["bias"] if n.startswith("tower.")} == {
        f"tower.{n}" for n, _ in encoder.model.visual.named_parameters() if n.endswith("bias")
    }
    assert any("q_proj.lora_A" in name for name in names["lora"])
    assert any("layer4.0.conv2.lora_B" in name for name in names["lora"])
    assert count["lora"] < 0.01 * count["full"]


@pytest.mark.parametrize("method", METHODS)
def test_a_state_restores_a_model(encoder: ClipEncoder, method: str) -> None:
    model, other = build(encoder, method).eval(), build(encoder, method).eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=draw))
    images = pictures().permute(0, 3, 1, 2) / 255
    assert not torch.allclose(model(images), other(images), atol=1e-3)
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(images), model(images))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({})


@pytest.mark.parametrize("method", METHODS)
def test_an_untrained_tower_embeds_as_clip_does(encoder: ClipEncoder, method: str) -> None:
    embedded = build(encoder, method).embed(pictures())
    expected = encoder.embed_images(pictures().numpy())
    torch.testing.assert_close(nn.functional.normalize(embedded), expected, rtol=1e-4, atol=1e-5)


def test_context_begins_as_the_text_embedding_of_its_words(encoder: ClipEncoder) -> None:
    context = LearnedContext(encoder.model, encoder.tokenize, "a photo of a", ["bag", "ankle boot"])
    expected = encoder.embed_texts(["a photo of a bag", "a photo of a ankle boot"])
    torch.testing.assert_close(context().detach(), expected, rtol=1e-4, atol=1e-5)


def test_texts_that_do_not_fit_are_refused(encoder: ClipEncoder) -> None:
    with pytest.raises(InputError, match="shorten adapt.context"):
        LearnedContext(encoder.model, encoder.tokenize, "a photo " * 20, ["bag", "dress"])


def test_statistics_stay_unless_the_tower_is_trained_whole(encoder: ClipEncoder) -> None:
    assert not any(module.training for module in build(encoder, "lora").train().tower.modules())
    assert build(encoder, "full").train().tower.training


def test_from_scratch_is_another_network_of_the_same_shape(encoder: ClipEncoder) -> None:
    fresh = reinitialise(copy.deepcopy(encoder.model.visual), seeded())
    again = reinitialise(copy.deepcopy(encoder.model.visual), seeded())
    for (name, own), other in zip(
        encoder.model.visual.named_parameters(), fresh.parameters(), strict=True
    ):
        assert own.shape == other.shape
        assert other.ndim < 2 or not torch.equal(own, other), name
    images = torch.rand(4, 3, 32, 32, generator=seeded())
    assert torch.isfinite(fresh(images)).all()
    torch.testing.assert_close(fresh(images), again(images))


def test_images_of_another_size_are_prepared_as_open_clip_does(encoder: ClipEncoder) -> None:
    from PIL import Image

    how = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    smooth = np.add.outer(np.arange(48), np.arange(48))[..., None] * np.ones(3)
    image = (smooth * 2).astype(np.uint8)
    found = prepared(torch.from_numpy(image).permute(2, 0, 1)[None] / 255, how)[0]
    expected = encoder._preprocess(Image.fromarray(image))
    assert float((found - expected).abs().max()) < 0.02


def test_a_transformers_attention_and_mlp_are_adapted() -> None:
    import open_clip

    with torch.random.fork_rng():
        torch.manual_seed(0)
        vision = open_clip.model.CLIPVisionCfg(
            image_size=32, patch_size=16, width=32, layers=1, head_width=16
        )
        tower = open_clip.model._build_vision_tower(8, vision).eval().requires_grad_(False)
    images = torch.rand(2, 3, 32, 32, generator=seeded())
    before = tower(images)
    with_lora(tower, 2, seeded())
    torch.testing.assert_close(tower(images), before, rtol=1e-4, atol=1e-5)
    names = [name for name, p in tower.named_parameters() if p.requires_grad]
    assert any(".attn.lora_A" in name for name in names)
    assert any(".mlp.c_proj.lora_B" in name for name in names)
    assert not any(name.startswith("conv1") for name in names)
    tower(images).square().sum().backward()
    outputs = [p for name, p in tower.named_parameters() if "lora_B" in name]
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in outputs)
