"""Noised sums that a client releases once: drawn at home, kept in its state, sent again if asked.

The noise comes from the operating system and not from the run's seed, which the server knows and
could undo. A second draw would tell more than the first, so there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, RecordDict

from semantic.release import NoisedPrototypes

if TYPE_CHECKING:
    from semantic.release import NoisedPrototypes

RELEASE = "release"
_ARRAYS = ("counts", "sums", "variances")


def kept(context: Context, key: str, make: Callable[[], NoisedPrototypes]) -> RecordDict:
    """What a client answers: its noised sums, the same ones whenever it is asked.

    Parameters
    ----------
    context
        The client's state, which keeps them.
    key
        Their name in it.
    make
        Draws them; called the first time only.
    """
    what, state = f"{key}-what", context.state
    if key not in state.array_records:
        plain = make().to_json()
        arrays = {name: Array(np.asarray(plain.pop(name), np.float64)) for name in _ARRAYS}
        state[key] = ArrayRecord(arrays)
        state[what] = ConfigRecord({"json": json.dumps(plain)})
    return RecordDict({"arrays": state.array_records[key], RELEASE: state.config_records[what]})


def read(answer: RecordDict) -> NoisedPrototypes:
    """One client's noised sums."""
    plain = json.loads(str(answer.config_records[RELEASE]["json"]))
    arrays = answer.array_records["arrays"]
    return NoisedPrototypes.from_json(
        {**plain, **{name: arrays[name].numpy().tolist() for name in _ARRAYS}}
    )
