"""What coordinators compute: the clustering, and the two levels of meta training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flwr.app import ArrayRecord
from numpy.typing import NDArray

from fairfed.config.peers import MetaName, PeersConfig
from fairfed.rounds.arrays import Model, decode, encode, flaw
from fairfed.systems.peers.meta import merge, passed_up
from fairfed.systems.peers.profiles import cluster_peers
from fairfed.systems.peers.state import PeerState


@dataclass(frozen=True)
class Rules:
    """What all peers of a run agree on beforehand.

    Attributes
    ----------
    kind
        The meta update.
    settings
        The section `[peers]`.
    lr
        Learning rate behind the gradients of `fomaml`.
    """

    kind: MetaName
    settings: PeersConfig
    lr: float


def make_plan(state: PeerState, settings: PeersConfig) -> dict[int, int] | None:
    """Cluster the reachable peers whose profile is known; None where the old plan still holds.

    It no longer holds when somebody reachable is not in it, or has drifted. Who is reachable and in
    it, but whose profile has been lost, goes where most of its cluster goes.
    """
    reachable = {peer: state.profiles[peer] for peer in state.heard if peer in state.profiles}
    drifted = any(state.heard[peer].drifted for peer in reachable)
    if not reachable or not (drifted or set(reachable) - set(state.plan)):
        return None
    plan = cluster_peers(reachable, settings.clusters, settings.histogram)
    unknown = sorted(state.heard.keys() & state.plan.keys() - plan.keys())
    return plan | {peer: _with_its_cluster(peer, state.plan, plan) for peer in unknown}


def _with_its_cluster(peer: int, before: Mapping[int, int], now: Mapping[int, int]) -> int:
    """The new cluster of most that shared a peer's old one; of equals the lowest number."""
    mates = [now[other] for other in sorted(now) if before.get(other) == before[peer]]
    return min(mates or now.values(), key=lambda cluster: (-mates.count(cluster), cluster))


def cluster_level(
    rules: Rules, start: ArrayRecord, tasks: Sequence[ArrayRecord]
) -> tuple[ArrayRecord | None, ArrayRecord | None, int]:
    """Merge the tasks of a cluster.

    Returns
    -------
    The cluster's model, what the other coordinators are sent (both None if no task could be used),
    and how many tasks were refused: of another shape, or not finite.
    """
    model = decode(start)
    sent = _usable(tasks, model)
    if not sent:
        return None, None, len(tasks)
    merged = merge(rules.kind, model, sent, rules.settings.cluster_step, rules.lr)
    up = passed_up(rules.kind, merged, sent)
    return encode(merged), encode(up), len(tasks) - len(sent)


def global_level(
    rules: Rules, start: ArrayRecord, clusters: Sequence[ArrayRecord]
) -> ArrayRecord | None:
    """Merge what the coordinators sent; clusters count equally, however many peers they have."""
    model = decode(start)
    sent = _usable(clusters, model)
    if not sent:
        return None
    return encode(merge(rules.kind, model, sent, rules.settings.global_step, rules.lr))


def _usable(records: Sequence[ArrayRecord], like: Mapping[str, NDArray[Any]]) -> list[Model]:
    """The models (or gradients) that fit and are finite."""
    found = []
    for record in records:
        try:
            model = decode(record)
        except ValueError:  # unreadable bytes: as useless as another shape
            continue
        if flaw(model, like) is None:
            found.append(model)
    return found
