"""LoRA and textual inversion: small files that add a style or a word to a model."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from generators.diffusion.settings import DiffusionSettings, embedding_file, lora_file
from semantic.encoder import hash_file
from semantic.errors import InputError


def adapter_hashes(settings: DiffusionSettings) -> list[tuple[str, float | str | None]]:
    """SHA-256 and weight or token of every file that is added; its path does not matter."""
    loras = [lora_file(entry) for entry in settings.lora]
    words = [embedding_file(entry) for entry in settings.embeddings]
    return [
        *((hash_file(path), weight) for path, weight in loras),
        *((hash_file(path), token or f"<{path.stem}>") for path, token in words),
    ]


def apply_adapters(pipeline: Any, settings: DiffusionSettings) -> None:
    """Add the LoRA and embedding files of the settings to a pipeline's networks, for good."""
    for entry in settings.lora:
        path, weight = lora_file(entry)
        _require(path, "generator.lora")
        _add_lora(pipeline, path, weight)
    for entry in settings.embeddings:
        path, token = embedding_file(entry)
        _require(path, "generator.embeddings")
        _add_embedding(pipeline, path, token)


def _require(path: Path, setting: str) -> None:
    if not path.is_file():
        raise InputError(
            f"{setting}: {path} is not there; put the file there, or fetch one with "
            f"'hf download REPOSITORY {path.name} --local-dir {path.parent}'"
        )


def _add_lora(pipeline: Any, path: Path, weight: float) -> None:
    """Merge a LoRA into the weights: nothing is left that costs time or that threads share."""
    try:
        with _loading_quietly():
            pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="added")
        if not pipeline.get_list_adapters():
            raise ValueError("no layer of it has a place in this model")
        pipeline.set_adapters("added", weight)
        pipeline.fuse_lora(components=list(pipeline.get_list_adapters()))
        pipeline.unload_lora_weights()
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"generator.lora: {path} does not fit the model ({error})") from error


@contextmanager
def _loading_quietly() -> Iterator[None]:
    """Keep diffusers from warning of a file that adapts the UNet alone, which most files do."""
    loaders = logging.getLogger("diffusers.loaders")
    before = loaders.level
    loaders.setLevel(logging.ERROR)
    try:
        yield
    finally:
        loaders.setLevel(before)


def _add_embedding(pipeline: Any, path: Path, token: str | None) -> None:
    """Teach the text encoders a word; Stable Diffusion XL's files hold one vector for each."""
    try:
        parts = _parts(path)
        if parts is None:
            pipeline.load_textual_inversion(str(path), token=token)
            return
        for suffix, key in (("", "clip_l"), ("_2", "clip_g")):
            pipeline.load_textual_inversion(
                parts[key],
                token=token or f"<{path.stem}>",
                text_encoder=getattr(pipeline, f"text_encoder{suffix}"),
                tokenizer=getattr(pipeline, f"tokenizer{suffix}"),
            )
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise InputError(
            f"generator.embeddings: {path} does not fit the model ({error})"
        ) from error


def _parts(path: Path) -> dict[str, Any] | None:
    """Tensors of a file for two text encoders, None of any other file."""
    if path.suffix != ".safetensors":
        return None
    from safetensors.torch import load_file

    tensors = load_file(path)
    return tensors if {"clip_l", "clip_g"} <= tensors.keys() else None
