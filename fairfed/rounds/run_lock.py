"""Whose a run directory is: whether a run wrote it, which of its files, who is at work in it."""

from __future__ import annotations

import fcntl
import logging
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation.files import write_whole
from fairfed.config import Config, load_model
from fairfed.config.differing import differing
from fairfed.rounds.progress_file import PROGRESS
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

CONFIG = "config.toml"
LOCK = ".lock"
OWN = (
    "checkpoints/*.npz", "rounds.jsonl", "data.json", "federation.json", "columns.json",
    "clients.json", "lora.safetensors", "results.json", "results.md", "report.html", "report.json",
    "synthetic/*.json", "synthetic/gallery/*.png", "unseen/*.json", PROGRESS,
)  # fmt: skip
"""Files that runs of all kinds write, beside their configuration."""
FOLDERS = ("checkpoints", "synthetic/gallery", "synthetic", "unseen")
RESOLVED = frozenset((
    "name", "seed", "rounds", "engine", "workers", "out", "train", "semantic",
    "generator", "fairness", "arms",
))  # fmt: skip
"""Settings that every configuration has which a run wrote out, and hardly one written by hand."""

NO_FOLDER = "{path} is a file, and a run needs a directory; give another 'out'"
OTHER_RUN = (
    "{path} holds a run with another configuration: {differing}. A run keeps the settings that it "
    "began with; give this one another 'name' or 'out', or start over with --fresh"
)
FORMER = (
    "%s was written by an earlier version, with the same settings; it is read for this version and "
    "written anew"
)
NO_RUN = "{path} is not empty and holds no run; give another 'out', or empty it"
FOREIGN = (
    f"{{path}} is no run directory: its {CONFIG} was not written by a run, so nothing in it is "
    "touched; give another 'out'"
)
BUSY = (
    "{path}: another process is running this run; wait until it has ended, or stop it, or give "
    "another 'out'"
)


def check_folder(config: Config, fresh: bool = False) -> None:
    """Refuse a directory that is not this run's; `fresh`: that is no run's. Writes nothing."""
    path = config.run_directory
    stored = path / CONFIG
    if path.exists() and not path.is_dir():
        raise InputError(NO_FOLDER.format(path=path))
    if stored.is_file():
        if stored.read_bytes() == config.to_toml().encode():
            return
        if not _resolved(stored):
            raise InputError(FOREIGN.format(path=path))
        if load_model(Config, stored) == config:
            logger.warning(FORMER, stored)
            return
        if not fresh:
            found = differing(stored.read_text(encoding="utf-8"), config.to_toml())
            raise InputError(OTHER_RUN.format(path=path, differing=found))
    elif path.is_dir() and any(
        file.name not in (LOCK, PROGRESS, f"{CONFIG}.part") for file in path.iterdir()
    ):
        raise InputError(NO_RUN.format(path=path))


def _resolved(stored: Path) -> bool:
    """Whether a file is a run's configuration, as a run writes it out."""
    try:
        load_model(Config, stored)
    except InputError:
        return False
    tree = tomllib.loads(stored.read_text(encoding="utf-8"))
    return tree.keys() >= RESOLVED


@contextmanager
def run_lock(config: Config) -> Iterator[None]:
    """Work in a run's own directory while no other process does; `InputError` if one does."""
    check_folder(config)
    with _alone(config.run_directory):
        yield


def is_busy(path: Path) -> bool:
    """Whether a process is at work in a directory."""
    if not (path / LOCK).is_file():
        return False
    try:
        with _alone(path):
            return False
    except InputError:
        return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the directory's lock, which the system releases when the process dies.

    The file is never removed: a process could hold the removed one, and another the next.
    """
    path.mkdir(parents=True, exist_ok=True)
    with (path / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(BUSY.format(path=path)) from error
        except OSError as error:  # a file system without locks
            logger.warning("%s cannot be locked (%s): run it in one process alone", path, error)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def clear(config: Config) -> None:
    """Remove what a run has written into its directory, and nothing else; it is this run's then."""
    check_folder(config, fresh=True)
    path = config.run_directory
    if not (path / CONFIG).is_file():
        return
    with _alone(path):
        for pattern in OWN:
            for file in (*path.glob(pattern), *path.glob(f"{pattern}.part")):
                file.unlink()
        for folder in FOLDERS:
            if (path / folder).is_dir() and not any((path / folder).iterdir()):
                (path / folder).rmdir()
        # Replaced last, not removed: until then, and beside files of the user, it marks a run.
        write_whole(path / CONFIG, config.to_toml().encode())
