"""Stable Diffusion through diffusers, deterministic per request."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from generators.requests import Image, Request
from semantic.encoder import hash_folder
from semantic.errors import InputError

BUNDLED_MODEL = Path(str(files("generators") / "bundled" / "stable-diffusion"))
"""diffusers directory of the miniature Stable Diffusion that comes with the package."""

SCHEDULERS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "default": None,
    "dpmsolver++": ("DPMSolverMultistepScheduler", {"timestep_spacing": "trailing"}),
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing", "clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "unipc": ("UniPCMultistepScheduler", {"timestep_spacing": "trailing"}),
}
"""Solvers by name: diffusers' class and what is set beside the model's own noise schedule.

`default` keeps the solver that the model's directory names.
"""


@dataclass(frozen=True)
class DiffusionSettings:
    """Everything but the request that changes an image.

    Attributes
    ----------
    model
        `"bundled"`, a diffusers directory, or a hub name.
    scheduler
        A key of `SCHEDULERS`.
    steps
        Solver steps, at least 1.
    guidance
        Classifier-free guidance scale; 1 switches guidance off.
    image_size
        Side of an image in pixels, a multiple of 8.
    dtype
        `"float32"`, `"float16"` or `"bfloat16"`.
    device
        torch's device name, or `"auto"` for CUDA where there is any.
    batch_size
        Images per forward pass. Every batch is filled up to it, because the arithmetic of an image
        may depend, in its last bits, on the size of its batch but not on its company.
    """

    model: str = "bundled"
    scheduler: str = "dpmsolver++"
    steps: int = 8
    guidance: float = 2.0
    image_size: int = 32
    dtype: str = "float32"
    device: str = "auto"
    batch_size: int = 64


class StableDiffusionGenerator:
    """`StableDiffusionPipeline` behind the `Generator` protocol.

    Raises
    ------
    InputError
        If the model is not on disk and cannot be fetched, or the scheduler is unknown.
    """

    def __init__(self, settings: DiffusionSettings) -> None:
        if settings.scheduler not in SCHEDULERS:
            raise InputError(
                f"generator.scheduler {settings.scheduler!r} is unknown; "
                f"choose one of {', '.join(SCHEDULERS)}"
            )
        self.settings = settings
        self._components, location = _load_components(settings)
        self._threads = threading.local()
        weights = hash_folder(location) if location else settings.model
        changing = {k: v for k, v in asdict(settings).items() if k not in ("model", "device")}
        text = json.dumps({"weights": weights, **changing}, sort_keys=True)
        self._fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._texts: dict[str, Any] = {}

    @property
    def fingerprint(self) -> str:
        """Hash of weights and settings; the device is not part of it."""
        return self._fingerprint

    @property
    def batch_size(self) -> int:
        """Images per forward pass."""
        return self.settings.batch_size

    def generate(self, requests: Sequence[Request]) -> Image:
        """Images of the requests, ``[n, size, size, 3]``."""
        size = self.settings.image_size
        images = np.zeros((len(requests), size, size, 3), np.uint8)
        step = self.settings.batch_size
        for start in range(0, len(requests), step):
            batch = list(requests[start : start + step])
            padded = batch + [batch[-1]] * (step - len(batch))
            images[start : start + len(batch)] = self._generate_batch(padded)[: len(batch)]
        return images

    def _pipeline(self) -> Any:
        """The thread's own pipeline: networks are shared, a solver keeps state and is not."""
        if not hasattr(self._threads, "pipeline"):
            self._threads.pipeline = _assemble(self._components, self.settings)
        return self._threads.pipeline

    def _generate_batch(self, batch: list[Request]) -> Image:
        import torch

        pipe = self._pipeline()
        side = self.settings.image_size // pipe.vae_scale_factor
        shape = (pipe.unet.config.in_channels, side, side)
        noise = [
            torch.randn(shape, generator=torch.Generator().manual_seed(request.seed))
            for request in batch
        ]
        guided = self.settings.guidance > 1
        with torch.no_grad():
            found = pipe(
                prompt_embeds=self._embed([request.prompt for request in batch]),
                negative_prompt_embeds=self._embed([""] * len(batch)) if guided else None,
                latents=torch.stack(noise).to(pipe.device, pipe.dtype),
                height=self.settings.image_size,
                width=self.settings.image_size,
                num_inference_steps=self.settings.steps,
                guidance_scale=self.settings.guidance,
                output_type="np",
            ).images
        return np.asarray((found * 255).round(), dtype=np.uint8)

    def _embed(self, prompts: list[str]) -> Any:
        """Text embeddings, each prompt encoded once per process; ``[n, tokens, width]``."""
        import torch

        for prompt in dict.fromkeys(prompts):
            if prompt not in self._texts:
                pipe = self._pipeline()
                _refuse_long(prompt, pipe.tokenizer)
                self._texts[prompt], _ = pipe.encode_prompt(prompt, pipe.device, 1, False)
        return torch.cat([self._texts[prompt] for prompt in prompts])

    def autoencode(self, images: Image) -> Image:
        """Images through the pipeline's autoencoder (posterior mean), same shape."""
        import torch

        vae = self._pipeline().vae
        parts = [np.zeros((0, *images.shape[1:]), np.uint8)]
        for start in range(0, len(images), self.settings.batch_size):
            batch = torch.from_numpy(images[start : start + self.settings.batch_size])
            pixels = batch.permute(0, 3, 1, 2).to(vae.device, vae.dtype) / 127.5 - 1
            with torch.no_grad():
                decoded = vae.decode(vae.encode(pixels).latent_dist.mean).sample
            rendered = ((decoded.float() + 1) * 127.5).round().clamp(0, 255).byte()
            parts.append(rendered.permute(0, 2, 3, 1).cpu().numpy())
        return np.concatenate(parts)


