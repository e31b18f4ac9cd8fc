"""Who takes part, who leaves, whose data drifts, what coordinating costs, and who coordinates.

The first four are the conditions of the experiment, draws by the seed; no peer asks here what
another one does. Elections are functions of what a peer has heard, so that peers agree without a
vote: all hear the same announcements of a round, and so elect the same coordinators. One that is
not heard is not elected: re-election on failure needs nothing else.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from fairfed.config.base import required
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


@dataclass(frozen=True)
class Announcement:
    """What a peer says of itself at the beginning of a round."""

    cost: float  # what coordinating costs it, in any unit that all share
    version: int  # version of the clustering that it knows; 0: none
    age: int  # round of the model that it has; 0: the initial one
    drifted: bool  # whether its prototypes have moved since it released them


def elect(costs: Mapping[int, float]) -> int:
    """The peer with the lowest cost; of equals the one with the lowest number."""
    return min(costs, key=lambda peer: (costs[peer], peer))


def leader_of(heard: Mapping[int, Announcement]) -> int:
    """The peer that clusters and receives newcomers: the cheapest of those that are up to date."""
    newest = max((one.version, one.age) for one in heard.values())
    return elect({p: h.cost for p, h in heard.items() if (h.version, h.age) == newest})


def coordinators(plan: Mapping[int, int], heard: Mapping[int, Announcement]) -> dict[int, int]:
    """Coordinator by cluster, of the clusters with a member that was heard."""
    reachable: dict[int, dict[int, float]] = {}
    for peer, cluster in plan.items():
        if peer in heard:
            reachable.setdefault(cluster, {})[peer] = heard[peer].cost
    return {cluster: elect(reachable[cluster]) for cluster in sorted(reachable)}
