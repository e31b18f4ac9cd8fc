"""`python -m generators.training`: make the bundled weights, or continue making them."""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from generators.idx import DEBIAN_DIRECTORY
from generators.training.autoencoder import train_autoencoder
from generators.training.captions import known_phrases, vocabulary
from generators.training.clip import save_clip, train_clip
from generators.training.dataset import Work, load_training_images
from generators.training.export import export
from generators.training.loop import Schedule
from generators.training.prototype import SCHEDULE as PROJECTION_SCHEDULE
from generators.training.prototype import save_projection, train_projection
from generators.training.text import build_tokenizer, difference, text_encoder_of, tokenize
from generators.training.unet import SCHEDULE as UNET_SCHEDULE
from generators.training.unet import save_pipeline, train_unet
from semantic.attributes import AttributeTable, load_attributes
from semantic.errors import InputError
from semantic.measures import WORDS
from semantic.naming import CROSSED
from semantic.tint import TINTS

STAGES = ("clip", "autoencoder", "unet", "prototype", "export")


def main() -> None:
    """Run the stages that are asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=DEBIAN_DIRECTORY)
    parser.add_argument("--exclude", type=Path, default=Path("fairfed/bundled/fashion_mnist.npz"))
    parser.add_argument("--work", type=Path, default=Path(".work/weights"))
    parser.add_argument("--stage", choices=STAGES, action="append", help="default: every stage")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unet-steps", type=int, default=UNET_SCHEDULE.steps)
    parser.add_argument(
        "--without", action="append", default=[], metavar="CLASS[ × TINT]",
        help="a class or a cell that no network may see; may be given several times",
    )  # fmt: skip
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    table = load_attributes()
    training, _ = load_training_images(options.images, options.exclude)
    if options.without:
        training = training.without(*left_out(options.without, table))
    tokenizer = build_tokenizer(vocabulary(table, tuple(TINTS), WORDS))
    work = Work(training, table, tokenizer, options.work, options.seed)
    for stage in options.stage or STAGES:
        if stage == "clip":
            save_clip(train_clip(work), tokenizer, work.folder / "clip")
        if stage == "autoencoder":
            vae = train_autoencoder(training, work.folder, work.seed)
            vae.save_pretrained(work.folder / "vae")
        if stage == "unet":
            _make_unet(work, replace(UNET_SCHEDULE, steps=options.unet_steps))
        if stage == "prototype":
            _make_projection(work)
        if stage == "export":
            export(work.folder, known_phrases(table, tuple(TINTS), WORDS))


def left_out(names: list[str], table: AttributeTable) -> tuple[list[int], list[tuple[int, int]]]:
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


def _load_clip(work: Work) -> Any:
    import open_clip

    clip, _, _ = open_clip.create_model_and_transforms(f"local-dir:{work.folder / 'clip'}")
    return clip.eval()


def _make_unet(work: Work, schedule: Schedule) -> None:
    """Train the UNet on the finished CLIP and autoencoder, and write the pipeline's directory."""
    from diffusers import AutoencoderKL

    clip, tokenizer = _load_clip(work), work.tokenizer
    text_encoder = text_encoder_of(clip, tokenizer.eos_token_id)
    apart = difference(clip, text_encoder, tokenize(tokenizer, ["a photo of a red bag", ""]))
    if apart > 1e-4:
        raise RuntimeError(f"the converted text encoder differs by {apart}")
    vae = AutoencoderKL.from_pretrained(work.folder / "vae").eval()
    unet = train_unet(work, text_encoder, vae, schedule)
    folder = work.folder / "stable-diffusion"
    save_pipeline(unet, vae, text_encoder, tokenizer, folder, torch.float16)


def _make_projection(work: Work) -> None:
    """Train the projection of image embeddings for the finished pipeline in the work's folder."""
    from diffusers import StableDiffusionPipeline

    folder = work.folder / "stable-diffusion"
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    save_projection(train_projection(work, _load_clip(work), pipe, PROJECTION_SCHEDULE), folder)


if __name__ == "__main__":
    main()
