"""The configuration: one pydantic model, one TOML file, every field documented once."""

from __future__ import annotations

from fairfed.config.load import load_config, parse_config
from fairfed.config.model import Config
from fairfed.config.sections import (
    Arm,
    AugmentConfig,
    DataConfig,
    FairnessConfig,
    GeneratorConfig,
    PartitionConfig,
    SemanticConfig,
    TintConfig,
    TrainConfig,
)

__all__ = [
    "Arm",
    "AugmentConfig",
    "Config",
    "DataConfig",
    "FairnessConfig",
    "GeneratorConfig",
    "PartitionConfig",
    "SemanticConfig",
    "TintConfig",
    "TrainConfig",
    "load_config",
    "parse_config",
]
