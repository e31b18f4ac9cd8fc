"""Whole runs of peers on a small federation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message, RecordDict

from evaluation.results import Table
from fairfed.cli.running import run_here
from fairfed.client import client_app
from fairfed.config import Arm, Config, load_config
from fairfed.engines.inprocess import InProcessGrid
from fairfed.errors import PublicInputError, RunError
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.exchange import Client
from fairfed.rounds.loop import run_rounds
from fairfed.server import LogWatcher, checked
from fairfed.system import simulated_study, simulation_of
from fairfed.systems.peers import results as peers_results
from fairfed.systems.peers.arm_server import PeersServer
from fairfed.systems.peers.learning import PeerSite
from fairfed.systems.peers.node import peer_site
from fairfed.systems.peers.population import holder, leavers, members, peer_cost, unseen_peers
from fairfed.systems.peers.task import TITLES
from semantic.errors import InputError
from tests.fairfed.asking import request_to
from tests.fairfed.runs import killed, logged, outcome_of, play

Peers = Callable[..., Config]
METHODS = (*TITLES.values(), "FedAvg")


def _run(config: Config, watcher: LogWatcher | None = None, **options: Any) -> Config:
    play(config, watcher, **options)
    return config


def _lines(config: Config, name: str) -> list[dict[str, Any]]:
    return [line for line in logged(config) if line["arm"] == name]


def test_run_measures_every_method_on_clients_that_took_no_part(
    peers: Peers, capsys: pytest.CaptureFixture[str]
) -> None:
    config = peers("model=cnn-bn")
    run_here(config)
    told = capsys.readouterr().out.strip().splitlines()
    assert told[-1] == f"Results: {config.run_directory / 'results.md'}"
    results = outcome_of(config.run_directory)
    assert tuple(method["name"] for method in results["methods"]) == METHODS
    unseen = unseen_peers(config, 6)
    for method in results["methods"]:
        starts = {"global", "cluster"} if method["structure"] else {"global"}
        assert {(entry["round"], entry["start"]) for entry in method["unseen"]} == {
            (number, start) for number in (2, 3) for start in starts
        }
        for entry in method["unseen"]:
            assert tuple(client["client"] for client in entry["clients"]) == unseen
            assert all(len(client["accuracy"]) == 3 for client in entry["clients"])
    last = results["methods"][0]["unseen"][-2]["clients"][0]["accuracy"]
    assert last[2] > 1 / 3  # better than guessing among three classes
    assert "nearest cluster" in (config.run_directory / "results.md").read_text()
    for kind in TITLES.values():
        clients = _lines(config, kind)[-1]["clients"]
        trained = tuple(client["client"] for client in clients if client["n_real"])
        assert trained == members(config, 6)


def test_same_seed_gives_the_same_run_whatever_the_workers_and_the_wire(
    peers: Peers, tmp_path: Path
) -> None:
    one = _run(peers(f"out={tmp_path}/one", "rounds=2"))
    two = _run(peers(f"out={tmp_path}/two", "rounds=2"), workers=3, wire=True)
    assert outcome_of(one.run_directory) == outcome_of(two.run_directory)
    assert all(_lines(one, name) == _lines(two, name) for name in METHODS)
    other = _run(peers(f"out={tmp_path}/other", "rounds=2", "peers.meta=['reptile']", "seed=1"))
    assert _lines(one, METHODS[0]) != _lines(other, METHODS[0])


class _Kill(LogWatcher):
    """The process dies when a method has logged a round, before its checkpoint is written."""

    def __init__(self, method: str) -> None:
        self._method = method

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if (arm.name, row["round"]) == (self._method, 2):
            raise KeyboardInterrupt


def test_interrupted_run_continues_to_the_same_end(peers: Peers, tmp_path: Path) -> None:
    whole = _run(peers(f"out={tmp_path}/whole"))
    config = peers(f"out={tmp_path}/cut")
    for method in METHODS:
        with pytest.raises(KeyboardInterrupt):
            _run(config, _Kill(method))
    _run(config)
    assert outcome_of(config.run_directory) == outcome_of(whole.run_directory)
    assert all(_lines(config, name) == _lines(whole, name) for name in METHODS)
    before = (config.run_directory / "rounds.jsonl").read_bytes()
    _run(config)
    assert (config.run_directory / "rounds.jsonl").read_bytes() == before


def test_a_killed_run_continues_to_the_same_end(peers: Peers, tmp_path: Path) -> None:
    own = ("peers.meta=['reptile']", "peers.drift_round=2", "peers.share=0.9")
    whole, cut = peers(f"out={tmp_path}/whole", *own), peers(f"out={tmp_path}/cut", *own)
    killed(cut, 2, tmp_path)
    assert outcome_of(_run(cut).run_directory) == outcome_of(_run(whole).run_directory)


def test_peers_that_leave_are_replaced(peers: Peers) -> None:
    config = _run(peers("peers.leave_round=2", "peers.meta=['reptile']", "rounds=4"))
    gone = leavers(config, 6)
    assert len(gone) == 1
    assert peer_cost(config.seed, gone[0]) == min(peer_cost(0, p) for p in members(config, 6))
    rounds = _lines(config, "PPFM (Reptile)")
    assert gone[0] in rounds[1]["structure"]["coordinators"].values()
    assert sum(link["undelivered"] for link in rounds[1]["links"].values()) > 0
    assert f"not heard: {gone[0]}" in rounds[2]["events"]
    assert any("coordinator" in what for what in rounds[2]["events"])
    left = [peer for peer in members(config, 6) if peer not in gone]
    ages = {client["client"]: client["age"] for client in rounds[3]["clients"]}
    assert [ages[peer] for peer in left] == [4] * len(left)
    fedavg = _lines(config, "FedAvg")
    errors = [c["error"] for c in fedavg[3]["clients"] if c["client"] in gone]
    assert errors == ["the client has left (peers.leave_round)"]
    assert fedavg[0]["links"]["client → server"]["messages"] == 5
    assert fedavg[3]["links"]["client → server"]["messages"] == 4
    visits = [line["links"].get("server → visitor") for line in fedavg]
    assert [visit and visit["messages"] for visit in visits] == [None, 1, None, 1]
    to_client = fedavg[3]["links"]["server → client"]
    assert visits[3]["bytes"] == to_client["bytes"] / to_client["messages"]


def test_peers_whose_data_drifts_are_clustered_anew(peers: Peers) -> None:
    config = _run(peers("peers.drift_round=2", "peers.share=0.9", "peers.meta=['reptile']"))
    assert {holder(config, 6, peer, 1) for peer in range(6)} == set(range(6))
    moved = [peer for peer in range(6) if holder(config, 6, peer, 2) != peer]
    assert sorted(holder(config, 6, peer, 2) for peer in moved) == moved
    first, second, third = _lines(config, "PPFM (Reptile)")
    assert first["structure"]["version"] == 1
    assert second["structure"]["version"] == 2
    assert any("clustered anew" in what for what in second["events"])
    assert third["structure"]["version"] == 2
    assert sum(client["releases"] for client in second["clients"]) >= 2
    assert _lines(config, "FedAvg") == []


def test_a_peer_holds_the_rows_that_have_drifted_to_it(peers: Peers) -> None:
    config = peers("peers.drift_round=2", "peers.share=0.9")
    moved = next(peer for peer in range(6) if holder(config, 6, peer, 2) != peer)
    before, after = (
        peer_site(request_to(config, moved, {"round": number}), 6).index for number in (1, 2)
    )
    assert (before, after) == (moved, holder(config, 6, moved, 2))
    with pytest.raises(PublicInputError, match=r"peers.drift_round needs the data of all sites"):
        peer_site(request_to(config, moved, {"round": 2}, simulated=False), 6)


def test_letters_hold_models_noised_profiles_and_a_few_numbers(peers: Peers) -> None:
    config = peers("peers.meta=['reptile']", "arms=[{name='FedAvg'}]", "peers.epsilon=4.0")
    seen: list[RecordDict] = []
    told: dict[str, set[str]] = {}

    def watch(done: int, total: int, reply: Message) -> None:
        seen.append(reply.content)
        names = told.setdefault(reply.metadata.message_type, set())
        names.update(*reply.content.metric_records.values())

    _run(config, on_reply=watch)
    names = [dict(content.config_records.pop("who")) for content in seen if "who" in content]
    assert {own["name"] for own in names} == {str(peer) for peer in range(6)}
    assert set().union(*names) == {"name"}
    assert told.keys() == {"query.describe", "query.peer", "query.adapt", "train", "evaluate"}
    assert told["query.describe"] == {"partition-id"}
    assert told["query.peer"] == {
        "partition-id", "cluster", "coordinator", "version", "age", "loss", "n-real", "seconds",
        "releases", "n-test", "correct-global", "correct-cluster", "nearest",
    }  # fmt: skip
    assert told["query.adapt"] == {"partition-id", "n-test", "correct-global"}
    assert not (config.run_directory / "federation.json").exists()
    study = simulated_study(config)
    sites = study.simulated("a test")
    owners = [sites.cut(peer, study.told) for peer in range(6)]
    exact = [PeerSite(site, "reptile", site.index, 1).profile() for site in owners]
    table = sites.images.table
    fields: dict[str, set[str]] = {}
    for content in seen:
        assert all("config" not in name for name in content)
        for name, record in content.config_records.items():
            assert name.startswith("letter-")
            fields.setdefault(str(record["kind"]), set()).update(record)
        for name, arrays in content.array_records.items():
            if "prototype" in arrays:
                assert {n: a.numpy().shape for n, a in arrays.items()} == {
                    "prototype": (128,),
                    "histogram": (3,),
                }
                sent = arrays["prototype"].numpy()
                assert not any(np.array_equal(sent, own.prototype) for own in exact)
            else:
                assert name.startswith("arrays")
    envelope = {"kind", "from", "to", "link"}
    fields.pop("visitor", None)  # not written where the leader places a visitor with itself
    assert {kind: names - envelope for kind, names in fields.items()} == {
        "hello": {"cost", "version", "age", "drifted"},
        "profile": set(), "visit": set(), "task": set(),
        "plan": {"version", "peers", "clusters"},
        "cluster": {"cluster"}, "model": {"age"},
        "start": {"cluster"}, "cluster-start": {"cluster"},
    }  # fmt: skip
    everything = b"".join(
        array.data for content in seen for record in content.array_records.values()
        for array in record.values()
    )  # fmt: skip
    assert not any(image.tobytes()[:64] in everything for image in table.images)


def _profiles(contents: list[RecordDict]) -> dict[int, set[bytes]]:
    """What each peer has told others of its data."""
    told: dict[int, set[bytes]] = {}
    for content in contents:
        for name, record in content.config_records.items():
            if record.get("kind") in ("profile", "visit"):
                arrays = content.array_records[name.replace("letter", "arrays")]
                sent = b"".join(array.data for array in arrays.values())
                told.setdefault(int(record["from"]), set()).add(sent)
    return told


def test_a_peer_releases_once_for_all_variants_and_after_a_crash(peers: Peers) -> None:
    config = peers("peers.epsilon=4.0", "peers.measure_every=1")
    seen: list[RecordDict] = []
    kept = {"on_reply": lambda done, total, reply: seen.append(reply.content)}
    for method in METHODS[:2]:
        with pytest.raises(KeyboardInterrupt):
            _run(config, _Kill(method), **kept)
    _run(config, **kept)
    told = _profiles(seen)
    # The leader of all rounds tells itself alone.
    assert len(told) >= 5
    assert all(len(profiles) == 1 for profiles in told.values())
    made = [_releases(config, name) for name in METHODS[:2]]
    assert made == [dict.fromkeys(range(6), 1), {}]


def _releases(config: Config, name: str) -> dict[int, int]:
    """Releases by peer that a method's log tells of."""
    found = [client for line in _lines(config, name) for client in line["clients"]]
    return {client["client"]: client["releases"] for client in found if client["releases"]}


