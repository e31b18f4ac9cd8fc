"""Who coordinates: pure functions of what a peer has heard, so that peers agree without a vote.

All peers hear the same announcements of a round, and so elect the same coordinators. A coordinator
that is not heard is not elected: re-election on failure needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Announcement:
    """What a peer says of itself at the beginning of a round.

    Attributes
    ----------
    cost
        What coordinating costs it, in any unit that all share.
    version
        Version of the clustering that it knows; 0: none.
    age
        Round of the model that it has; 0: the initial one.
    drifted
        Whether its prototypes have moved since it released them.
    """

    cost: float
    version: int
    age: int
    drifted: bool


def elect(costs: Mapping[int, float]) -> int:
    """The peer with the lowest cost; of equals the one with the lowest number.

    Raises
    ------
    ValueError
        If there is no peer.
    """
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
