"""A generator and its CLIP from captioned images: the stages, and the directory that comes out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from generators.training.autoencoder import train_autoencoder
from generators.training.captions import known_phrases
from generators.training.clip import save_clip, train_clip
from generators.training.dataset import CLIP, PIPELINE, VAE, Work
from generators.training.prototype import save_projection, train_projection
from generators.training.text import difference, text_encoder_of, tokenize
from generators.training.unet import pipeline, train_unet
from generators.writing import explained, replace_whole
from semantic.attributes import AttributeTable, write_table
from semantic.encoder import hash_file
from semantic.errors import InputError
from semantic.known_words import write_known_words
from semantic.naming import CROSSED
from semantic.tint import TINTS

EXPORT = "export"
STAGES = ("clip", "autoencoder", "unet", "prototype", EXPORT)
ATTRIBUTES = "attributes.csv"
"""Table of classes and attributes, beside the directories of CLIP and of the pipeline."""
CHECKSUMS = "checksums.json"
BEGUN = "begun.json"
"""What a training was begun with, in its working folder."""
OTHER = (
    "{out} is not empty, and has no training to go on with (a folder 'work'); name a directory "
    "that is empty or new"
)
NOT_SAME = (
    "{folder} was begun with other {what}; give the same to go on, another --out to begin anew, or "
    "remove {out}"
)
MISSING = "{path} is not there yet: run stage {stage!r} first"


def make(work: Work, out: Path, about: str, stages: Sequence[str] = STAGES) -> None:
    """Run stages in their order; each goes on from its checkpoint in the work's folder.

    `about` says what the models have seen, in words.
    """
    _check_same(work, out)
    actions: dict[str, Callable[[], None]] = {
        "clip": lambda: save_clip(train_clip(work), work, work.folder / CLIP),
        "autoencoder": lambda: train_autoencoder(work).save_pretrained(work.folder / VAE),
        "unet": lambda: _make_unet(work),
        "prototype": lambda: _make_projection(work),
        EXPORT: lambda: export(work, out, about),
    }
    for stage in STAGES:
        if stage in stages:
            actions[stage]()


def _check_same(work: Work, out: Path) -> None:
    """Refuse a directory of something else, and a training of other images or networks."""
    path = work.folder / BEGUN
    if out.is_dir() and any(out.iterdir()) and not work.folder.is_dir():
        raise InputError(OTHER.format(out=out))
    data, content = work.data, hashlib.sha256()
    for part in (data.images, data.labels):
        content.update(np.ascontiguousarray(part).tobytes())
    said = (work.table.prompts, work.table.attributes, data.groups, data.texts, data.left_out)
    content.update(repr(said).encode())
    now = {
        "images and captions": content.hexdigest(),
        "preset": f"{work.preset.image_size} pixels",
        "seed": work.seed,
        "words": len(work.tokenizer),
    }
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        other = [name for name, value in now.items() if before.get(name) != value]
        if other:
            raise InputError(NOT_SAME.format(folder=work.folder, what=", ".join(other), out=out))
    else:
        work.folder.mkdir(parents=True, exist_ok=True)
        replace_whole(path, (json.dumps(now, indent=1) + "\n").encode())


def export(work: Work, out: Path, about: str) -> None:
    """Copy the models into `out`, with the words that they know and checksums of every file."""
    data = work.data
    phrases = known_phrases(work.table, data.said_of_groups, data.measured, data.texts)
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
    vae = AutoencoderKL.from_pretrained(_made(work, VAE, "autoencoder")).eval()
    unet = train_unet(work, text_encoder, vae)
    whole = pipeline(unet, vae, text_encoder, tokenizer).to(torch.float16)
    whole.save_pretrained(work.folder / PIPELINE)


def _make_projection(work: Work) -> None:
    """Train the projection of image embeddings for the finished pipeline in the work's folder."""
    from diffusers import StableDiffusionPipeline

    folder = _made(work, PIPELINE, "unet")
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    save_projection(train_projection(work, _load_clip(work), pipe), folder)
