"""Flower's SuperLink itself: reached directly it is open, behind the proxy it is closed."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairfed.deployment import trial
from fairfed.deployment.checks import connection
from fairfed.deployment.control import keep_key, register, sites
from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.founding import found
from fairfed.deployment.greeting import registered
from fairfed.deployment.joining import join
from fairfed.deployment.probing import probe
from fairfed.errors import RunError
from tests.fairfed.deployment.conftest import free_ports, settings

pytestmark = [
    pytest.mark.superlink,
    pytest.mark.skipif(
        shutil.which("nginx", path="/usr/sbin:/usr/bin:/opt/homebrew/bin") is None,
        reason="needs nginx, which .ci/run installs",
    ),
]


@pytest.fixture
def running(study: Path, tmp_path: Path) -> Iterator[Coordinator]:
    port, inner = free_ports(2)
    place = found(study, tmp_path / "c", settings(port=port, inner_port=inner), ["a"])
    trial.start(place, print)
    yield place
    trial.stop(place)


def test_the_proxy_closes_what_the_superlink_leaves_open(running: Coordinator, site: Path) -> None:
    authority = running.authority.read_text()
    assert all(holds for holds, _ in trial.status(running))

    right = list(probe(running.config.reached, authority))
    assert [attempt for attempt in right if not attempt.sound] == []

    wrong = {a.what: a for a in probe(f"127.0.0.1:{running.config.inner_port}", authority)}
    for what in ("list the sites", "register a site", "start a run", "open the docs"):
        assert not wrong[what].sound, what
    assert wrong["acquire a task"].seen == "HTTP 401, Flower's code 1008"  # the secret holds
    assert list(sites(running)) == []  # nothing of what was tried has stayed

    node, _ = join(running.invitations / "a.toml", site)
    assert all(finding.holds for finding in connection(node.invitation))
    assert registered(node).holds is None
    keep_key(running, node.folder / "key.pub", "a")
    assert register(running, "a").startswith("a: registered as node ")
    assert register(running, "a") == "a: registered already"
    assert registered(node).holds
    assert [line.split(" (")[0] for line in sites(running)] == ["  a: offline"]


def test_a_process_that_fails_is_named_with_the_end_of_its_log(study: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = found(study, tmp_path / "c", settings(inner_port=port), ["a"])
        with pytest.raises(RunError, match="Another program has this port") as failed:
            trial.start(place, print)
    assert str(failed.value).startswith("superlink failed. The end of its log,")
    assert not any(process.pid_file.exists() for process in place.processes().values())
