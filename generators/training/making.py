"""A generator and its CLIP from captioned images: the stages, and the directory that comes out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from generators.training.autoencoder import train_autoencoder
from generators.training.captions import known_phrases
from generators.training.clip import save_clip, train_clip
from generators.training.dataset import Work
from generators.training.prototype import save_projection, train_projection
from generators.training.text import difference, text_encoder_of, tokenize
from generators.training.unet import save_pipeline, train_unet
from generators.writing import explained
from semantic.attributes import AttributeTable, write_table
from semantic.encoder import hash_file
from semantic.errors import InputError
from semantic.known_words import write_known_words
from semantic.measures import WORDS
from semantic.naming import CROSSED
from semantic.tint import TINTS

EXPORT = "export"
STAGES = ("clip", "autoencoder", "unet", "prototype", EXPORT)
CLIP, PIPELINE, ATTRIBUTES = "clip", "stable-diffusion", "attributes.csv"
"""What comes out: directories of open_clip and of diffusers, and the table of both."""
CHECKSUMS = "checksums.json"
MISSING = "{path} is not there yet: run stage {stage!r} first"


def make(work: Work, out: Path, about: str, stages: Sequence[str] = STAGES) -> None:
    """Run stages in their order; each goes on from its checkpoint in the work's folder.

    `about` says what the models have seen, in words.
    """
    actions: dict[str, Callable[[], None]] = {
        "clip": lambda: save_clip(train_clip(work), work, work.folder / CLIP),
        "autoencoder": lambda: train_autoencoder(work).save_pretrained(work.folder / "vae"),
        "unet": lambda: _make_unet(work),
        "prototype": lambda: _make_projection(work),
        EXPORT: lambda: export(work, out, about),
    }
    for stage in STAGES:
        if stage in stages:
            actions[stage]()


def export(work: Work, out: Path, about: str) -> None:
    """Copy the models into `out`, with the words that they know and checksums of every file."""
    phrases = known_phrases(work.table, work.data.said_of_groups, WORDS)
    with explained(out):
        for name in (CLIP, PIPELINE):
            source = _made(work, name, "unet" if name == PIPELINE else "clip")
            if (out / name).is_dir():
                shutil.rmtree(out / name)
            shutil.copytree(source, out / name)
            write_known_words(out / name, about, phrases)
        write_table(work.table, out / ATTRIBUTES)
        write_checksums(out)


def write_checksums(folder: Path) -> None:
    """Write `checksums.json`: SHA-256 of every file in a folder, by relative path."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != CHECKSUMS)
    sums = {str(path.relative_to(folder)): hash_file(path) for path in files}
    (folder / CHECKSUMS).write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")


def left_out(
    names: Sequence[str], table: AttributeTable
) -> tuple[list[int], list[tuple[int, int]]]:
    """Classes and cells (class, tint), by index, from names such as `Bag` and `Bag × red`."""
    classes, cells = [], []
    for name in names:
        class_name, _, tint = name.partition(CROSSED)
        if tint and tint not in TINTS:
            raise InputError(
                f"--without {name!r}: there is no tint {tint!r}; one of {', '.join(TINTS)}"
            )
        label = table.row(class_name)
        if tint:
            cells.append((label, tuple(TINTS).index(tint)))
        else:
            classes.append(label)
    return classes, cells


def _made(work: Work, name: str, stage: str) -> Path:
    path = work.folder / name
    if not path.is_dir():
        raise InputError(MISSING.format(path=path, stage=stage))
    return path


def _load_clip(work: Work) -> Any:
    import open_clip

    folder = _made(work, CLIP, "clip")
    clip, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return clip.eval()


def _make_unet(work: Work) -> None:
    """Train the UNet on the finished CLIP and autoencoder, and write the pipeline's directory."""
    from diffusers import AutoencoderKL

    clip, tokenizer = _load_clip(work), work.tokenizer
    text_encoder = text_encoder_of(clip, tokenizer.eos_token_id)
    apart = difference(clip, text_encoder, tokenize(tokenizer, ["a photo of a red bag", ""]))
    if apart > 1e-4:
        raise RuntimeError(f"the converted text encoder differs by {apart}")
    vae = AutoencoderKL.from_pretrained(_made(work, "vae", "autoencoder")).eval()
    unet = train_unet(work, text_encoder, vae)
    save_pipeline(unet, vae, text_encoder, tokenizer, work.folder / PIPELINE, torch.float16)


def _make_projection(work: Work) -> None:
    """Train the projection of image embeddings for the finished pipeline in the work's folder."""
    from diffusers import StableDiffusionPipeline

    folder = _made(work, PIPELINE, "unet")
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    save_projection(train_projection(work, _load_clip(work), pipe), folder)
