"""`python -m generators.training`: make the bundled weights, or continue making them."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from generators.training.autoencoder import train_autoencoder
from generators.training.captions import vocabulary
from generators.training.clip import CONTEXT, save_clip, train_clip
from generators.training.dataset import load_training_images
from generators.training.tokenizer import build_tokenizer
from semantic.attributes import load_attributes
from semantic.measures import BINS
from semantic.tint import TINTS

STAGES = ("clip", "autoencoder", "unet", "export")


def main() -> None:
    """Run the stages that are asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--exclude", type=Path, default=Path("fairfed/bundled/fashion_mnist.npz"))
    parser.add_argument("--work", type=Path, default=Path(".work/weights"))
    parser.add_argument("--stage", choices=STAGES, action="append", help="default: every stage")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    table = load_attributes()
    training, _ = load_training_images(options.images, options.exclude)
    words = tuple(word for low in BINS.values() for word in (low[1], low[3], low[4]) if word)
    tokenizer = build_tokenizer(vocabulary(table, tuple(TINTS), words), CONTEXT)
    for stage in options.stage or STAGES:
        if stage == "clip":
            clip = train_clip(training, table, tokenizer, options.work, options.seed)
            save_clip(clip, tokenizer, options.work / "clip")
        if stage == "autoencoder":
            vae = train_autoencoder(training, options.work, options.seed)
            vae.save_pretrained(options.work / "vae")


if __name__ == "__main__":
    main()
