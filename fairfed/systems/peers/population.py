"""Who takes part, who leaves, whose data drifts, and what coordinating costs: draws by the seed.

These are the conditions of the experiment; no peer asks here what another one does.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

from fairfed.config.base import required
from fairfed.systems.peers.election import elect

if TYPE_CHECKING:
    from fairfed.config.model import Agreement

COSTS = (1.0, 10.0)
"""Range of the costs that are drawn where a node's configuration names none."""


def unseen_peers(config: Agreement, clients: int) -> tuple[int, ...]:
    """Clients that take no part, ascending."""
    drawn = random.Random(f"{config.seed}/unseen").sample(
        range(clients), required(config.peers).unseen
    )
    return tuple(sorted(drawn))


def members(config: Agreement, clients: int) -> tuple[int, ...]:
    """Clients that take part, ascending."""
    unseen = unseen_peers(config, clients)
    return tuple(peer for peer in range(clients) if peer not in unseen)


def peer_cost(seed: int, peer: int) -> float:
    """What coordinating costs a peer of a simulation."""
    return random.Random(f"{seed}/cost/{peer}").uniform(*COSTS)


def leavers(config: Agreement, clients: int) -> tuple[int, ...]:
    """Peers that leave, ascending: the cheapest, which is a coordinator, and others by lot."""
    taking_part = members(config, clients)
    first = elect({peer: peer_cost(config.seed, peer) for peer in taking_part})
    others = [peer for peer in taking_part if peer != first]
    count = _share(config, len(taking_part))
    drawn = random.Random(f"{config.seed}/leave").sample(others, min(count - 1, len(others) - 1))
    return tuple(sorted([first, *drawn]))


def holder(config: Agreement, clients: int, peer: int, server_round: int) -> int:
    """Whose data a peer holds in a round: its own, or, once data drifts, another drifting peer's.

    The drifting peers pass their data on in a circle.
    """
    peers = required(config.peers)
    if not peers.drift_round or server_round < peers.drift_round:
        return peer
    taking_part = members(config, clients)
    count = min(max(2, _share(config, len(taking_part))), len(taking_part))
    circle = random.Random(f"{config.seed}/drift").sample(taking_part, count)
    return circle[circle.index(peer) - 1] if peer in circle else peer


def _share(config: Agreement, count: int) -> int:
    """How many peers the configured share is, at least one."""
    return max(1, math.ceil(required(config.peers).share * count))
