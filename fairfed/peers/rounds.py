"""Rounds of peer-to-peer meta-learning: the relay's clock, the log, the checkpoint.

A checkpoint holds no model of its own: models are in the peers' states, as only they have them. An
engine that cannot give those (Ray, real sites) can run this, but not continue it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.serverapp import Grid

from fairfed import checkpoint as checkpoints
from fairfed.config import Config
from fairfed.config.peers import MetaName
from fairfed.loops import KeepsClientStates, give_up, saved_progress, saved_states
from fairfed.peers.population import leavers, settings
from fairfed.peers.relay import Exchanged, Relay
from fairfed.peers.schedule import PHASES
from fairfed.sites.study import Study
from semantic.errors import InputError

NO_STATES = (
    "checkpoint '{path}' cannot be continued on this engine, which does not give back the peers' "
    "states, where the models are: use engine = 'inprocess', or start over with --fresh"
)
NO_ERROR = "none; is every peer gone?"
UNTRAINED = "task: training failed; the log of this peer says what is wrong"
LOST_FROM = PHASES.index("cluster")
"""Phase of the round of their departure from which leaving peers are gone."""

Structure = dict[str, Any]
"""Version of the clustering, cluster by peer and coordinator by cluster, as JSON keeps them."""


def train_peers(
    grid: Grid,
    study: Study,
    kind: MetaName,
    nodes: Mapping[int, int],
    timeout: float,
    checkpoint: Path,
    log: Callable[[dict[str, Any]], None],
) -> None:
    """Train from the checkpoint, or from the start, to the last round.

    Parameters
    ----------
    grid
        Any Flower grid with fairfed's ClientApp.
    study
        The run.
    kind
        The meta update.
    nodes
        Node id by peer.
    timeout
        Seconds for each phase.
    checkpoint
        Continued from if it exists, replaced after every round.
    log
        Takes a line of `rounds.jsonl`, without `arm`; before the checkpoint is written.

    Raises
    ------
    InputError
        If the checkpoint is of another run, or the engine cannot continue it.
    fairfed.errors.RunError
        If in three rounds in a row, or in all of a shorter run, nobody gets a new model.
    """
    config = study.config
    identity = {"seed": config.seed, "clients": sorted(nodes)}
    done, failed, structure = _resume(checkpoint, grid, identity)
    relay = Relay(grid, nodes, timeout, _gone(config, len(nodes)))
    request = {**study.request(), "meta": kind}
    for number in range(done + 1, config.rounds + 1):
        started = time.perf_counter()
        seen = relay.round(number, PHASES, {**request, "measuring": is_measured(config, number)})
        line, structure = _line(number, seen, structure)
        line["seconds"] = time.perf_counter() - started
        failed = 0 if any(row["age"] == number for row in line["clients"]) else failed + 1
        log(line)
        errors = [row["error"] for row in line["clients"] if row["error"]]
        give_up(failed, number, config.rounds, errors[0] if errors else NO_ERROR, kind)
        plain = {"failed": failed, "structure": structure, **identity}
        checkpoints.save(checkpoint, checkpoints.Checkpoint(number, {}, plain, saved_states(grid)))


def is_measured(config: Config, number: int) -> bool:
    """Whether unseen clients are measured after a round: every so many, and after the last."""
    return number % settings(config).measure_every == 0 or number == config.rounds


def _gone(config: Config, peers: int) -> Callable[[int, int, str], bool]:
    """When a peer cannot be reached: after it has left."""
    last = settings(config).leave_round
    leaving = leavers(config, peers) if last else ()

    def gone(peer: int, server_round: int, phase: str) -> bool:
        return peer in leaving and (server_round, PHASES.index(phase)) >= (last, LOST_FROM)

    return gone


def _resume(
    path: Path, grid: Grid, identity: Mapping[str, Any]
) -> tuple[int, int, Structure | None]:
    """Last finished round, failed rounds before it, and its structure."""
    saved = saved_progress(path, identity)
    if saved is None:
        return 0, 0, None
    if not isinstance(grid, KeepsClientStates):
        raise InputError(NO_STATES.format(path=path))
    grid.load_client_states(saved.clients)
    return saved.round, int(saved.state["failed"]), saved.state["structure"]


def _line(
    number: int, seen: Exchanged, before: Structure | None
) -> tuple[dict[str, Any], Structure | None]:
    """A line of the log, and the structure to compare the next one with."""
    trained = {p: r for p, r in sorted(seen.reports.items()) if "coordinator" in r}
    found: Structure = {
        "version": max((int(r["version"]) for r in trained.values()), default=0),  # type: ignore[arg-type]
        "clusters": {str(p): r["cluster"] for p, r in trained.items()},
        "coordinators": {str(r["cluster"]): r["coordinator"] for r in trained.values()},
    }
    now = found if trained else before
    line = {
        "round": number,
        "clients": [_client(peer, seen) for peer in sorted({*seen.reports, *seen.errors})],
        "links": {link: asdict(traffic) for link, traffic in sorted(seen.links.items())},
        "structure": now,
        "events": events(before, now),
        "unseen": [
            {"client": peer, **report}
            for peer, report in sorted(seen.reports.items())
            if "n-test" in report
        ],
    }
    return line, now


def _client(peer: int, seen: Exchanged) -> dict[str, Any]:
    """What is known of one peer in a round."""
    report = seen.reports.get(peer, {})
    loss = report.get("loss")
    return {
        "client": peer,
        "loss": loss if isinstance(loss, float) and math.isfinite(loss) else None,
        "n_real": report.get("n-real", 0),
        "seconds": report.get("seconds", 0.0),
        "age": report.get("age", -1),
        "releases": report.get("releases", 0),
        "refused": report.get("refused", 0),
        "bytes_up": seen.sent.get(peer, 0),
        "bytes_down": seen.received.get(peer, 0),
        "error": seen.errors.get(peer) or (UNTRAINED if report.get("failed") else None),
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
