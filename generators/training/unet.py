"""The miniature UNet: velocity prediction on the autoencoder's latents, conditioned on captions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.training.autoencoder import encode_all
from generators.training.dataset import CLIP, VAE, TrainingImages, Work
from generators.training.loop import device, train
from generators.training.presets import LATENT_CHANNELS, Preset
from generators.training.sheets import write_sheet
from generators.training.text import WIDTH, hidden_states
from semantic.encoder import hash_file

SHOWN, SHOWN_CLASSES = 8, 12
"""Images of a class, and classes, on a sheet of what the UNet makes so far."""
CAPTION_DROP = 0.1
"""Share of captions replaced by the empty prompt, for classifier-free guidance."""
SNR_CLIP = 5.0
"""Min-SNR weighting (Hang et al. 2023, arXiv 2303.09556)."""
NOISE = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
}
"""Stable Diffusion's noise schedule, with velocity prediction."""


def build_unet(preset: Preset, seed: int) -> Any:
    """Untrained `UNet2DConditionModel`; every level but the first attends to the prompt."""
    further = len(preset.unet) - 1
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    return UNet2DConditionModel(
        sample_size=preset.latent_size,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        layers_per_block=1,
        block_out_channels=preset.unet,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * further),
        up_block_types=(*("CrossAttnUpBlock2D",) * further, "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def all_latents(vae: Any, data: TrainingImages, folder: Path) -> Tensor:
    """Latents of every image in every view, ``[n_views, n, 8, h, w]``, kept in `folder`.

    Those of an autoencoder that has gone on learning since are made again.
    """
    path = folder / f"latents-{weights_of(folder, VAE)[:16]}.pt"
    if not path.is_file():
        for former in folder.glob("latents*.pt"):
            former.unlink()
        torch.save(torch.stack([encode_all(vae, data, v) for v in range(data.views)]), path)
    latents: Tensor = torch.load(path, weights_only=True)
    return latents


def weights_of(folder: Path, *networks: str) -> str:
    """What stands for finished networks of a working folder, by the names of their directories."""
    files = (path for name in networks for path in sorted((folder / name).rglob("*.safetensors")))
    return "".join(map(hash_file, files))


def velocity_loss(model: Any) -> Callable[[Tensor, Tensor, torch.Generator], Tensor]:
    """Weighted error of a UNet's velocities at random times.

    A function of clean latents ``[n, 8, h, w]``, conditioning ``[n, tokens, WIDTH]`` and the source
    of noise and times.
    """
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(num_train_timesteps=1000, **NOISE)
    alphas = scheduler.alphas_cumprod.to(device())

    def loss_of(clean: Tensor, conditioning: Tensor, noise_rng: torch.Generator) -> Tensor:
        noise = torch.randn(clean.shape, generator=noise_rng).to(device())
        time = torch.randint(0, 1000, (len(clean),), generator=noise_rng).to(device())
        noisy = scheduler.add_noise(clean, noise, time)
        target = scheduler.get_velocity(clean, noise, time)
        found = model(noisy, time, conditioning).sample
        snr = alphas[time] / (1 - alphas[time])
        weight = snr.clamp(max=SNR_CLIP) / (snr + 1)
        loss: Tensor = (weight * (found - target).square().mean((1, 2, 3))).mean()
        return loss

    return loss_of


def train_unet(work: Work, text_encoder: Any, vae: Any) -> Any:
    """Train the UNet on random views and captions."""
    model = build_unet(work.preset, work.seed).to(memory_format=torch.channels_last)
    loss_of_noise = velocity_loss(model)
    latents = all_latents(vae, work.data, work.folder)

    def loss_of(rng: np.random.Generator, noise_rng: torch.Generator, size: int) -> Tensor:
        rows, views = work.data.batch(rng, size)
        texts = np.array(work.captions(rng, rows, views))
        texts = np.where(rng.random(size) < CAPTION_DROP, "", texts)
        told = hidden_states(text_encoder, work.tokenizer, list(texts))
        clean = latents[torch.from_numpy(views), torch.from_numpy(rows)].float().to(device())
        return loss_of_noise(clean, told, noise_rng)

    def look(step: int) -> None:
        pipe = pipeline(model, vae.to(device()), text_encoder, work.tokenizer)
        pipe.set_progress_bar_config(disable=True)
        prompts = [f"a photo of a {noun}" for noun in work.table.prompts[:SHOWN_CLASSES]]
        draws = [torch.Generator().manual_seed(i) for _ in prompts for i in range(SHOWN)]
        made = pipe(
            [prompt for prompt in prompts for _ in range(SHOWN)], generator=draws,
            height=work.preset.image_size, width=work.preset.image_size,
            num_inference_steps=8, guidance_scale=2.0, output_type="np",
        ).images  # fmt: skip
        write_sheet(work.folder / f"samples-{step:06}.png", made, SHOWN)

    text_encoder.to(device())
    of = weights_of(work.folder, VAE, CLIP)
    train("unet", model, loss_of, work.schedule("unet"), work.folder, work.seed, of=of, look=look)
    vae.cpu()
    text_encoder.cpu()
    return model.to(memory_format=torch.contiguous_format).eval()


def pipeline(unet: Any, vae: Any, text_encoder: Any, tokenizer: Any) -> Any:
    """The networks as a `StableDiffusionPipeline`: its `save_pretrained` writes them."""
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    solver = DPMSolverMultistepScheduler(
        **NOISE,
        algorithm_type="dpmsolver++",
        solver_order=2,
        timestep_spacing="trailing",
        steps_offset=1,
    )
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=solver,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
