"""`python -m generators.training`: make the bundled weights, or continue making them."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import torch

from generators.idx import DEBIAN_DIRECTORY
from generators.training.autoencoder import train_autoencoder
from generators.training.captions import vocabulary
from generators.training.clip import CONTEXT, build_clip, save_clip, tokenize, train_clip
from generators.training.dataset import TrainingImages, load_training_images
from generators.training.export import export
from generators.training.text_encoder import difference, text_encoder_of
from generators.training.tokenizer import build_tokenizer
from generators.training.unet import save_pipeline, train_unet
from semantic.attributes import AttributeTable, load_attributes
from semantic.measures import BINS
from semantic.tint import TINTS

STAGES = ("clip", "autoencoder", "unet", "export")


def main() -> None:
    """Run the stages that are asked for, in order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, default=DEBIAN_DIRECTORY)
    parser.add_argument("--exclude", type=Path, default=Path("fairfed/bundled/fashion_mnist.npz"))
    parser.add_argument("--work", type=Path, default=Path(".work/weights"))
    parser.add_argument("--stage", choices=STAGES, action="append", help="default: every stage")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    logging.basicConfig(level=logging.INFO, format="%(message)s")

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
        if stage == "unet":
            _make_unet(training, table, tokenizer, options.work, options.seed)
        if stage == "export":
            export(options.work)


def _load_clip(tokenizer: Any, work: Path, seed: int) -> Any:
    from safetensors.torch import load_file

    clip = build_clip(len(tokenizer), seed)
    clip.load_state_dict(load_file(work / "clip" / "open_clip_model.safetensors"))
    return clip.eval()


def _make_unet(
    training: TrainingImages, table: AttributeTable, tokenizer: Any, work: Path, seed: int
) -> None:
    """Train the UNet on the finished CLIP and autoencoder, and write the pipeline's directory."""
    from diffusers import AutoencoderKL

    clip = _load_clip(tokenizer, work, seed)
    text_encoder = text_encoder_of(clip, tokenizer.eos_token_id)
    apart = difference(clip, text_encoder, tokenize(tokenizer, ["a photo of a red bag", ""]))
    if apart > 1e-4:
        raise RuntimeError(f"the converted text encoder differs by {apart}")
    vae = AutoencoderKL.from_pretrained(work / "vae").eval()
    unet = train_unet(training, table, tokenizer, text_encoder, vae, work, seed)
    folder = work / "stable-diffusion"
    save_pipeline(unet, vae, text_encoder, tokenizer, folder, torch.float16)


if __name__ == "__main__":
    main()
