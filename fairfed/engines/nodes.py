"""Waiting for the nodes of a grid."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flwr.serverapp import Grid

NO_NODES = "{found} of {needed} clients are there after {timeout:g} s: start them or wait longer"


def wait_for_nodes(grid: Grid, needed: int, timeout: float, poll: float = 0.1) -> list[int]:
    """Wait until ``needed`` nodes are there and return all node ids.

    Flower's simulation starts the ServerApp before its nodes exist, and Flower's own
    ``sample_nodes`` waits forever. Raises `TimeoutError` if there are fewer after `timeout`
    seconds.
    """
    deadline = time.monotonic() + timeout
    while len(nodes := list(grid.get_node_ids())) < needed:
        if time.monotonic() >= deadline:
            raise TimeoutError(NO_NODES.format(found=len(nodes), needed=needed, timeout=timeout))
        time.sleep(poll)
    return nodes