def test_data_that_drifts_in_every_variant_is_released_once(peers: Peers) -> None:
    config = _run(peers("peers.drift_round=2", "peers.share=0.9", "peers.epsilon=4.0"))
    one, two = (_releases(config, name) for name in METHODS[:2])
    assert len(one) == 6
    assert two == {}


def test_a_row_says_of_how_many_unseen_clients_it_is() -> None:
    links = {"a → b": {"messages": 1, "bytes": 2_000_000, "undelivered": 0}}

    def method(name: str, *unseen: tuple[int, str, list[float]]) -> dict[str, Any]:
        entries = [
            {"round": number, "start": start, "clients": [{"accuracy": [0.1, 0.2, a]} for a in own]}
            for number, start, own in unseen
        ]
        return {"name": name, "seconds": 1.0, "links": links, "unseen": entries}

    methods = [
        method("A", (3, "global", [0.5, 0.7])),
        method("B", (2, "global", [0.5, 0.7]), (2, "cluster", [0.5, 0.7]), (3, "global", [0.5])),
        method("C"),
    ]
    found = peers_results._rows({"rounds": 3, "unseen": 2, "methods": methods})
    rows = Table(peers_results.COLUMNS, tuple(found)).texts()
    assert [row[0] for row in rows] == [
        "A", "B (1 of 2)", "B, nearest cluster (0 of 2)", "C (0 of 2)"
    ]  # fmt: skip
    assert rows[0][1:5] == ["10.0", "20.0", "60.0", "50.0"]
    assert rows[3][1:] == ["–", "–", "–", "–", "1", "2.0"]


