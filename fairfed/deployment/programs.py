"""Flower's programs as they are started here: where they are, what they are told."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from fairfed import __version__
from fairfed.engines.flower_cli import HOME, QUIET
from semantic.errors import InputError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def environment(home: Path, threads: int | None) -> dict[str, str]:
    """What a process of Flower's finds in its environment.

    `home` is Flower's directory, for its configuration and what it unpacks; a process computes with
    one thread unless `threads` says more.
    """
    return {
        **QUIET,
        "PYTHONUNBUFFERED": "1",
        **dict.fromkeys(THREADS, str(threads or 1)),
        HOME: str(home),
        # Flower starts programs of its own by their names alone.
        "PATH": os.pathsep.join((str(_programs()), "/usr/local/bin", "/usr/bin", "/bin")),
    }


def _programs() -> Path:
    """Where the programs of this installation are."""
    return Path(sys.executable).parent


def program(name: str) -> str:
    """The path of a program of this installation."""
    return str(_programs() / name)


def nginx() -> str:
    """The path of nginx; `InputError` if it is not installed."""
    found = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))
    if found is None:
        raise InputError(
            "nginx is not installed, and without it everybody could command the sites; install it "
            "(apt-get install nginx, or brew install nginx), and start again"
        )
    return found


def versions() -> dict[str, str]:
    """What must be the same everywhere."""
    return {"fairfed": __version__, "flwr": version("flwr")}


def node_configuration(site: Path) -> str:
    """What a SuperNode tells fairfed's app: the path of the site's file, if Flower can take it."""
    path = str(site.absolute())
    if "'" not in path:
        return f"site='{path}'"
    if '"' in path or "\\" in path:
        raise InputError(f"{path}: Flower takes no path with ' and with \" or \\; move the file")
    return f'site="{path}"'


def unit_word(word: str) -> str:
    """A word of a command or of an environment as a systemd unit takes it."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return plain if plain and not set(plain) & set(" '\"\\;#") else f'"{plain}"'


def unit_command(words: Sequence[str]) -> str:
    """A command as a systemd unit takes it."""
    return " ".join(map(unit_word, words))


def unit_environment(values: Mapping[str, str]) -> list[str]:
    """An environment as lines of a systemd unit, which knows no `$` there."""
    return [
        f"Environment={unit_word(f'{name}={value}').replace('$$', '$')}"
        for name, value in values.items()
    ]
