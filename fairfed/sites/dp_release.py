"""Noised sums that a client releases once: drawn at home, kept there, sent again if asked.

The noise comes from the operating system and not from the run's seed, which the server knows and
could undo. A second draw would tell more than the first, so there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, RecordDict

from evaluation.files import write_whole
from generators.writing import explained
from semantic.release import NoisedPrototypes

RELEASE = "release"
_ARRAYS = ("counts", "sums", "variances")


def kept(
    context: Context, key: str, make: Callable[[], NoisedPrototypes], folder: Path | None = None
) -> RecordDict:
    """What a client answers: its noised sums, drawn once and the same ones whenever it is asked.

    They are kept in the client's state under `key`, and in the folder of a real site: on one
    machine the server's process has the client's state, and a run that is killed loses it.
    """
    what, state = f"{key}-what", context.state
    if key not in state.array_records:
        plain = _drawn_once(make, None if folder is None else folder / f"{key}.json")
        arrays = {name: Array(np.asarray(plain.pop(name), np.float64)) for name in _ARRAYS}
        state[key] = ArrayRecord(arrays)
        state[what] = ConfigRecord({"json": json.dumps(plain)})
    return RecordDict({"arrays": state.array_records[key], RELEASE: state.config_records[what]})


def _drawn_once(make: Callable[[], NoisedPrototypes], path: Path | None) -> dict[str, Any]:
    """The sums as JSON, from the file where there is one already."""
    if path is not None and path.is_file():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    made = make().to_json()
    if path is not None:  # on the disk before anything leaves
        with explained(path):
            write_whole(path, json.dumps(made).encode())
    return made


def read(answer: RecordDict) -> NoisedPrototypes:
    """One client's noised sums."""
    plain = json.loads(str(answer.config_records[RELEASE]["json"]))
    arrays = answer.array_records["arrays"]
    return NoisedPrototypes.from_json(
        {**plain, **{name: arrays[name].numpy().tolist() for name in _ARRAYS}}
    )
