"""From the working folder of a training to the weights that the package ships."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from generators.diffusion import BUNDLED_MODEL
from semantic.encoder import BUNDLED_CLIP, hash_file
from semantic.known_words import write_known_words

LOGS = ("clip", "critic", "autoencoder", "unet", "projection")


ABOUT = "the ten classes of Fashion-MNIST in four tints"


def export(work: Path, phrases: Mapping[str, Iterable[str]]) -> None:
    """Copy models and training logs from `work` into the packages, and write their checksums.

    The models can be asked for these phrases, by kind.
    """
    for made, bundled in (
        (work / "clip", BUNDLED_CLIP),
        (work / "stable-diffusion", BUNDLED_MODEL),
    ):
        if bundled.is_dir():
            shutil.rmtree(bundled)
        shutil.copytree(made, bundled)
        write_known_words(bundled, ABOUT, phrases)
    logs = BUNDLED_MODEL.parent / "training-log"
    logs.mkdir(exist_ok=True)
    for name in LOGS:
        source = work / f"{name}.jsonl"
        if source.is_file():
            shutil.copyfile(source, logs / source.name)
    for folder in (BUNDLED_CLIP.parent, BUNDLED_MODEL.parent):
        write_checksums(folder)


def write_checksums(folder: Path) -> None:
    """Write `checksums.json`: SHA-256 of every file in a folder, by relative path."""
    name = "checksums.json"
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != name)
    sums = {str(path.relative_to(folder)): hash_file(path) for path in files}
    (folder / name).write_text(json.dumps(sums, indent=2) + "\n", encoding="utf-8")
