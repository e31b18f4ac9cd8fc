"""The sections of adapting foundation models: CLIP as classifier, Stable Diffusion to a domain."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairfed.config.base import Section

Adaptation = Literal["full", "head", "bias", "lora", "prompt"]
Rate = Annotated[float, Field(gt=0)]
Rates = Annotated[dict[Adaptation | Literal["scratch"], Rate], Field(strict=False)]


class AdaptConfig(Section):
    """What of a pretrained CLIP is trained and communicated, with `model = "clip"`."""

    method: Adaptation = Field(
        "lora",
        description="`full`: the image tower and the class vectors. `head`: the class vectors "
        "alone, which begin as the text embeddings of the classes. `bias`: they and the biases of "
        "the image tower. `lora`: these and low-rank changes of its layers. `prompt`: context "
        "vectors of the text tower that all classes share; there are no class vectors.",
    )
    rank: int = Field(1, ge=1, description="Rank of `lora`.")
    context: str = Field(
        "a photo of a",
        min_length=1,
        description="`prompt`: the words whose embeddings the context vectors begin as, one each.",
    )
    lr: Rates = Field(
        default_factory=dict,
        description="Learning rates by method, e.g. `{ full = 0.01, prompt = 0.5 }`, instead of "
        "`train.lr`. `scratch`: of arms with `from_scratch`, which otherwise have that of `full`.",
    )


class SpecialiseConfig(Section):
    """Domain specialisation: the generator learns the clients' images, federated, by LoRA.

    Its presence alone asks for it. Clients need no labels.
    """

    rank: int = Field(4, ge=1, description="Rank of the LoRA on the UNet's attention.")
    steps: int = Field(20, ge=1, description="Steps of a client in a round.")
    batch_size: int = Field(16, ge=1, description="Images in a step.")
    lr: float = Field(1e-3, gt=0, description="Learning rate (AdamW, anew in every round).")
    caption: Literal["empty", "clip"] = Field(
        "clip",
        description="What the UNet is told of an image: `empty`, nothing; `clip`, the prompt of "
        "the cell that CLIP finds likeliest (a client's labels stay unused).",
    )
    caption_drop: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of captions replaced by the empty prompt, for classifier-free guidance.",
    )
    held_out: int = Field(
        32,
        ge=1,
        description="Test images of a client, at most, on which the loss of every round is "
        "measured.",
    )
