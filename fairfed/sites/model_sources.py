"""Where a machine has the models that a study names, and how it knows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fairfed.config import Config
from semantic.encoder import hash_file
from semantic.errors import InputError

ENCODER = "encoder"
"""Name of CLIP among the fingerprints of a study."""
WEIGHTS = "weights"
"""Name of a network's file of weights among the fingerprints of a study."""


@dataclass(frozen=True)
class ModelSources:
    """Where a machine has its models; never sent."""

    # As `semantic.encoder`, `generator.model`, `.lora` and `.embeddings` name them.
    encoder: str = "bundled"
    generator: str = "bundled"
    lora: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    device: str = "auto"  # as `generator.device`
    training: str = "cpu"  # where classifiers train
    # Directory of the store of synthetic images; None for the user's cache.
    store: str | None = None
    weights: str | None = None  # of the network that a study names


def weights_fingerprint(source: str) -> str:
    """SHA-256 of a file of weights; `InputError` if there is none."""
    if not Path(source).is_file():
        raise InputError(f"weights {source!r}: no such file; give a .safetensors or .pt file")
    return hash_file(Path(source))


def sources_of(config: Config) -> ModelSources:
    """The models of the machine that a run's configuration is of."""
    generator = config.generator
    return ModelSources(
        config.semantic.encoder, generator.model, generator.lora, generator.embeddings,
        generator.device, config.device, config.synthesis.store, config.weights,
    )  # fmt: skip
