"""`fairfed doctor`: whether everything is here that a run needs."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fairfed import __version__
from fairfed.cli.model_files import configured_devices, configured_models
from fairfed.systems import PACKAGES
from semantic.encoder import hash_file

BUNDLED = ("fairfed", "semantic", "generators")


def examine(config: Path | None = None) -> bool:
    """Print what was found; True if nothing that a run or `config` needs is lacking or damaged."""
    console = Console()
    console.print(
        f"fairfed {__version__} on Python {platform.python_version()}, {platform.platform()}"
    )
    sound = _print_packages(console)
    _print_devices(console)
    sound = _print_files(console) and sound
    return sound if config is None else _print_models(console, config) and sound


def _print_packages(console: Console) -> bool:
    table = Table("package", "version")
    missing = []
    for name in (*PACKAGES, "ray"):
        try:
            table.add_row(name, version(name))
        except PackageNotFoundError:
            optional = name == "ray"
            note = "not installed (only for engine = 'ray')" if optional else "[red]MISSING[/red]"
            table.add_row(name, note)
            if not optional:
                missing.append(name)
    console.print(table)
    if missing:
        console.print(f"[red]✗[/red] missing: {', '.join(missing)}; run 'make setup'")
    return not missing


def _print_devices(console: Console) -> None:
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    mps = ["Apple MPS"] if torch.backends.mps.is_available() else []
    console.print(f"Devices: {os.cpu_count()} CPU cores; {', '.join(gpus + mps) or 'no GPU'}")


def _print_files(console: Console) -> bool:
    """Compare every bundled file with the checksum it was shipped with."""
    sound = True
    for package in BUNDLED:
        folder = Path(str(files(package) / "bundled"))
        expected = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))
        wrong = [
            name
            for name, checksum in expected.items()
            if not (folder / name).is_file() or hash_file(folder / name) != checksum
        ]
        for name in wrong:
            console.print(f"[red]✗[/red] {folder / name}: missing or damaged; reinstall fairfed")
        if not wrong:
            console.print(f"[green]✓[/green] {package}: {len(expected)} bundled files are sound")
        sound = sound and not wrong
    return sound


def _print_models(console: Console, path: Path) -> bool:
    """Say which models of a configuration are on disk, and where what would be computed."""
    said = ", ".join(f"{what} on {where}" for what, where in configured_devices(path).items())
    console.print(f"With {escape(str(path))}: {said}", soft_wrap=True)
    models = configured_models(path)
    for model in models:
        name = f"{model.setting} = {escape(model.value)}"
        if model.missing:
            console.print(f"[red]✗[/red] {name}: {escape(model.missing)} missing")
            console.print(f"    {escape(model.remedy)}", soft_wrap=True)
        else:
            console.print(f"[green]✓[/green] {name}")
            if model.about:
                console.print(
                    f"    [yellow]![/yellow] it knows {escape(model.about)}, and no other classes",
                    soft_wrap=True,
                )
    return not any(model.missing for model in models)
