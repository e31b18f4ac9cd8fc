"""The configuration: one pydantic model a command, one TOML file, every field documented once."""

from __future__ import annotations

from fairfed.config.data import DataConfig, PartitionConfig, TintConfig
from fairfed.config.federation import FederationConfig
from fairfed.config.labels import LabelSpace
from fairfed.config.load import load_config, load_model, parse_config, parse_model
from fairfed.config.model import Config
from fairfed.config.pipeline import PipelineConfig
from fairfed.config.sections import (
    Arm,
    FairnessConfig,
    GeneratorConfig,
    SemanticConfig,
    TrainConfig,
)
from fairfed.config.table import TableConfig

__all__ = [
    "Arm",
    "Config",
    "DataConfig",
    "FairnessConfig",
    "FederationConfig",
    "GeneratorConfig",
    "LabelSpace",
    "PartitionConfig",
    "PipelineConfig",
    "SemanticConfig",
    "TableConfig",
    "TintConfig",
    "TrainConfig",
    "load_config",
    "load_model",
    "parse_config",
    "parse_model",
]
