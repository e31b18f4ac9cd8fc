"""The sections of the configuration file that are not of the data.

Every field is described here and nowhere else: `fairfed.config.reference` makes the reference page
from these descriptions.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fairfed.config.arms import Arm as Arm
from fairfed.config.arms import Augmentation, Debias
from fairfed.config.arms import FairnessConfig as FairnessConfig
from fairfed.config.base import Device, Section, Strings
from semantic.naming import unfit_template

Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "cosine", "linear"]


class DpConfig(Section):
    """Training under differential privacy (DP-SGD)."""

    epsilon: float = Field(
        gt=0,
        description="ε that all rounds of an arm together may spend of each example of a client: "
        "the noise follows from it, the client's number of rows and `batch_size`.",
    )
    delta: float = Field(1e-5, gt=0, lt=1, description="δ; well below 1 / number of rows.")
    clip: float = Field(
        1.0, gt=0, description="Longest gradient of a single row (L2 norm); longer are shortened."
    )


class TrainConfig(Section):
    """Training at a client, in every round."""

    epochs: int = Field(1, ge=1, description="Passes over the client's images in a round.")
    batch_size: int = Field(32, ge=1, description="Images in a step.")
    optimizer: Optimizer = Field(
        "sgd",
        description="`sgd`, `adam` or `adamw`, as PyTorch has them. It begins anew in every round.",
    )
    lr: float = Field(0.05, gt=0, description="Learning rate; Adam wants about 0.001.")
    schedule: Schedule = Field(
        "constant",
        description="How the learning rate goes over the rounds of the run: `constant`, or from "
        "`lr` in the first round towards 0 behind the last, along a `cosine` or a line (`linear`).",
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum; Adam's first beta.")
    weight_decay: float = Field(
        0.0, ge=0, description="Weight decay (L2; with `adamw` decoupled from the gradient)."
    )
    accumulate: int = Field(
        1,
        ge=1,
        description="Batches whose gradients make one step: large steps in little memory. "
        "BatchNorm sees single batches.",
    )
    clip: float | None = Field(
        None, gt=0, description="Longest gradient of a step (L2 norm); longer ones are shortened."
    )
    batch_norm: Literal["averaged", "local"] = Field(
        "averaged",
        description="`local` (FedBN, Li et al. 2021): parameters and statistics of BatchNorm stay "
        "at each client, whose test rows are measured with its own. `averaged`: they travel as "
        "all others do.",
    )
    amp: bool = Field(
        False,
        description="Forward passes of training in bfloat16 where that is safe (`torch.autocast`): "
        "half the memory, faster on many GPUs, slower on most CPUs.",
    )
    dp: DpConfig | None = Field(
        None,
        description="Train under differential privacy: `{ epsilon, delta, clip }`. See "
        "`[train.dp]`.",
    )
    proximal: float = Field(
        0.0,
        ge=0,
        description="FedProx's µ: how strongly training pulls towards the received model.",
    )
    debias: Debias = Field(
        "none",
        description="`reweighing` (Kamiran & Calders): examples weigh as if group and class were "
        "independent at the client. `fairbatch` (Roh et al.): within every class the weight moves, "
        "round by round, to the groups with the larger error at the client.",
    )
    fairbatch_alpha: float = Field(
        0.1, ge=0, description="FairBatch's step: how far a difference of errors moves weight."
    )
    augmentation: Augmentation = Field(
        "none",
        description="Classical augmentation of every batch: `randaugment` (Cubuk et al. 2020: two "
        "random operations of strength 9 an image; pixels only) or `mixup` (Zhang et al. 2018: "
        "pairs of images and of labels are blended, shares from Beta(0.2, 0.2)).",
    )


def _filled_in(templates: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a template that cannot be filled in."""
    wrong = next(filter(None, map(unfit_template, templates)), None)
    if wrong:
        raise ValueError(wrong)
    return templates


