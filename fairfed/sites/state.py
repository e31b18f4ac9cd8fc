"""What a client keeps in its state from one round to the next."""

from __future__ import annotations

import logging

import numpy as np
from flwr.app import ArrayRecord, Context

logger = logging.getLogger("fairfed")


def keep(context: Context, key: str, record: ArrayRecord) -> None:
    """Keep a record under a key, unless training has diverged: then the one before stays.

    The server rejects a reply that is not finite and sends a good model again; a client that went
    on from what diverged would fail in every later round.
    """
    if all(np.isfinite(array.numpy()).all() for array in record.values()):
        context.state[key] = record
    else:
        logger.warning("training has diverged; the client goes on from its last good %r", key)
