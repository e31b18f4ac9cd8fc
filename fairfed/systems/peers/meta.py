"""What coordinators compute: the clustering, and the meta updates of two levels.

A level is given what its tasks (or clusters) sent, and where they started. Tasks count equally,
whatever their size: a task is the unit of meta-learning.

Normalisation statistics (BatchNorm's running mean and variance) and integer arrays have no
gradient. What is sent holds them as they were after training; a level takes their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord

from fairfed.config.peers import MetaName, PeersConfig
from fairfed.rounds.arrays import Model, decode, encode
from fairfed.strategies.aggregate import is_parameter, stepped, weighted_mean
from fairfed.strategies.replies import RejectedReply, read_model
from fairfed.systems.peers.profiles import cluster_peers
from fairfed.systems.peers.state import PeerState


def mean(sent: Sequence[Model]) -> Model:
    """The unweighted mean of models or gradients, summed in the order given; of none, an error."""
    return weighted_mean(sent, [1 / len(sent)] * len(sent) if sent else [])


def reptile(start: Model, models: Sequence[Model], step: float) -> Model:
    """Reptile's outer update, ``start + step · (mean - start)`` (Nichol et al. 2018, batched).

    The models are where the training ended that began at `start`; a step of 1 gives their mean.
    """
    return stepped(start, mean(models), step)


def fomaml(start: Model, gradients: Sequence[Model], step: float) -> Model:
    """First-order MAML's outer update, ``start - step · mean gradient`` (Finn et al. 2017).

    The gradients are of the query loss at the adapted parameters, under the names of `start`;
    statistics and integer arrays are no gradients, and are averaged. The step includes the rate.
    """
    merged = mean(gradients)
    for name, value in start.items():
        if is_parameter(name, value):
            wide = value.astype(np.float64) - step * merged[name].astype(np.float64)
            merged[name] = wide.astype(value.dtype)
    return merged


def merge(kind: MetaName, start: Model, sent: Sequence[Model], step: float, lr: float) -> Model:
    """The model that a level makes of what was sent; `lr` is that of the gradients."""
    if kind == "reptile":
        return reptile(start, sent, step)
    return fomaml(start, sent, step * lr)


def passed_up(kind: MetaName, merged: Model, sent: Sequence[Model]) -> Model:
    """What a level sends to the next one: its model, or the mean of the gradients it was sent."""
    return merged if kind == "reptile" else mean(sent)


@dataclass(frozen=True)
class Rules:
    """What all peers of a run agree on beforehand."""

    kind: MetaName  # the meta update
    settings: PeersConfig  # the section `[peers]`
    lr: float  # learning rate behind the gradients of `fomaml`


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

    Returns the cluster's model, what the other coordinators are sent (both None if no task could be
    used), and how many tasks were refused: of another shape, or not finite.
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


def _usable(records: Sequence[ArrayRecord], like: Model) -> list[Model]:
    """The models (or gradients) that fit and are finite."""
    found = []
    for record in records:
        with suppress(RejectedReply):
            found.append(read_model(record, like))
    return found
