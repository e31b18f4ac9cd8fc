"""What is set of a Stable Diffusion: the model, its additions, its solver and its guidance."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from semantic.errors import InputError

BUNDLED_MODEL = Path(str(files("generators") / "bundled" / "stable-diffusion"))
"""diffusers directory of the miniature Stable Diffusion that comes with the package."""

BUNDLED_SIZE = 32
"""Side of the images that it was trained on; at twice the side it draws two garments."""

SCHEDULERS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "default": None,
    "dpmsolver++": ("DPMSolverMultistepScheduler", {"timestep_spacing": "trailing"}),
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing", "clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    "unipc": ("UniPCMultistepScheduler", {"timestep_spacing": "trailing"}),
    "lcm": ("LCMScheduler", {}),
}
"""Solvers by name: diffusers' class and what is set beside the model's own noise schedule.

`default` keeps the solver that the model's directory names.
"""

DTYPES = ("float32", "float16", "bfloat16")


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
        Classifier-free guidance scale; 1 and below switch guidance off. A model distilled for
        consistency (LCM) reads it as an input and needs no second evaluation.
    image_size
        Side of an image in pixels. The bundled model makes `BUNDLED_SIZE`; others what the number
        of times that their networks halve it allows.
    dtype
        One of `DTYPES`.
    device
        torch's device name, or `"auto"` for CUDA where there is any.
    batch_size
        Images per forward pass. Every batch is filled up to it, because the arithmetic of an image
        may depend, in its last bits, on the size of its batch but not on its company.
    lora
        LoRA files, `"FILE"` or `"FILE:WEIGHT"`, added to the networks with their weights.
    embeddings
        Files of textual inversion, `"FILE"` or `"FILE=TOKEN"`. Without a token, the one that the
        file names, or else the file's own name between angle brackets.
    negative
        Negative prompt of requests that have none of their own.
    prompt_noise
        Standard deviation of Gaussian noise on the prompt's embedding, relative to the embedding's
        root mean square (see `generators.diffusion.conditions.with_noise`).
    strength
        How far a request with a source image departs from it: share of the steps run, above 0 to 1.
    guidance_from, guidance_until
        Shares of the noise schedule between which guidance acts, 0 (pure noise) to 1 (the image);
        outside, the prompt alone conditions, at half the cost (Kynkäänniemi et al. 2024,
        arXiv 2404.07724).
    safety_checker
        Keep the model's safety checker, which turns what it takes offence at black.
    allow_unknown
        Make images also from prompts with words that the model says it does not know.

    Raises
    ------
    InputError
        If a value is not among those above.
    """

    model: str = "bundled"
    scheduler: str = "dpmsolver++"
    steps: int = 8
    guidance: float = 2.0
    image_size: int = 32
    dtype: str = "float32"
    device: str = "auto"
    batch_size: int = 64
    lora: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    negative: str = ""
    prompt_noise: float = 0.0
    strength: float = 0.6
    guidance_from: float = 0.0
    guidance_until: float = 1.0
    safety_checker: bool = False
    allow_unknown: bool = False

    def __post_init__(self) -> None:
        if self.scheduler not in SCHEDULERS:
            raise InputError(
                f"generator.scheduler {self.scheduler!r} is unknown; "
                f"choose one of {', '.join(SCHEDULERS)}"
            )
        if self.dtype not in DTYPES:
            raise InputError(
                f"generator.dtype {self.dtype!r} is unknown; choose one of {', '.join(DTYPES)}"
            )
        wrong = unfit_size(self.model, self.image_size)
        if wrong:
            raise InputError(wrong)
        if not 0 < self.strength <= 1:
            raise InputError(
                f"generator.strength is {self.strength}; it must lie above 0 and not above 1"
            )
        if not 0 <= self.guidance_from < self.guidance_until <= 1:
            raise InputError(
                f"generator.guidance_from {self.guidance_from} and guidance_until "
                f"{self.guidance_until} are no interval within 0 to 1"
            )


def unfit_size(model: str, image_size: int) -> str:
    """Why a model cannot make images of a side, as far as its name says; empty where it can."""
    if model != "bundled" or image_size == BUNDLED_SIZE:
        return ""
    return (
        f"data.image_size is {image_size}, and the bundled generator was trained on images of "
        f"{BUNDLED_SIZE} pixels a side and draws no others; set data.image_size = {BUNDLED_SIZE}, "
        "or give another generator.model"
    )


def lora_file(entry: str) -> tuple[Path, float]:
    """File and weight of an entry of `DiffusionSettings.lora`; 1 where it names no weight."""
    head, _, tail = entry.rpartition(":")
    try:
        return (Path(head), float(tail)) if head else (Path(entry), 1.0)
    except ValueError:
        return Path(entry), 1.0


def embedding_file(entry: str) -> tuple[Path, str | None]:
    """File and token of an entry of `DiffusionSettings.embeddings`; None where it names none."""
    if "=" not in entry:
        return Path(entry), None
    name, _, token = entry.rpartition("=")
    return Path(name), token
