"""Options that several commands have, and the configuration that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairfed.config import PipelineConfig, load_model

Override = Annotated[
    list[str] | None,
    typer.Option(
        "--set", "-s", help="Replace a setting, as NAME=VALUE (train.lr=0.1).", show_default=False
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (TOML).", show_default=False)
]


def pipeline_config(
    data: str | None, path: Path | None, overrides: list[str] | None
) -> PipelineConfig:
    """Configuration of an augmentation, with the data of the command line in the file's place."""
    source = [f"data.source={_quoted(data)}"] if data is not None else []
    return load_model(PipelineConfig, path, [*(overrides or ()), *source])


def _quoted(text: str) -> str:
    """As a TOML string; a bare path such as `1.5` would be read as a number."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