def _device(name: str) -> str:
    import torch

    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _load_components(settings: DiffusionSettings) -> tuple[dict[str, Any], Path | None]:
    """The networks of a pipeline, and the directory they came from (None for a hub model)."""
    import diffusers
    import torch
    import transformers

    # Bars for loading a few files would tear ours apart.
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    folder = BUNDLED_MODEL if settings.model == "bundled" else Path(settings.model)
    if folder.is_dir() and not (folder / "model_index.json").is_file():
        raise InputError(f"{folder} holds no model_index.json; it is no diffusers directory")
    try:
        pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
            str(folder) if folder.is_dir() else settings.model,
            dtype=getattr(torch, settings.dtype),
            safety_checker=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"generator.model {settings.model!r} is neither a diffusers directory nor a model that "
            f"the hub gives here ({str(error).splitlines()[0]}). Where there is a network, run "
            f"'hf download {settings.model}' once, or give 'bundled'."
        ) from error
    for network in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        network.requires_grad_(False).to(_device(settings.device))
    return dict(pipeline.components), folder if folder.is_dir() else None


def _assemble(components: dict[str, Any], settings: DiffusionSettings) -> Any:
    """A pipeline over shared networks with a solver of its own."""
    import diffusers

    own = components["scheduler"]
    chosen = SCHEDULERS[settings.scheduler]
    name, changes = chosen or (type(own).__name__, {})
    solver = getattr(diffusers, name).from_config({**own.config, **changes})
    pipeline = diffusers.StableDiffusionPipeline(
        **{**components, "scheduler": solver}, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _refuse_long(prompt: str, tokenizer: Any) -> None:
    """Refuse a prompt that the text encoder would cut off."""
    tokens, most = len(tokenizer(prompt)["input_ids"]), tokenizer.model_max_length
    if tokens > most:
        raise InputError(
            f"prompt {prompt!r} has {tokens} tokens, the model reads {most}; shorten it"
        )


_LOADING = threading.Lock()


def load_generator(settings: DiffusionSettings) -> StableDiffusionGenerator:
    """Generator for the settings, loaded once per process; safe to call from several threads."""
    with _LOADING:
        return _cached_generator(settings)


@lru_cache(maxsize=2)
def _cached_generator(settings: DiffusionSettings) -> StableDiffusionGenerator:
    return StableDiffusionGenerator(settings)
