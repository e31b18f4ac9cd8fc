"""The Stable Diffusion family behind the `Generator` protocol, deterministic per request."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from generators.diffusion.adapters import adapter_hashes
from generators.diffusion.conditions import Conditions, Kind, kind_of
from generators.diffusion.families import load_networks
from generators.diffusion.settings import DiffusionSettings
from generators.requests import Generator, Image, Request
from semantic.errors import InputError
from semantic.own_code import OWN, own_class

if TYPE_CHECKING:
    from torch import Tensor


class StableDiffusionGenerator:
    """A pipeline of the Stable Diffusion family behind the `Generator` protocol.

    Attributes
    ----------
    weights
        Identity of the weights alone: hash of the model's directory, or the hub's commit.
    fingerprint
        Hash of weights, additions and settings; the device is not part of it.
    batch_size
        Images per forward pass.

    Raises
    ------
    InputError
        If the model or one of its additions is not to be had, or of no family known here; on
        generating, if a request asks for what the model cannot do.
    """

    def __init__(self, settings: DiffusionSettings) -> None:
        self.settings = settings
        self._networks = load_networks(settings)
        self._conditions = Conditions(self._networks, settings)
        self._threads = threading.local()
        # Stable Diffusion XL's pipelines move the shared autoencoder to float32 and back.
        whole = settings.dtype == "float32"
        self._guard: AbstractContextManager[Any] = nullcontext() if whole else threading.RLock()
        self.weights = self._networks.identity
        self.fingerprint = _fingerprint(settings, self.weights)
        self.batch_size = settings.batch_size

    def refuse(self, request: Request) -> None:
        """Refuse a request for what the model cannot do, as generating would."""
        self._conditions.refuse(request)
        self._conditions.refuse_texts(request, self._pipeline())

    def generate(self, requests: Sequence[Request]) -> Image:
        """Images of the requests, ``[n, size, size, 3]``."""
        size, step = self.settings.image_size, self.settings.batch_size
        images = np.zeros((len(requests), size, size, 3), np.uint8)
        kinds: dict[Kind, list[int]] = {}
        for row, request in enumerate(requests):
            kinds.setdefault(kind_of(request), []).append(row)
        for kind, rows in kinds.items():
            for start in range(0, len(rows), step):
                chosen = rows[start : start + step]
                padded = chosen + [chosen[-1]] * (step - len(chosen))
                with self._guard:
                    made = self._generate_batch(kind, [requests[row] for row in padded])
                images[chosen] = made[: len(chosen)]
        return images

    def _pipeline(self, from_image: bool = False) -> Any:
        """The thread's own pipeline: networks are shared, a solver keeps state and is not."""
        networks = self._networks
        name = networks.from_image if from_image else networks.from_noise
        if name is None:
            raise InputError(
                f"generator.model {self.settings.model!r} cannot start from an image (img2img); "
                "choose another model, or make these cells from noise"
            )
        if not hasattr(self._threads, name):
            setattr(self._threads, name, networks.pipeline(name, self.settings))
        return getattr(self._threads, name)

    def _generate_batch(self, kind: Kind, batch: list[Request]) -> Image:
        import torch

        pipe = self._pipeline(kind.has_source)
        randoms = [torch.Generator().manual_seed(request.seed) for request in batch]
        start = (
            self._from_sources(batch, pipe) if kind.has_source else self._from_noise(randoms, pipe)
        )
        pipe.unet.guided = self._conditions.guided
        pipe.unet.weights = self._conditions.weights(batch)
        with torch.no_grad():
            found = pipe(
                **self._conditions.embed(pipe, batch),
                **start,
                generator=randoms,
                num_inference_steps=self.settings.steps,
                guidance_scale=self.settings.guidance,
                output_type="np",
            ).images
        # Half precision can overflow; such an image comes out black, and curation finds it.
        return np.asarray((np.nan_to_num(found) * 255).round(), dtype=np.uint8)

    def _from_noise(self, randoms: list[Any], pipe: Any) -> dict[str, Any]:
        """Arguments of a call that starts from each request's own noise."""
        import torch

        size = self.settings.image_size
        side = size // pipe.vae_scale_factor
        shape = (pipe.unet.config.in_channels, side, side)
        noise = torch.stack([torch.randn(shape, generator=random) for random in randoms])
        return {"latents": noise.to(pipe.device, pipe.unet.dtype), "height": size, "width": size}

    def _from_sources(self, batch: list[Request], pipe: Any) -> dict[str, Any]:
        """Arguments of a call that starts from each request's source image."""
        import torch

        strength, size = self.settings.strength, self.settings.image_size
        if int(self.settings.steps * strength) < 1:
            raise InputError(
                f"generator.strength {strength} of {self.settings.steps} steps is less than one "
                "step; raise generator.steps or generator.strength"
            )
        sources = [_fitted(request.source.pixels, size) for request in batch if request.source]
        pixels = torch.from_numpy(np.stack(sources)).permute(0, 3, 1, 2).float() / 255
        return {"image": pixels.to(pipe.device), "strength": strength}

    def autoencode(self, images: Image) -> Image:
        """Images through the pipeline's autoencoder (posterior mean), same shape."""
        parts = [np.zeros((0, *images.shape[1:]), np.uint8)]
        for start in range(0, len(images), self.settings.batch_size):
            with self._guard:
                parts.append(self._autoencode(images[start : start + self.settings.batch_size]))
        return np.concatenate(parts)

    def _autoencode(self, images: Image) -> Image:
        import torch

        vae = self._networks.components["vae"]
        dtype = vae.dtype
        # Stable Diffusion XL's autoencoder overflows in float16.
        upcast = dtype == torch.float16 and vae.config.force_upcast
        if upcast:
            vae.to(torch.float32)
        batch = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        pixels = batch.to(vae.device, vae.dtype) / 127.5 - 1
        with torch.no_grad():
            decoded = vae.decode(vae.encode(pixels).latent_dist.mean).sample
        if upcast:
            vae.to(dtype)
        return _bytes(decoded)


