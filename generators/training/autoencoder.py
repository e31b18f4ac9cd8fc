"""The miniature autoencoder, trained on pixels and on what a small classifier sees in them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generators.training.dataset import TrainingImages, Work
from generators.training.loop import device, train
from generators.training.presets import LATENT_CHANNELS, Preset
from generators.training.sheets import write_sheet

SEEN_WEIGHT = 0.5
"""Weight of the classifier's features beside the pixels' L1 and squared errors."""
KL_WEIGHT = 1e-5
SHOWN = 16
"""Images on a sheet, with what the autoencoder makes of them below."""


class Critic(nn.Module):
    """Small classifier whose features say which details of an image matter."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        widths = (3, 24, 48, 96)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=1 if before == 3 else 2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in pairwise(widths)
        )
        self.head = nn.Linear(widths[-1], classes)

    def features(self, images: Tensor) -> list[Tensor]:
        """Activations of every block."""
        found = []
        for block in self.blocks:
            images = block(images)
            found.append(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Class logits."""
        logits: Tensor = self.head(self.features(images)[-1].mean((2, 3)))
        return logits


def build_autoencoder(preset: Preset, seed: int) -> Any:
    """Untrained `AutoencoderKL`; of 32 pixels: 32 × 32 × 3 to 8 × 8 × 8."""
    from diffusers import AutoencoderKL

    torch.manual_seed(seed)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(preset.autoencoder),
        up_block_types=("UpDecoderBlock2D",) * len(preset.autoencoder),
        block_out_channels=preset.autoencoder,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=preset.image_size,
        scaling_factor=1.0,
    )


def _bf16() -> Any:
    """Half-precision arithmetic where the processor has units for it; elsewhere it is slower."""
    where = device().type
    fast = where == "cuda" or torch.cpu._is_amx_tile_supported()
    return torch.autocast(where, torch.bfloat16, enabled=fast)


def train_critic(work: Work) -> Critic:
    """Train the classifier whose features the autoencoder must keep."""
    data = work.data
    torch.manual_seed(work.seed)
    critic = Critic(len(work.table.classes))
    labels = torch.from_numpy(data.labels)

    def loss_of(rng: np.random.Generator, _: torch.Generator, size: int) -> Tensor:
        rows, tints = data.batch(rng, size)
        logits = critic(torch.from_numpy(data.seen(rows, tints)).to(device()))
        return functional.cross_entropy(logits, labels[rows].to(device()))

    train("critic", critic, loss_of, work.schedule("critic"), work.folder, work.seed)
    return critic.eval().requires_grad_(False)


def train_autoencoder(work: Work) -> Any:
    """Train the autoencoder and scale its latents to mean 0 and standard deviation 1."""
    data = work.data
    critic = train_critic(work).to(device()).to(memory_format=torch.channels_last)
    model = build_autoencoder(work.preset, work.seed).to(memory_format=torch.channels_last)

    def loss_of(rng: np.random.Generator, noise: torch.Generator, size: int) -> Tensor:
        images = torch.from_numpy(data.seen(*data.batch(rng, size)))
        images = images.to(device(), memory_format=torch.channels_last)
        with _bf16():
            posterior = model.encode(images).latent_dist
            decoded = model.decode(posterior.sample(generator=noise)).sample
            seen = sum(
                functional.l1_loss(found, wanted)
                for found, wanted in zip(
                    critic.features(decoded), critic.features(images), strict=True
                )
            )
        error = decoded.float() - images
        pixels = error.abs().mean() + error.square().mean()
        loss: Tensor = pixels + SEEN_WEIGHT * seen + KL_WEIGHT * posterior.kl().mean()
        return loss

    def look(step: int) -> None:
        shown = np.arange(min(SHOWN, len(data.images)))
        images = torch.from_numpy(data.seen(shown, np.zeros_like(shown))).to(device())
        both = torch.cat([images, model.decode(model.encode(images).latent_dist.mean).sample])
        pixels = (both.float().cpu().permute(0, 2, 3, 1).numpy() + 1) / 2
        write_sheet(work.folder / f"decoded-{step:06}.png", pixels, len(shown))

    pace = work.schedule("autoencoder")
    train("autoencoder", model, loss_of, pace, work.folder, work.seed, look=look)
    model = model.to(memory_format=torch.contiguous_format)
    normalise_latents(model, data)
    return model.eval()


@torch.no_grad()
def encode_all(model: Any, data: TrainingImages, view: int) -> Tensor:
    """Latent means of every image in one view, ``[n, 8, h, w]``."""
    model.to(device())
    parts = []
    for rows in np.array_split(np.arange(len(data.images)), -(-len(data.images) // 256)):
        with _bf16():
            images = torch.from_numpy(data.seen(rows, np.full(len(rows), view)))
            parts.append(model.encode(images.to(device())).latent_dist.mean.half().cpu())
    model.cpu()
    return torch.cat(parts)


@torch.no_grad()
def normalise_latents(model: Any, data: TrainingImages) -> None:
    """Fold a per-channel scaling of the latents into the two 1 × 1 convolutions around them.

    `StableDiffusionPipeline` knows one scaling factor and ignores a shift; folded in, the scaling
    is exact and needs neither.
    """
    few = data.rows(np.arange(min(2000, len(data.images))))
    latents = torch.cat([encode_all(model, few, view).float() for view in range(few.views)])
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    into, outof = model.quant_conv, model.post_quant_conv
    into.weight[:LATENT_CHANNELS] /= deviation[:, None, None, None]
    into.bias[:LATENT_CHANNELS] = (into.bias[:LATENT_CHANNELS] - mean) / deviation
    into.bias[LATENT_CHANNELS:] -= 2 * deviation.log()
    outof.bias += (outof.weight[:, :, 0, 0] * mean).sum(1)
    outof.weight *= deviation[None, :, None, None]
