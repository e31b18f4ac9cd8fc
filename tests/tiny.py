"""Pipelines of every Stable Diffusion family with random weights, small enough for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    StableUnCLIPImg2ImgPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import (
    StableUnCLIPImageNormalizer,
)
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from generators.training.text import CONTEXT, build_tokenizer

WIDTH = 8
"""Width of every text encoder, and of every image embedding."""


def _tokenizer() -> Any:
    return build_tokenizer({"photo", "bag", "dress", "red"}, CONTEXT)


def _text_config(tokenizer: Any) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, max_position_embeddings=CONTEXT, eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id, pad_token_id=tokenizer.pad_token_id,
        projection_dim=WIDTH,
    )  # fmt: skip


def _unet(cross_attention_dim: int = WIDTH, **further: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, layers_per_block=1,
        block_out_channels=(8, 8), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=cross_attention_dim,
        attention_head_dim=1, norm_num_groups=2, **further,
    )  # fmt: skip


def _autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 8), latent_channels=4, norm_num_groups=2, sample_size=16,
        scaling_factor=1.0,
    )  # fmt: skip


def _common(unet: UNet2DConditionModel, scheduler: Any) -> dict[str, Any]:
    """Components that all families have."""
    tokenizer = _tokenizer()
    return {
        "vae": _autoencoder(),
        "text_encoder": CLIPTextModel(_text_config(tokenizer)),
        "tokenizer": tokenizer,
        "unet": unet,
        "scheduler": scheduler,
    }


UNCHECKED = {
    "safety_checker": None,
    "feature_extractor": None,
    "requires_safety_checker": False,
}
NOISE = {"beta_schedule": "scaled_linear", "steps_offset": 1}


def _version_1() -> Any:
    return StableDiffusionPipeline(
        **_common(_unet(), DPMSolverMultistepScheduler(**NOISE)), **UNCHECKED
    )


def _version_2() -> Any:
    scheduler = DPMSolverMultistepScheduler(**NOISE, prediction_type="v_prediction")
    unet = _unet(use_linear_projection=True)
    return StableDiffusionPipeline(**_common(unet, scheduler), **UNCHECKED)


def _turbo() -> Any:
    scheduler = EulerAncestralDiscreteScheduler(**NOISE, timestep_spacing="trailing")
    return StableDiffusionPipeline(**_common(_unet(), scheduler), **UNCHECKED)


def _consistency() -> Any:
    unet = _unet(time_cond_proj_dim=8)
    scheduler = LCMScheduler(beta_schedule="scaled_linear")
    return LatentConsistencyModelPipeline(**_common(unet, scheduler), **UNCHECKED)


def _xl() -> Any:
    unet = _unet(
        2 * WIDTH,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )
    tokenizer = _tokenizer()
    return StableDiffusionXLPipeline(
        **_common(unet, DPMSolverMultistepScheduler(**NOISE)),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer)),
        tokenizer_2=tokenizer,
    )


def _unclip() -> Any:
    vision = CLIPVisionConfig(
        hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1,
        image_size=16, patch_size=8, projection_dim=WIDTH,
    )  # fmt: skip
    unet = _unet(class_embed_type="projection", projection_class_embeddings_input_dim=2 * WIDTH)
    return StableUnCLIPImg2ImgPipeline(
        **_common(unet, DPMSolverMultistepScheduler(**NOISE)),
        feature_extractor=CLIPImageProcessor(),
        image_encoder=CLIPVisionModelWithProjection(vision),
        image_normalizer=StableUnCLIPImageNormalizer(WIDTH),
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
    )


FAMILIES = {
    "sd1": _version_1,
    "sd2": _version_2,
    "turbo": _turbo,
    "lcm": _consistency,
    "xl": _xl,
    "unclip": _unclip,
}


def save_tiny_pipeline(folder: Path, family: str = "sd1") -> Path:
    """Write a diffusers directory of 16 × 16 images."""
    torch.manual_seed(0)
    FAMILIES[family]().save_pretrained(folder)
    return folder
