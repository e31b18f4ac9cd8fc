"""One file that holds all a run needs to continue: arrays, strategy, clients, round.

The file is a NumPy archive without pickles. It is written beside its place, flushed to disk and
renamed, so that a crash leaves the old checkpoint or the new one and never half of either.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.files import write_whole
from semantic.errors import InputError

FORMAT = "fairfed-checkpoint"
VERSION = 1

UNREADABLE = (
    "checkpoint '{path}' cannot be read ({error}): it is truncated or no checkpoint of fairfed. "
    "Delete it to start from round 1"
)
OTHER_VERSION = (
    "checkpoint '{path}' has format version {found}, this program reads {expected}: continue with "
    "the program that wrote it, or delete it to start from round 1"
)


@dataclass(frozen=True)
class Checkpoint:
    """The state after a round."""

    round: int  # last finished round, >= 0
    arrays: Mapping[str, NDArray[Any]]  # the global model, in its order
    # What JSON can hold: the strategy's state and whatever the loop must remember.
    state: Mapping[str, Any] = field(default_factory=dict)
    # Serialised state of each client, by partition id, where the engine can give it.
    clients: Mapping[int, bytes] = field(default_factory=dict)
    # State of the strategy that is as large as a model (momenta).
    strategy: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint atomically, in place of the former; missing folders are created.

    Raises `ValueError` if ``state`` holds a number that is not finite, `TypeError` if it holds what
    JSON cannot.
    """
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "round": checkpoint.round,
        "names": list(checkpoint.arrays),
        "clients": sorted(checkpoint.clients),
        "strategy": list(checkpoint.strategy),
        "state": dict(checkpoint.state),
    }
    entries: dict[str, NDArray[Any]] = {"meta": _bytes(json.dumps(meta, allow_nan=False).encode())}
    for i, value in enumerate(checkpoint.arrays.values()):
        entries[f"array-{i}"] = np.asarray(value)
    for i, value in enumerate(checkpoint.strategy.values()):
        entries[f"strategy-{i}"] = np.asarray(value)
    for partition, data in checkpoint.clients.items():
        entries[f"client-{partition}"] = _bytes(data)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **entries)
    write_whole(path, buffer.getvalue())


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; `InputError` if it is missing, damaged, of another version or none."""
    try:
        return _read(path)
    except InputError:
        raise
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        zipfile.BadZipFile,
        zlib.error,
    ) as e:
        raise InputError(UNREADABLE.format(path=path, error=e or type(e).__name__)) from e


def _read(path: Path) -> Checkpoint:
    """Read a file that is trusted to be well-formed."""
    # our own file object: NumPy leaves its own open when the archive is damaged
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        meta = json.loads(archive["meta"].tobytes())
        if meta["format"] != FORMAT:
            raise ValueError(f"format is {meta['format']!r}")
        if meta["version"] != VERSION:
            raise InputError(
                OTHER_VERSION.format(path=path, found=meta["version"], expected=VERSION)
            )
        return Checkpoint(
            round=int(meta["round"]),
            arrays={name: archive[f"array-{i}"] for i, name in enumerate(meta["names"])},
            state=dict(meta["state"]),
            clients={int(p): archive[f"client-{p}"].tobytes() for p in meta["clients"]},
            # absent in checkpoints from before strategies had momenta
            strategy={n: archive[f"strategy-{i}"] for i, n in enumerate(meta.get("strategy", []))},
        )


def _bytes(data: bytes) -> NDArray[np.uint8]:
    """View bytes as an array that an archive can hold."""
    return np.frombuffer(data, np.uint8)
