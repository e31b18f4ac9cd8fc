"""Flower's SuperLink itself: reached directly it is open, behind the proxy it is closed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from evaluation.files import write_text
from fairfed.cli import following
from fairfed.cli.following import follow
from fairfed.config import Arm, Config
from fairfed.config.site import SiteConfig
from fairfed.deployment import trial
from fairfed.deployment.checks import connection
from fairfed.deployment.control import register, sites
from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.founding import found
from fairfed.deployment.greeting import registered
from fairfed.deployment.joining import join
from fairfed.deployment.known_sites import keep_key
from fairfed.deployment.probing import probe
from fairfed.deployment.running import start as start_node
from fairfed.rounds.progress_file import PROGRESS
from fairfed.server import LogWatcher
from tests.fairfed import golden
from tests.fairfed.deployment.conftest import settings
from tests.fairfed.runs import logged
from tests.fairfed.sites.conftest import play_here
from tests.fairfed.sites.conftest import study as study_of_sites

pytestmark = [
    pytest.mark.superlink,
    pytest.mark.skipif(
        shutil.which("nginx", path="/usr/sbin:/usr/bin:/opt/homebrew/bin") is None,
        reason="needs nginx, which .ci/run installs",
    ),
]


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@contextmanager
def started(study: Path, folder: Path, names: Sequence[str]) -> Iterator[Coordinator]:
    """A coordinator's processes, as long as the block runs."""
    port, inner = free_ports(2)
    place = found(study, folder, settings(port=port, inner_port=inner), names)
    trial.start(place, print)
    try:
        yield place
    finally:
        trial.stop(place)


@pytest.fixture
def running(study: Path, tmp_path: Path) -> Iterator[Coordinator]:
    with started(study, tmp_path / "c", ["a"]) as place:
        yield place


def test_the_proxy_closes_what_the_superlink_leaves_open(
    running: Coordinator, hospitals: Callable[..., list[SiteConfig]], tmp_path: Path
) -> None:
    authority = running.authority.read_text()
    assert all(holds for holds, _ in trial.status(running))

    right = list(probe(running.config.reached, authority))
    assert [attempt for attempt in right if not attempt.sound] == []

    wrong = {a.what: a for a in probe(f"127.0.0.1:{running.config.inner_port}", authority)}
    for what in ("list the sites", "register a site", "start a run", "open the docs"):
        assert not wrong[what].sound, what
    assert wrong["acquire a task"].seen == "HTTP 401, Flower's code 1008"  # the secret holds
    assert list(sites(running)) == []  # nothing of what was tried has stayed

    hospitals()
    node, _ = join(running.invitations / "a.toml", tmp_path / "sites" / "a" / "site.toml")
    assert all(finding.holds for finding in connection(node.invitation))
    assert registered(node).holds is None
    keep_key(running, node.folder / "key.pub", "a")
    assert register(running, "a").startswith("a: registered as node ")
    assert register(running, "a") == "a: registered already"
    assert registered(node).holds
    assert [line.split(" (")[0] for line in sites(running)] == ["  a: offline"]


def test_sites_over_tls_end_with_the_bits_of_one_machine_although_the_server_is_killed(
    small: Callable[..., Config],
    hospitals: Callable[..., list[SiteConfig]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(following, "ASK", 5.0)
    sites = hospitals(**dict.fromkeys("abc", "[compute]\nthreads = 1\n"))
    config = study_of_sites(small('arms=[{name="Ditto", personal=1.0}]'), tmp_path / "over")
    config = config.model_copy(update={"sites": ("a", "b"), "deadline": 300.0})
    file = tmp_path / "study.toml"
    file.write_text(config.to_toml())
    with started(file, tmp_path / "c", ()) as place, ExitStack() as nodes:
        for site in sites[:2]:
            joined, _ = join(
                place.invitations / f"{site.name}.toml", Path(site.data.source).parent / "site.toml"
            )
            keep_key(place, joined.folder / "key.pub", site.name)
            register(place, site.name)
            nodes.callback(start_node(joined, print).stop)
        write_text(config.run_directory / "config.toml", config.to_toml())
        follow(config, str(place.folder), Killer(config.run_directory))
    monkeypatch.undo()
    here = config.model_copy(update={"name": "here", "out": str(tmp_path / "here")})
    play_here(here, sites[:2])
    assert golden.digests(tmp_path / "over") == golden.digests(tmp_path / "here") != {}
    assert [row["round"] for row in logged(config)] == [1, 2]
    assert not [c["error"] for row in logged(config) for c in row["clients"] if c["error"]]


class Killer(LogWatcher):
    """Kills the server's process after the first round, once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._done = folder, False

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if not self._done:
            self._done = True
            _, _, process = json.loads((self._folder / PROGRESS).read_text().splitlines()[0])
            os.kill(process, signal.SIGKILL)
