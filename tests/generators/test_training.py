"""Training of the bundled weights: captions, tokenizer, schedule, resuming, exact conversions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from generators.training import loop, unet
from generators.training.autoencoder import build_autoencoder, normalise_latents
from generators.training.captions import (
    MID_LEVEL,
    CaptionStyle,
    caption,
    known_phrases,
    vocabulary,
)
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
from semantic.measures import WORDS, measured_words
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


def _fit(folder: Path, kill_at: int = -1, steps_in_all: int = 40, **options: Any) -> Tensor:
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

    schedule = Schedule(steps=steps_in_all, batch_size=8, learning_rate=0.1, average=0.9)
    train("fit", line, loss_of, schedule, folder, 0, **options)
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


def test_what_is_looked_at_are_the_averaged_weights_and_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _fit(tmp_path / "unseen")
    monkeypatch.setattr(loop, "LOOK_EVERY", 20)
    looks: list[int] = []
    assert torch.equal(whole, _fit(tmp_path / "seen", look=looks.append))
    assert looks == [20, 40]


def test_a_longer_schedule_goes_on_and_other_networks_below_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _fit(tmp_path, of="a CLIP")
    assert not torch.equal(first, _fit(tmp_path, steps_in_all=60, of="a CLIP"))
    # A shorter one takes nothing back.
    _fit(tmp_path, steps_in_all=40, of="a CLIP")
    assert torch.load(tmp_path / "fit.pt", weights_only=True)["step"] == 60
    assert torch.equal(first, _fit(tmp_path, of="another CLIP"))


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
    # Only a caption's words are known; no photograph was measured.
    assert encoder.known_words.unknown("a tall bag") == ("tall",)
    with pytest.raises(InputError, match="begun with other images and captions, words; give"):
        make(replace(work, data=replace(data, texts=("a scarf",) * 16), tokenizer=[]), tmp_path, "")


def test_the_bundled_recipe_takes_the_same_first_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses of the code that made the bundled weights, on shapes of grey."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(loop, "LOOK_EVERY", 2)
    monkeypatch.setattr(unet, "SHOWN", 1)
    monkeypatch.setattr(unet, "SHOWN_CLASSES", 2)
    rng = np.random.default_rng(0)
    images = np.zeros((200, 28, 28), np.uint8)
    for image in images:
        top, bottom = sorted(rng.integers(0, 28, 2))
        left, right = sorted(rng.integers(0, 28, 2))
        shape = bottom - top + 1, right - left + 1
        image[top : bottom + 1, left : right + 1] = rng.integers(60, 255, shape)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    data = TrainingImages(padded, np.arange(200) % 10, measured_words(images))
    tokenizer = build_tokenizer(vocabulary(load_attributes(), tuple(TINTS), WORDS))
    preset = PRESETS["mini-32"]
    short = {name: replace(s, steps=2, batch_size=8) for name, s in preset.schedules.items()}
    sized = replace(preset, schedules=short)
    work = Work(data, load_attributes(), tokenizer, tmp_path / "work", 0, sized)
    make(work, tmp_path, "", ("clip", "autoencoder", "unet"))
    losses = {
        path.stem: [json.loads(row)["loss"] for row in path.read_text().splitlines()]
        for path in work.folder.glob("*.jsonl")
    }
    assert losses["clip"] == pytest.approx([2.40669, 3.16719], rel=0.01)
    assert losses["critic"] == pytest.approx([2.30536, 2.4453], rel=0.01)
    assert losses["autoencoder"] == pytest.approx([2.24282, 1.40078], rel=0.01)
    assert losses["unet"] == pytest.approx([0.44438, 0.17743], rel=0.01)
    for name, size in (("decoded", (512, 64)), ("samples", (32, 64))):
        with Image.open(work.folder / f"{name}-000002.png") as sheet:
            assert sheet.size == size


def test_own_captions_take_turns_with_made_ones() -> None:
    data, table = replace(_images(2), texts=("a bright scarf", "")), load_attributes()
    work = Work(data, table, None, Path(), 0)
    rows = np.zeros(400, np.int64)
    said = work.captions(np.random.default_rng(0), rows, rows)
    assert 0.4 < np.mean([text == "a bright scarf" for text in said]) < 0.6
    assert "" not in work.captions(np.random.default_rng(0), rows + 1, rows)
    learnt = known_phrases(table, (), (), ("a bright scarf",) * 20 + ("a plush hat",) * 19)
    assert learnt["captions"] == ("a", "bright", "scarf")


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