def test_an_engine_without_the_peers_states_cannot_continue(peers: Peers, tmp_path: Path) -> None:
    config = _run(peers("peers.meta=['reptile']", "rounds=1"))

    class Forgetful(InProcessGrid):
        client_states = None  # type: ignore[assignment]

    path = config.run_directory / "checkpoints" / "ppfm-reptile.npz"
    clients = [Client(peer, str(peer), 1000 + peer) for peer in range(6)]
    server, plan = (
        PeersServer(simulated_study(config), "reptile", clients),
        Plan(1, config.seed, 60.0),
    )
    app = client_app(simulation_of(config))
    with Forgetful(app, 6) as grid, pytest.raises(InputError, match="does not give back"):
        run_rounds(grid, clients, server, plan, lambda line: None, path)


def test_preset_is_what_its_page_says() -> None:
    config = load_config(None, (), "ppfm")
    assert checked(config).clients == 20
    assert len(members(config, 20)) == 16
    assert config.peers is not None
    assert not config.peers.seeded_noise


def test_a_short_run_in_which_nobody_answers_is_given_up(peers: Peers) -> None:
    config = peers("rounds=2", "peers.meta=['reptile']")

    def drop(request: Message, peer: int) -> str | None:
        return "unplugged" if request.metadata.message_type == "query.peer" else None

    with pytest.raises(RunError, match=r"reptile.*2 rounds in a row.*unplugged"):
        _run(config, drop=drop)
