"""Training of the bundled weights: captions, tokenizer, schedule, resuming, exact conversions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from generators.training import loop
from generators.training.autoencoder import build_autoencoder, normalise_latents
from generators.training.captions import MID_LEVEL, CaptionStyle, caption, vocabulary
from generators.training.clip import build_clip
from generators.training.dataset import TrainingImages, Work, load_training_images
from generators.training.loop import Schedule, train
from generators.training.making import left_out, make
from generators.training.presets import LATENT_CHANNELS, PRESETS
from generators.training.text import (
    CONTEXT,
    WIDTH,
    build_tokenizer,
    difference,
    text_encoder_of,
    tokenize,
)
from semantic.attributes import load_attributes
from semantic.errors import InputError
from semantic.tint import TINTS


def test_captions_name_what_is_seen_and_fit_the_context() -> None:
    table, rng = load_attributes(), np.random.default_rng(0)
    tokenizer = build_tokenizer(vocabulary(table, tuple(TINTS), ("tall", "wide")), CONTEXT)
    boot = table.classes.index("Ankle boot")
    made = [caption(rng, table, boot, "red", ("tall", "wide"), CaptionStyle()) for _ in range(300)]
    assert max(len(tokenizer(text)["input_ids"]) for text in made) <= CONTEXT
    assert 0.7 < np.mean(["ankle boot" in text for text in made]) < 1
    assert 0.8 < np.mean(["red" in text for text in made]) < 1
    assert 0.1 < np.mean(["covers the ankle" in text for text in made]) < 0.8
    assert not any("trouser" in text for text in made)


def test_tokenizer_cuts_our_words_as_the_full_vocabulary_would() -> None:
    tokenizer = build_tokenizer({"pullover", "ankle", "boot"}, CONTEXT)
    assert tokenizer.tokenize("ankle boot pullover") == ["ankle</w>", "boot</w>", "pullover</w>"]
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    ids = tokenize(tokenizer, ["a boot"])
    assert ids.shape == (1, CONTEXT)
    assert ids.argmax(1).item() == (ids[0] == tokenizer.eos_token_id).nonzero()[0].item()


def test_text_encoder_of_stable_diffusion_is_the_text_tower_of_clip() -> None:
    tokenizer = build_tokenizer({"boot"}, CONTEXT)
    clip = build_clip(PRESETS["mini-32"], len(tokenizer), seed=1).eval()
    encoder = text_encoder_of(clip, tokenizer.eos_token_id)
    tokens = tokenize(tokenizer, ["a boot", "", "a red boot"])
    assert difference(clip, encoder, tokens) < 1e-5
    with torch.no_grad():
        clip.transformer.resblocks[0].mlp.c_fc.weight.mul_(1.5)
    assert difference(clip, encoder, tokens) > 1e-3


def _images(count: int = 64) -> TrainingImages:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (count, 32, 32), dtype=np.uint8)
    return TrainingImages(images, np.zeros(count, np.int64), [()] * count)


def test_training_without_a_class_and_a_cell_never_shows_them() -> None:
    data, red = _images(400), tuple(TINTS).index("red")
    data.labels[:] = np.arange(400) % 4
    kept = data.without([3], [(1, red), (1, 0), (2, red)])
    assert set(kept.labels) == {0, 1, 2}
    rows, tints = kept.batch(np.random.default_rng(0), 4000)
    shown = set(zip(kept.labels[rows].tolist(), tints.tolist(), strict=True))
    assert shown == {(c, t) for c in range(3) for t in range(4)} - {(1, red), (1, 0), (2, red)}
    assert kept.style == MID_LEVEL


def test_names_of_what_is_left_out_are_classes_or_cells() -> None:
    table = load_attributes()
    classes, cells = left_out(["Ankle boot", "Bag × red"], table)
    assert classes == [table.row("Ankle boot")]
    assert cells == [(table.row("Bag"), tuple(TINTS).index("red"))]
    with pytest.raises(InputError, match="tint 'pink'"):
        left_out(["Bag × pink"], table)
    with pytest.raises(InputError, match="'Boot'"):
        left_out(["Boot"], table)


def test_normalised_latents_have_unit_scale_and_decode_to_the_same_image() -> None:
    model, data = build_autoencoder(PRESETS["mini-32"], seed=0).eval(), _images()
    pixels = torch.from_numpy(data.seen(np.arange(8), np.zeros(8, np.int64)))
    with torch.no_grad():
        before = model.decode(model.encode(pixels).latent_dist.mean).sample
        normalise_latents(model, data)
        found = model.encode(pixels).latent_dist
        after = model.decode(found.mean).sample
    assert found.mean.shape == (8, LATENT_CHANNELS, 8, 8)
    assert found.mean.std(dim=(0, 2, 3)).numpy() == pytest.approx(1, abs=0.35)
    assert after.numpy() == pytest.approx(before.numpy(), abs=1e-2)


class _KilledError(Exception):
    """Stands for whatever ends a training early."""


def _fit(folder: Path, kill_at: int = -1) -> Tensor:
    """Weights of a line after 40 steps, or up to a kill."""
    torch.manual_seed(0)
    line = nn.Linear(3, 1)
    steps = 0

    def loss_of(rng: np.random.Generator, noise: torch.Generator, size: int) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == kill_at:
            raise _KilledError
        x = torch.randn(size, 3, generator=noise)
        loss: Tensor = (line(x) - x.sum(1, keepdim=True)).square().mean()
        return loss

    schedule = Schedule(steps=40, batch_size=8, learning_rate=0.1, average=0.9)
    train("fit", line, loss_of, schedule, folder, 0)
    return line.weight.detach()


def test_killed_training_continues_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _fit(tmp_path / "whole")
    monkeypatch.setattr(loop, "SAVE_EVERY", -1.0)
    with pytest.raises(_KilledError):
        _fit(tmp_path / "cut", kill_at=15)
    assert torch.equal(whole, _fit(tmp_path / "cut"))
    assert whole.numpy() == pytest.approx(1, abs=0.2)


def test_missing_data_set_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="dataset-fashion-mnist"):
        load_training_images(tmp_path, tmp_path / "none.npz")


SHORT = dict.fromkeys(
    PRESETS["mini-32"].schedules, Schedule(steps=2, batch_size=4, learning_rate=1e-3, average=0.5)
)


@pytest.mark.parametrize(("preset", "coloured"), [("mini-32", False), ("mini-64", True)])
def test_every_network_trains_from_captions_to_a_directory(
    tmp_path: Path, preset: str, coloured: bool
) -> None:
    """Two steps of each stage: grey images in tints as `make weights`, photographs with groups."""
    from diffusers import StableDiffusionPipeline

    from semantic.encoder import ClipEncoder

    table, data = load_attributes(), _images(16)
    if coloured:
        photographs = np.random.default_rng(0).integers(0, 255, (16, 64, 64, 3), dtype=np.uint8)
        groups = ("freckled", "pale") * 8
        data = replace(data, images=photographs, tints=(), groups=groups)
    tokenizer = build_tokenizer(vocabulary(table, data.said_of_groups, ()), CONTEXT)
    size = replace(PRESETS[preset], schedules=SHORT)
    work = Work(data, table, tokenizer, tmp_path / "work", 0, size)
    make(work, tmp_path, "noise")
    encoder = ClipEncoder(str(tmp_path / "clip"))
    assert encoder.dimension == WIDTH
    assert encoder.known_words is not None
    assert encoder.known_words.unknown("a freckled bag") == (() if coloured else ("freckled",))
    loaded = StableDiffusionPipeline.from_pretrained(
        tmp_path / "stable-diffusion", dtype=torch.float32, safety_checker=None,
        requires_safety_checker=False,
    )  # fmt: skip
    side = size.image_size
    made = loaded(
        "a red bag", height=side, width=side, num_inference_steps=2, output_type="np"
    ).images
    assert made.shape == (1, side, side, 3)
    assert len((tmp_path / "work" / "unet.jsonl").read_text().splitlines()) == 1
    sums = json.loads((tmp_path / "checksums.json").read_text())
    assert "stable-diffusion/image_projection.safetensors" in sums


def test_photographs_are_seen_as_they_are_and_mirrored() -> None:
    images = np.zeros((1, 4, 4, 3), np.uint8)
    images[0, 0, 0] = 255
    data = TrainingImages(images, np.zeros(1, np.int64), [()], tints=(), groups=("dark skin",))
    twice = data.seen(np.array([0, 0]), np.array([0, 1]))
    assert (twice[0, :, 0, 0] == 1).all()
    assert (twice[1, :, 0, 3] == 1).all()
    assert (data.views, data.said(0, 1)) == (2, "dark skin")
    assert images[0, 0, 0, 0] == 255
    assert images[0, 0, 3, 0] == 0
