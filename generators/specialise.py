"""Domain specialisation: a Stable Diffusion's UNet goes on learning, by LoRA, on a few images.

The loss is that of its pretraining (Ho et al. 2020; Rombach et al. 2022): the squared error of what
the UNet predicts (noise or velocity) at random times. Images need no labels: their captions may be
empty, or somebody's guess. The result is a LoRA file that `generator.lora` reads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generators.diffusion.adapters import adapter_hashes
from generators.diffusion.families import load_networks
from generators.diffusion.settings import DiffusionSettings
from generators.lora import add_lora, copy_sharing_frozen, load_trained_part, trained_part
from generators.requests import Image
from semantic.errors import InputError

PROJECTIONS = ("to_q", "to_k", "to_v", "to_out.0")
"""The UNet's layers that are adapted: those of attention, as diffusers' own training does."""
FAMILY = "StableDiffusionPipeline"
WEIGHT_DECAY = 0.01
LARGEST_STEP = 1.0
"""Norm to which gradients are clipped."""

Part = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Examples:
    """Images as the UNet learns them, ``[n, channels, h, w]``, and the states of their captions."""

    latents: Tensor
    conditioning: Tensor


class Specialiser:
    """A pipeline whose UNet is trained by LoRA; safe to use from several threads.

    It is trained in float32, whatever `dtype` says, and must be a Stable Diffusion 1 or 2. The seed
    is that of the LoRA's first weights.
    """

    def __init__(self, settings: DiffusionSettings, rank: int, seed: int) -> None:
        from diffusers import DDPMScheduler

        self._settings = replace(settings, dtype="float32")
        networks = load_networks(self._settings)
        if networks.from_noise != FAMILY:
            raise InputError(
                f"generator.model {settings.model!r} is a {networks.from_noise}; [specialise] "
                f"trains Stable Diffusion 1 and 2 ({FAMILY}); choose one"
            )
        self._parts = networks.components
        self.identity = repr((networks.identity, adapter_hashes(settings)))
        unet = self._parts["unet"]
        layers = [n for n, m in unet.named_modules()
                  if isinstance(m, nn.Linear) and n.endswith(PROJECTIONS)]  # fmt: skip
        draw = torch.Generator().manual_seed(seed)
        self._unet = add_lora(unet, layers, rank, draw).to(unet.device).eval()
        config = {"clip_sample": False, **self._parts["scheduler"].config}
        self._noise: Any = DDPMScheduler.from_config(config)
        self._encoding = threading.Lock()

    @property
    def start(self) -> Part:
        """The LoRA to start from: it changes nothing yet."""
        return {name: value.clone() for name, value in trained_part(self._unet).items()}

    def prepare(self, images: Image, captions: Sequence[str]) -> Examples:
        """Encode images ``[n, H, W, 3]`` and their captions."""
        with self._encoding, torch.no_grad():
            return Examples(self._latents(images), self.describe(captions))

    def describe(self, captions: Sequence[str]) -> Tensor:
        """States of the text encoder, ``[n, tokens, width]``; a caption is encoded once."""
        tokenizer, encoder = self._parts["tokenizer"], self._parts["text_encoder"]
        unique = sorted(set(captions))
        tokens = tokenizer(
            unique, padding="max_length", max_length=tokenizer.model_max_length, truncation=True,
            return_tensors="pt",
        ).input_ids  # fmt: skip
        with torch.no_grad():
            states = [encoder(input_ids=row[None].to(encoder.device))[0] for row in tokens]
        found = torch.cat(states)
        return found[[unique.index(caption) for caption in captions]]

    def _latents(self, images: Image) -> Tensor:
        vae = self._parts["vae"]
        parts = []
        for start in range(0, len(images), self._settings.batch_size):
            batch = torch.from_numpy(images[start : start + self._settings.batch_size].copy())
            pixels = batch.permute(0, 3, 1, 2).to(vae.device, vae.dtype) / 127.5 - 1
            parts.append(vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor)
        return torch.cat(parts)

    def train(
        self,
        part: Part,
        examples: Examples,
        *,
        steps: int,
        batch_size: int,
        lr: float,
        caption_drop: float,
        generator: torch.Generator,
    ) -> tuple[Part, float]:
        """Train a LoRA from `part`, which is not changed, by AdamW; the result, and the mean loss.

        Batches are drawn without replacement until all examples had their turn. An image is shown
        with the empty caption with probability `caption_drop`.
        """
        unet = copy_sharing_frozen(self._unet)
        load_trained_part(unet, part)
        parameters = [p for p in unet.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=lr, weight_decay=WEIGHT_DECAY)
        empty, total = self.describe([""]), 0.0
        rows = _batches(len(examples.latents), steps, batch_size, generator)
        for batch in rows:
            dropped = torch.rand(len(batch), generator=generator) < caption_drop
            told = torch.where(
                dropped[:, None, None].to(empty.device), empty, examples.conditioning[batch]
            )
            optimiser.zero_grad(set_to_none=True)
            clean = examples.latents[batch]
            loss = self._errors(unet, clean, told, *self._draw(clean, generator)).mean()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, LARGEST_STEP)
            optimiser.step()
            total += loss.item()
        return {n: v.cpu() for n, v in trained_part(unet).items()}, total / steps

    def loss(self, part: Part, examples: Examples, generator: torch.Generator) -> float:
        """Sum of the losses of images; with an equal `generator`, at equal times and noise."""
        unet = copy_sharing_frozen(self._unet)
        load_trained_part(unet, part)
        noise, times = self._draw(examples.latents, generator)
        total = 0.0
        with torch.no_grad():
            for batch in torch.arange(len(noise)).split(self._settings.batch_size):
                shown = examples.latents[batch], examples.conditioning[batch]
                errors = self._errors(unet, *shown, noise[batch], times[batch])
                total += float(errors.double().sum())
        return total

    def _draw(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noise for latents, and a time of the noise schedule for each."""
        steps = self._noise.config.num_train_timesteps
        noise = torch.randn(clean.shape, generator=generator)
        times = torch.randint(0, steps, (len(clean),), generator=generator)
        return noise.to(clean.device), times.to(clean.device)

    def _errors(
        self, unet: Any, clean: Tensor, told: Tensor, noise: Tensor, time: Tensor
    ) -> Tensor:
        """Squared error of what is predicted of every image, ``[n]``."""
        found = unet(self._noise.add_noise(clean, noise, time), time, told).sample
        kind = self._noise.config.prediction_type
        if kind == "v_prediction":
            target = self._noise.get_velocity(clean, noise, time)
        else:
            target = noise if kind == "epsilon" else clean
        errors: Tensor = (found - target).square().mean((1, 2, 3))
        return errors


def lora_bytes(part: dict[str, np.ndarray[Any, np.dtype[Any]]]) -> bytes:
    """A LoRA as the file that `generator.lora` reads: safetensors, named as diffusers reads it."""
    from safetensors.numpy import save

    named = {f"unet.{name.replace('.default.', '.')}": value for name, value in part.items()}
    return save(named, metadata={"format": "pt"})


def _batches(count: int, steps: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Row numbers of every step; rows come again when all had their turn."""
    size = min(count, batch_size)
    turns = -(-steps * size // count)
    order = [torch.randperm(count, generator=generator) for _ in range(turns)]
    return list(torch.cat(order)[: steps * size].split(size))
