"""Options that several commands have, and the configuration that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fairfed.config import PipelineConfig


def argument(text: str, metavar: str | None = None) -> Any:
    """An argument by its help, which shows no default."""
    return typer.Argument(metavar=metavar, help=text, show_default=False)


def option(text: str, *names: str) -> Any:
    """An option by its help, which shows no default; it is called as its parameter, or so."""
    return typer.Option(*names, help=text, show_default=False)


Override = Annotated[
    list[str] | None, option("Replace a setting, as NAME=VALUE (train.lr=0.1).", "--set", "-s")
]
ConfigFile = Annotated[Path | None, option("Configuration file (TOML).", "--config")]
SiteFile = Annotated[Path, argument("The site's site.toml.", "SITE")]


def pipeline_config(
    data: str | None, path: Path | None, overrides: list[str] | None
) -> PipelineConfig:
    """Configuration of an augmentation, with the data of the command line in the file's place."""
    from fairfed.config import PipelineConfig, load_model

    source = [f"data.source={_quoted(data)}"] if data is not None else []
    return load_model(PipelineConfig, path, [*(overrides or ()), *source])


def _quoted(text: str) -> str:
    """As a TOML string; a bare path such as `1.5` would be read as a number."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