def _bytes(pixels: Tensor) -> Image:
    """Pixels from −1 to 1, ``[n, 3, H, W]``, as an image batch."""
    rendered = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).byte()
    found: Image = rendered.permute(0, 2, 3, 1).cpu().numpy()
    return found


def _fitted(pixels: Image, size: int) -> Image:
    """An image at the side that is generated."""
    if pixels.shape[:2] == (size, size):
        return pixels
    from PIL import Image as Pillow

    return np.asarray(Pillow.fromarray(pixels).resize((size, size), Pillow.Resampling.LANCZOS))


def _fingerprint(settings: DiffusionSettings, weights: str) -> str:
    fields = asdict(settings)
    for name in ("model", "device", "lora", "embeddings", "allow_unknown"):
        del fields[name]
    text = json.dumps(
        {"weights": weights, "added": adapter_hashes(settings), **fields}, sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_LOADING = threading.Lock()


def load_generator(settings: DiffusionSettings) -> Generator:
    """Generator for the settings, loaded once per process; safe to call from several threads.

    Where the model is named as `module:Class`, that class is called with the settings instead.

    Raises
    ------
    InputError
        If the model is not to be had, or the class is no generator.
    """
    with _LOADING:
        return _cached_generator(settings)


@lru_cache(maxsize=2)
def _cached_generator(settings: DiffusionSettings) -> Generator:
    if not OWN.fullmatch(settings.model):
        return StableDiffusionGenerator(settings)
    kind: Callable[[DiffusionSettings], Generator] = own_generator(settings.model)
    return kind(settings)


def own_generator(name: str) -> type[Any]:
    """The class of a user's own generator, which is not called yet; see `own_class`."""
    kind = own_class(name, "generator.model")
    lacking = [m for m in ("generate", "autoencode") if not hasattr(kind, m)]
    if lacking:
        raise InputError(
            f"generator.model {name!r} is no generator: it lacks {', '.join(lacking)} "
            "(generators.requests.Generator)"
        )
    return kind
