"""What an image costs here, remembered beside the images in the store."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from evaluation.files import write_json
from fairfed.augmentation.plan import Rate
from generators.store import ImageStore

SAMPLED_FILES = 64
"""Files whose sizes give an estimate of all."""


def _path(store: ImageStore) -> Path:
    return store.folder / "rate.json"


def _key(engine: str, workers: int) -> str:
    return f"{engine} {workers}" if engine == "ray" else engine


def read_rate(store: ImageStore, engine: str, workers: int) -> Rate | None:
    """The remembered rate of a way to make images, or None."""
    found = _read(_path(store)).get(_key(engine, workers))
    return Rate(found["seconds"], found["size"]) if found else None


def write_rate(store: ImageStore, engine: str, workers: int, seconds: float | None) -> Rate | None:
    """Remember the seconds of an image; None (nothing was made) remembers nothing."""
    if seconds is None:
        return None
    some = islice(store.folder.glob("images/*/*.png"), SAMPLED_FILES)
    sizes = [path.stat().st_size for path in some]
    rate = Rate(seconds, sum(sizes) / max(1, len(sizes)))
    known = _read(_path(store)) | {_key(engine, workers): asdict(rate)}
    write_json(_path(store), known)
    return rate


def _read(path: Path) -> dict[str, dict[str, float]]:
    """Rates by way; nothing where the file is absent or damaged: they are only remembered."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