class SemanticSettings(Section):
    """What classes mean, whatever the machine: prompts, and what may be unknown."""

    templates: Annotated[Strings, AfterValidator(_filled_in)] = Field(
        (),
        description="Prompt templates with the fields `{noun}` (the class) and `{group}`. Empty: "
        "those that the encoder was trained with.",
    )
    class_prompts: dict[str, str] = Field(
        default_factory=dict,
        description="What a class is called in prompts, by its name, instead of what the attribute "
        'table says: `{ nevus = "mole on skin" }`.',
    )
    group_prompts: dict[str, str] = Field(
        default_factory=dict,
        description="What a value of a sensitive column is called in prompts, by the value: "
        '`{ F = "of a woman", "61" = "elderly" }`. Words that begin with `of`, `with`, `on`, `in`, '
        "`at`, `from` or `by` follow the class, others stand before it.",
    )
    allow_unknown: bool = Field(
        False,
        description="Use CLIP and the generator also for classes that they do not know, and for "
        "groups that CLIP cannot tell apart. Without it they are refused, or left out of prompts "
        "and scores; with it every report says so.",
    )


class SemanticConfig(SemanticSettings):
    """What classes mean: CLIP, attributes and prompts."""

    encoder: str = Field(
        "bundled",
        description="CLIP: `bundled`, a directory in open_clip's format, or `MODEL/PRETRAINED` of "
        "open_clip (`ViT-B-32/laion2b_s34b_b79k`). A model without weights is refused.",
    )
    attributes: str = Field(
        "bundled",
        description="Class × attribute table: `bundled` (Fashion-MNIST), the path of a CSV file, "
        "or `names`: the class names alone, as they stand in the data.",
    )


class GeneratorSettings(Section):
    """How Stable Diffusion is asked for images, whatever the machine."""

    scheduler: str = Field(
        "dpmsolver++",
        description="Solver of the reverse process: `dpmsolver++`, `ddim`, `euler`, `unipc`, `lcm` "
        "(for LCM and its LoRA), or `default`, the model's own (for Turbo).",
    )
    steps: int = Field(8, ge=1, le=1000, description="Solver steps.")
    guidance: float = Field(
        2.0, ge=0, description="Guidance scale; 1 and below: no guidance, half the time."
    )
    guidance_from: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the noise schedule after which guidance begins to act.",
    )
    guidance_until: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the noise schedule after which guidance ends; the rest takes half "
        "the time.",
    )
    negative: str = Field("", description="Negative prompt: what images shall not show.")
    prompt_noise: float = Field(
        0.0,
        ge=0,
        description="Noise on the prompts' embeddings, for diversity: its standard deviation "
        "relative to the embedding's root mean square (SKA: 0.1).",
    )
    strength: float = Field(
        0.6,
        gt=0,
        le=1,
        description="How far an image made from a real one departs from it (img2img): share of the "
        "steps that are run.",
    )
    safety_checker: bool = Field(
        False,
        description="Keep the model's safety checker. Images that it blackens are rejected as "
        "blank.",
    )
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="Precision; on a CPU, `float32` is the fastest."
    )
    batch_size: int = Field(64, ge=1, description="Images generated together.")


class GeneratorConfig(GeneratorSettings):
    """Stable Diffusion, through diffusers."""

    model: str = Field(
        "bundled",
        description="`bundled`, a diffusers directory, or the name of a model on the hub: Stable "
        "Diffusion 1, 2, Turbo, XL, LCM or unCLIP. Or a generator of your own as `module:Class` "
        "([how](generators.md)).",
    )
    lora: Strings = Field(
        (), description="LoRA files that are added to the model, as `FILE` or `FILE:WEIGHT`."
    )
    embeddings: Strings = Field(
        (),
        description="Files of textual inversion, as `FILE` or `FILE=TOKEN`: words for prompts.",
    )
    device: Device = Field(
        "auto",
        description="`auto`, `cpu`, `cuda`, `cuda:1`, `mps`.",
    )
