"""Real sites over a SuperLink: the same bits, whoever comes, goes, fails or is killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message

from fairfed import client
from fairfed.config import Config
from fairfed.config.site import SiteConfig
from fairfed.errors import RunError
from fairfed.rounds import remote
from fairfed.sites import gate, home, workplace
from fairfed.sites.ledger import Ledger
from fairfed.sites.receipts import public_text, signing_key
from semantic.errors import InputError
from tests.fairfed import golden
from tests.fairfed.link import Link, play_over
from tests.fairfed.runs import logged, run_of
from tests.fairfed.sites.conftest import Hospitals, play_here, study
from tests.fairfed.systems.specialise.test_specialise_runs import FEW, NO_ARMS
from tests.fairfed.test_golden import QUICK

Small = Callable[..., Config]
ARMS = """arms=[{name="FedAvg"}, {name="Ditto", personal=1.0}]"""
EVERY = """arms=[{name="FedAvg"}, {name="Filled", augment=true}, {name="Ditto", personal=1.0}]"""
FILLED = """arms=[{name="FedAvg"}, {name="Filled", augment=true}]"""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "sleep", lambda seconds: None)


def joined(sites: list[SiteConfig], link: Link | None = None) -> Link:
    """A link to which sites have come, in an order that means nothing."""
    link = link or Link()
    for site in sites[::-1]:
        link.join(site)
    return link


def declared(config: Config, out: Path, **also: object) -> Config:
    """The study of a configuration, which names its sites."""
    return study(config, out).model_copy(update={"sites": ("a", "b", "c"), "wait": 0.0, **also})


def test_the_bits_are_the_simulations_whatever_sites_and_link_go_through(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sites under new node ids, a link that is ill, synthesis in slices, states at home."""
    settings = "synthesis.share=false", "data.classes=['bag', 'dress', 'coat']", EVERY
    simulated = small(*settings, f"out={tmp_path}/simulated")
    run_of(simulated)
    sites, link = hospitals(), Link()

    def happening(name: str, message: Message) -> None:
        if message.metadata.message_type == "evaluate" and name == "c":
            link.ill = 2
            link.leave("c")
            link.join(sites[2])

    link._happening = happening
    monkeypatch.setattr(client, "PATIENCE", 0.0)
    caplog.set_level("INFO")
    real = declared(simulated, tmp_path / "real")
    play_over(joined(sites, link), real)
    assert "a: under way" in caplog.text
    assert golden.digests(tmp_path / "real") == golden.digests(tmp_path / "simulated")
    assert measured(real) == measured(simulated)
    made, told = (
        json.loads((tmp_path / name / "synthetic" / "clients.json").read_text())
        for name in ("simulated", "real")
    )
    assert made["clients"] == told["clients"]
    assert made["generated"] + made["reused"] == told["generated"] + told["reused"]
    everything = b"".join(link.carried)
    assert b"site.toml" not in everything
    assert str(tmp_path).encode() not in everything


