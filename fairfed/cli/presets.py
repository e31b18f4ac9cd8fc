"""`fairfed presets`: what there is."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from fairfed.presets import load_preset, preset_names

app = typer.Typer(add_completion=False)


@app.command()
def presets() -> None:
    """List the packaged configurations: what each is, and where it comes from."""
    console = Console()
    table = Table("Preset", "What it is", "Source", box=None, pad_edge=False, header_style="bold")
    for name in preset_names():
        preset = load_preset(name)
        table.add_row(name, preset.title, preset.source)
    console.print(table)
    console.print("Run one: fairfed run --preset NAME [CONFIG.toml] [--set NAME=VALUE]")
