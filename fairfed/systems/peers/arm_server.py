"""Rounds of peer-to-peer meta-learning: the relay's clock, and what the log says of it.

A checkpoint holds no model of its own: models are in the peers' states, as only they have them. An
engine that cannot give those (Ray, real sites) can run this, but not continue it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from fairfed.config import Config
from fairfed.config.base import required
from fairfed.config.peers import MetaName
from fairfed.rounds.arm_server import ArmServer, RoundResult
from fairfed.rounds.arrays import Model
from fairfed.rounds.exchange import Client, Steps
from fairfed.sites.study import Study
from fairfed.systems.peers.population import leavers
from fairfed.systems.peers.relay import Exchanged, Relay
from fairfed.systems.peers.schedule import PHASES

UNTRAINED = "task: training failed; the log of this peer says what is wrong"
LOST_FROM = PHASES.index("cluster")
"""Phase of the round of their departure from which leaving peers are gone."""

Structure = dict[str, Any]
"""Version of the clustering, cluster by peer and coordinator by cluster, as JSON keeps them."""


class PeersServer(ArmServer):
    """What the engine's server does for peers: it is their relay, and writes the log.

    The clients are all peers, those that take no part included.
    """

    models_at_clients = True

    def __init__(self, study: Study, kind: MetaName, clients: Sequence[Client]) -> None:
        peers = [client.index for client in clients]
        self._config = config = study.config
        self._relay = Relay(peers, _gone(config, len(peers)))
        self._request = {**study.request(), "meta": kind}
        self._structure: Structure | None = None

    def start(self) -> Model:
        """Nothing: models are the peers' own."""
        return {}

    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        """Run all phases; a round in which nobody gets a new model has failed."""
        request = {**self._request, "measuring": is_measured(self._config, number)}
        seen = yield from self._relay.round(number, PHASES, request)
        entries, self._structure = _entries(seen, self._structure)
        rows = {peer: _row(peer, seen) for peer in seen.reports}
        renewed = any(row["age"] == number for row in rows.values())
        return RoundResult({} if renewed else None, rows, entries)

    def state(self) -> dict[str, Any]:
        """The structure to compare the next one with."""
        return {"structure": self._structure}

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        """Take back the structure."""
        self._structure = state["structure"]


def is_measured(config: Config, number: int) -> bool:
    """Whether unseen clients are measured after a round: every so many, and after the last."""
    return number % required(config.peers).measure_every == 0 or number == config.rounds


def _gone(config: Config, peers: int) -> Callable[[int, int, str], bool]:
    """When a peer cannot be reached: after it has left."""
    last = required(config.peers).leave_round
    leaving = leavers(config, peers) if last else ()

    def gone(peer: int, server_round: int, phase: str) -> bool:
        return peer in leaving and (server_round, PHASES.index(phase)) >= (last, LOST_FROM)

    return gone


def _entries(seen: Exchanged, before: Structure | None) -> tuple[dict[str, Any], Structure | None]:
    """What a line of the log has beside the peers, and the structure for the next one."""
    trained = {p: r for p, r in sorted(seen.reports.items()) if "coordinator" in r}
    found: Structure = {
        "version": max((int(r["version"]) for r in trained.values()), default=0),  # type: ignore[arg-type]
        "clusters": {str(p): r["cluster"] for p, r in trained.items()},
        "coordinators": {str(r["cluster"]): r["coordinator"] for r in trained.values()},
    }
    now = found if trained else before
    entries = {
        "links": {link: asdict(traffic) for link, traffic in sorted(seen.links.items())},
        "structure": now,
        "events": events(before, now),
        "unseen": [
            {"client": peer, **report}
            for peer, report in sorted(seen.reports.items())
            if "n-test" in report
        ],
    }
    return entries, now


def _row(peer: int, seen: Exchanged) -> dict[str, Any]:
    """What is known of one peer in a round."""
    report = seen.reports[peer]
    loss = report.get("loss")
    return {
        "loss": loss if isinstance(loss, float) and math.isfinite(loss) else None,
        "n_real": report.get("n-real", 0),
        "seconds": report.get("seconds", 0.0),
        "age": report.get("age", -1),
        "releases": report.get("releases", 0),
        "refused": report.get("refused", 0),
        "bytes_up": seen.sent.get(peer, 0),
        "bytes_down": seen.received.get(peer, 0),
        "error": UNTRAINED if report.get("failed") else None,
    }


def events(before: Structure | None, now: Structure | None) -> list[str]:
    """What has changed in the structure since the round before, in words."""
    if now is None:
        return []
    if before is None:
        return [f"clustered: {len(now['coordinators'])} clusters"]
    told = []
    lost = [int(peer) for peer in before["clusters"] if peer not in now["clusters"]]
    joined = [int(peer) for peer in now["clusters"] if peer not in before["clusters"]]
    for peers, what in ((lost, "not heard"), (joined, "joined")):
        if peers:
            told.append(f"{what}: {', '.join(map(str, sorted(peers)))}")
    if before["version"] != now["version"]:
        return [*told, f"clustered anew: {len(now['coordinators'])} clusters"]
    for cluster, after in sorted(now["coordinators"].items()):
        former = before["coordinators"].get(cluster)
        if former != after:
            told.append(f"cluster {cluster}: coordinator {former} → {after}")
    return told