def test_a_site_may_come_late_and_fills_its_gaps_then(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    sites = hospitals()
    link = Link()

    def happening(name: str, message: Message) -> None:
        config = message.content.config_records["config"]
        if (name, config.get("round"), config.get("arm")) == ("a", 1, "filled"):
            link.join(sites[2])

    link._happening = happening
    real = declared(small(FILLED, "rounds=3"), tmp_path / "real", min_sites=2)
    play_over(joined(sites[:2], link), real)
    rows = {(row["arm"], row["round"]): row["clients"][2]["error"] for row in logged(real)}
    assert [rows["FedAvg", number] for number in (1, 2, 3)] == ["c is not there"] * 3
    assert rows["Filled", 3] is None
    told = json.loads((tmp_path / "real" / "federation.json").read_text())
    assert told["splits"]["main"]["train"][2][0][0] is not None
    assert not any("not there" in remark for remark in told["remarks"])


def test_a_run_without_enough_sites_waits_and_then_says_who_is_there(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    real = declared(small(ARMS), tmp_path / "real", min_sites=2)
    with pytest.raises(RunError, match=r"1 of 2 sites .* \(a\)"):
        play_over(joined(hospitals()[:1]), real)


@pytest.mark.parametrize(
    ("strange", "said"),
    [
        (lambda link, sites: link.join(sites[2], registered="north"), "registered as north"),
        (lambda link, sites: link.join("nobody"), "this SuperNode has no site"),
        (lambda link, sites: (link.join(sites[2]), link.join(sites[2])), "c is there already"),
    ],
)
def test_who_cannot_take_part_is_named_and_the_others_go_on(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    strange: Callable[[Link, list[SiteConfig]], None],
    said: str,
) -> None:
    sites = hospitals()
    link = joined(sites[:2])
    strange(link, sites)
    real = declared(small('arms=[{name="FedAvg"}]'), tmp_path / "real", min_sites=2)
    play_over(link, real)
    assert said in caplog.text
    assert len(logged(real)) == real.rounds


def test_a_site_of_another_version_says_so(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "__version__", "0.0.1")
    with pytest.raises(RunError, match="0 of 2 sites"):
        play_over(joined(hospitals()), declared(small(ARMS), tmp_path / "real", min_sites=2))
    assert "this site has fairfed 0.0.1, and the server" in caplog.text


def measured(config: Config) -> list[dict[str, Any]]:
    """What the log of a run says of its clients' answers."""
    rows = [client for row in logged(config) for client in row["clients"]]
    return [{k: v for k, v in row.items() if k not in {"seconds", "bytes_up"}} for row in rows]


class _Killed(BaseException):
    """Stands for `kill -9` of the server."""


@pytest.mark.parametrize("fatal", ["train", "evaluate"])
def test_personal_models_stay_at_the_sites_and_a_killed_server_changes_no_bit(
    small: Small, hospitals: Hospitals, tmp_path: Path, fatal: str
) -> None:
    def happening(name: str, message: Message) -> None:
        config = message.content.config_records["config"]
        here = name, config.get("round"), config.get("arm"), message.metadata.message_type
        if here == ("a", 2, "ditto", fatal):
            raise _Killed

    sites = hospitals()
    whole, cut = (declared(small(ARMS, "rounds=3"), tmp_path / name) for name in ("whole", "cut"))
    whole, cut = (one.model_copy(update={"name": one.out[-5:]}) for one in (whole, cut))
    play_over(joined(sites), whole)
    with pytest.raises(_Killed):
        play_over(joined(sites, Link(1, happening)), cut)
    play_over(joined(sites, Link(2)), cut)
    assert golden.digests(tmp_path / "cut") == golden.digests(tmp_path / "whole")
    assert measured(cut) == measured(whole)


def test_a_simulation_is_not_for_a_superlink(small: Small) -> None:
    with pytest.raises(InputError, match="every site has data of its own"):
        remote_run(small())


def remote_run(config: Config) -> None:
    """Hand a simulation to a SuperLink."""
    from fairfed.server import reached

    reached(Link(), config)


def test_a_second_message_reads_neither_images_nor_clip(
    small: Small, hospitals: Hospitals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = 'arms=[{name="Filled", augment=true}]'
    sites = hospitals(a="[policy]\nmax_synthetic = 1000\n")

    def happening(name: str, message: Message) -> None:
        if message.metadata.message_type == "evaluate":
            monkeypatch.setattr(home, "read_rows", _unread)
            monkeypatch.setattr(workplace, "load_encoder", _unread)

    real = declared(small(arms), tmp_path / "real")
    link = joined(sites, Link(1, happening))
    play_over(link, real)
    assert len(logged(real)) == real.rounds
    assert not any(c["error"] for row in logged(real) for c in row["clients"])


def _unread(*args: object) -> Any:
    raise AssertionError("read again")


SYSTEMS = {
    "inversion": ('arms=[{name="Inverted", inversion="client"}]', "model=cnn-bn", *QUICK),
    "one-shot": ('arms=[{name="Once", system="one-shot"}]',),
    "specialise": (NO_ARMS, *FEW),
    "heads": (NO_ARMS, "rounds=1", 'heads.heads=["ridge-group"]'),
    "peers": (
        NO_ARMS,
        "model=cnn-gn",
        "peers.unseen=1",
        "peers.clusters=1",
        "peers.minimum=1",
        "peers.epsilon=1e9",
    ),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_that_real_sites_can_run_gives_the_bits_of_one_machine(
    small: Small, hospitals: Hospitals, tmp_path: Path, system: str
) -> None:
    config, sites = small(*SYSTEMS[system]), hospitals()
    here = declared(config, tmp_path / "here", name="here")
    there = declared(config, tmp_path / "there", name="there")
    play_here(here, sites)
    play_over(joined(sites), there)
    assert golden.digests(tmp_path / "here") == golden.digests(tmp_path / "there") != {}


def test_what_arrived_is_signed_for_in_the_sites_ledgers(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    key = tmp_path / "receipts.key"
    known = f'[coordinator]\nreceipts_key = "{public_text(signing_key(key))}"\n'
    sites = hospitals(**dict.fromkeys("abc", known))
    play_over(joined(sites), declared(small(ARMS), tmp_path / "real"), key)
    entries = list(Ledger(Path(sites[0].state.directory)).entries())
    answers = [entry["digest"] for entry in entries if entry.get("round")]
    receipts = {entry["receipt"] for entry in entries if entry.get("verified")}
    assert set(answers[:-1]) <= receipts  # nobody is asked after the last answer
