"""A site joins: its key, its unit, and what of an invitation it does not take."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from flwr.common.config import parse_config_args

from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.founding import found
from fairfed.deployment.joining import join, node
from fairfed.deployment.programs import node_configuration
from semantic.errors import InputError
from tests.fairfed.deployment.conftest import PORT, STUDY, Command, Serve, settings


def test_what_a_site_keeps(place: Coordinator, site: Path) -> None:
    joined, public = join(place.invitations / "a.toml", site)
    kept = site.parent / "state" / "connection"
    assert (kept / "key.pub").read_text() == public
    assert (kept / "ca.crt").read_bytes() == place.own_authority.read_bytes()
    assert (kept / "study.toml").read_text() == STUDY
    assert joined.port == 9094
    assert "PRIVATE" not in public


def test_the_unit_restarts_late_and_has_all_it_needs(place: Coordinator, site: Path) -> None:
    joined, _ = join(place.invitations / "a.toml", site, port=9100)
    unit = joined.unit.read_text()
    assert joined.unit.name == "fairfed-site-a.service"
    for line in (
        "Restart=always\nRestartSec=65\n", "Environment=OMP_NUM_THREADS=3\n",
        "Environment=FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION=1\n", "ProtectSystem=strict\n",
    ):  # fmt: skip
        assert line in unit
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    words = shlex.split(start.removeprefix("ExecStart="))
    assert tuple(words) == joined.command(9100)
    assert words[-1] == f"site='{site}'"


@pytest.mark.parametrize("folder", ["plain", "with space", "it's"])
def test_flower_reads_the_site_s_path(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "site.toml"
    assert parse_config_args([node_configuration(path)]) == {"site": str(path)}


def test_a_path_that_flower_cannot_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="move the file"):
        node_configuration(tmp_path / 'it\'s "here"' / "site.toml")


def test_an_invitation_of_another_site_is_refused(place: Coordinator, site: Path) -> None:
    with pytest.raises(InputError, match="the invitation is for 'b'"):
        join(place.invitations / "b.toml", site)
    assert not (site.parent / "state").exists()


def test_another_invitation_takes_the_place_only_if_told_to(
    place: Coordinator, site: Path, study: Path, tmp_path: Path
) -> None:
    _, before = join(place.invitations / "a.toml", site)
    other = found(study, tmp_path / "other", settings(port=PORT + 1), ["a"])
    with pytest.raises(InputError, match="by another invitation: address, authority"):
        join(other.invitations / "a.toml", site)
    joined, after = join(other.invitations / "a.toml", site, replace=True)
    assert joined.invitation.address == f"127.0.0.1:{PORT + 1}"
    assert after == before


def test_a_site_that_has_joined_nothing_cannot_start(fairfed: Command, site: Path) -> None:
    code, _, wrong = fairfed("site", "start", site)
    assert code == 2
    assert "has joined no study; `fairfed site join INVITATION" in wrong
    assert not node(site).process().runs()


def test_the_command_says_each_check(
    fairfed: Command, serve: Serve, authority: object, site: Path, place: Coordinator,
    tmp_path: Path,
) -> None:  # fmt: skip
    from fairfed.deployment.invitation import read_invitation

    refused = b'{"code":2004,"detail":"no"}'
    address = serve(reply=lambda method, path: (412, "application/json", refused))
    told = read_invitation(place.invitations / "a.toml").model_copy(
        update={"address": address, "authority": authority.certificate.decode()}
    )
    (tmp_path / "i.toml").write_text(told.to_toml(), encoding="utf-8")
    code, said, _ = fairfed("site", "join", tmp_path / "i.toml", "--site", site)
    assert code == 0
    assert said.count("✓") == 5
    assert "· the coordinator does not know the site's key yet" in said
    assert "24 rows to train with" in said


def test_the_command_ends_with_2_where_a_check_fails(
    fairfed: Command, place: Coordinator, site: Path
) -> None:
    site.write_text(site.read_text() + '[policy]\nactions = ["describe"]\n')
    code, said, wrong = fairfed("site", "join", place.invitations / "a.toml", "--site", site)
    assert code == 2
    assert f"✗ nobody listens at 127.0.0.1:{PORT}" in said
    assert "✗ the site's policy refuses the study" in said
    assert "2 of the checks failed" in wrong
