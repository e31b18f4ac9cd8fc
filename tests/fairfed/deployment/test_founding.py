"""What a coordinator's folder holds, and that it is whole, private, and never overwritten."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest

from fairfed.deployment.certificates import Pair, make_server, parsed
from fairfed.deployment.control import keep_key
from fairfed.deployment.coordinator import IN_MEMORY, Coordinator, coordinator
from fairfed.deployment.founding import Institution, found, invite, renew
from fairfed.deployment.invitation import read_invitation
from fairfed.deployment.programs import nginx, unit_word
from fairfed.sites.keys import make_site_key
from semantic.errors import InputError
from tests.fairfed.deployment.conftest import INNER_PORT, PORT, STUDY, Command, settings


def test_what_is_secret_is_its_owner_s_alone(place: Coordinator) -> None:
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    secret = [place.secret, *place.certificates.glob("*.key")]
    assert len(secret) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_an_invitation_has_all_and_nothing_secret(place: Coordinator) -> None:
    text = (place.invitations / "a.toml").read_text()
    read = read_invitation(place.invitations / "a.toml")
    assert (read.name, read.address, read.study) == ("a", f"127.0.0.1:{PORT}", STUDY)
    assert read.authority.encode() == place.own_authority.read_bytes()
    assert "PRIVATE" not in text
    assert place.secret.read_bytes().hex() not in text


def test_flower_finds_its_connection(place: Coordinator) -> None:
    superlink = tomllib.loads((place.home / "config.toml").read_text())["superlink"]
    assert superlink["default"] == "gait"
    assert superlink["gait"] == {
        "address": f"127.0.0.1:{INNER_PORT}", "root-certificates": str(place.own_authority),
    }  # fmt: skip


def test_a_folder_that_holds_something_is_left_alone(place: Coordinator, study: Path) -> None:
    before = place.secret.read_bytes()
    with pytest.raises(InputError, match="nothing is overwritten"):
        found(study, place.folder, settings(), ["a"])
    assert place.secret.read_bytes() == before


def test_after_an_error_nothing_is_there(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a name"):
        found(study, tmp_path / "new", settings(), ["a", "not a name"])
    assert list(tmp_path.iterdir()) == [study]


def test_a_study_without_sites_asks_who_takes_part(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="who takes part"):
        found(study, tmp_path / "new", settings())


def test_a_study_s_own_attributes_travel_with_the_invitation(study: Path, tmp_path: Path) -> None:
    table = tmp_path / "words.csv"
    table.write_text("class,prompt,round\nbag,a bag,1\ndress,a dress,0\ncoat,a coat,0\n")
    study.write_text(f'{STUDY}[semantic]\nattributes = "{table}"\n')
    place = found(study, tmp_path / "new", settings(), ["a"])
    assert read_invitation(place.invitations / "a.toml").attributes == table.read_text()
    assert read_invitation(invite(place, "late")).attributes == table.read_text()


def test_only_the_fleet_api_passes_the_proxy(place: Coordinator) -> None:
    text = (place.folder / "nginx.conf").read_text()
    assert re.findall(r"location (.*) \{", text) == ["/", "~ ^/v1/fleet/[a-z-]+$"]
    assert "location / { return 404; }" in text
    assert f"listen 127.0.0.1:{PORT} ssl;" in text
    assert f"proxy_pass https://127.0.0.1:{INNER_PORT};" in text


@pytest.mark.skipif(
    shutil.which("nginx", path="/usr/sbin:/usr/bin:/opt/homebrew/bin") is None,
    reason="needs nginx, which .ci/run installs",
)
def test_nginx_takes_its_configuration(place: Coordinator) -> None:
    done = subprocess.run(
        [*place.proxy(nginx()), "-t"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_public_address_is_listened_to_everywhere(study: Path, tmp_path: Path) -> None:
    public = settings(address="hub.example.org", port=443)
    place = found(study, tmp_path / "new", public, ["a"])
    assert "listen 443 ssl;" in (place.folder / "nginx.conf").read_text()
    unit = (place.folder / "units" / "fairfed-proxy.service").read_text()
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in unit


def test_the_superlink_is_on_loopback_with_keys_and_a_secret(place: Coordinator) -> None:
    unit = (place.folder / "units" / "fairfed-superlink.service").read_text()
    for words in (
        f"--host 127.0.0.1 --port {INNER_PORT}", "--enable-supernode-auth", "--isolation process",
        f"--superexec-auth-secret-file {place.secret}", f"--database {place.folder}/state/",
        "Environment=FLWR_TELEMETRY_ENABLED=0", "Restart=always",
    ):  # fmt: skip
        assert words in unit
    assert "--insecure" not in unit


def test_in_memory_is_no_file(study: Path, tmp_path: Path) -> None:
    place = found(study, tmp_path / "new", settings(database=IN_MEMORY), ["a"])
    assert IN_MEMORY in place.superlink(place.config)


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("/a/b", "/a/b"),
        ("/a b", '"/a b"'),
        ("site='/x.toml'", "\"site='/x.toml'\""),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ('a"b', '"a\\"b"'),
    ],
)
def test_words_of_a_unit_are_systemd_s(word: str, written: str) -> None:
    assert unit_word(word) == written


def test_an_institution_s_certificate_is_shown_and_the_own_one_stays_inside(
    study: Path, tmp_path: Path, authority: Pair
) -> None:
    made = make_server(authority, ["hub.example.org"])
    files = {"crt": made.certificate, "key": made.key, "ca": authority.certificate}
    for name, text in files.items():
        (tmp_path / name).write_bytes(text)
    given = Institution(*(tmp_path / name for name in files))
    public = settings(address="hub.example.org", port=443)
    place = found(study, tmp_path / "new", public, ["a"], given)
    assert (
        "ssl_certificate certificates/institution.crt;" in (place.folder / "nginx.conf").read_text()
    )
    assert read_invitation(place.invitations / "a.toml").authority.encode() == files["ca"]
    assert str(place.certificates / "server.crt") in place.superlink(place.config)


def test_a_renewed_certificate_is_of_the_same_authority(place: Coordinator) -> None:
    before = place.own_authority.read_bytes()
    old = parsed((place.certificates / "server.crt").read_bytes())
    new = parsed(renew(place).certificate)
    assert place.own_authority.read_bytes() == before
    assert new.serial_number != old.serial_number
    new.verify_directly_issued_by(parsed(before))
    key = place.certificates / "server.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_site_is_invited_later_once(place: Coordinator) -> None:
    assert read_invitation(invite(place, "late")).name == "late"
    with pytest.raises(InputError, match="exists; send it"):
        invite(place, "late")


def test_keys_are_kept_by_name(place: Coordinator, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.pub").write_text(make_site_key(tmp_path / name, name))
    keep_key(place, tmp_path / "a.pub", "a")
    keep_key(place, tmp_path / "a.pub", "a")
    with pytest.raises(InputError, match="a has another key there"):
        keep_key(place, tmp_path / "b.pub", "a")
    with pytest.raises(InputError, match="this is the key of a"):
        keep_key(place, tmp_path / "a.pub", "b")
    with pytest.raises(InputError, match="--name '../x'"):
        keep_key(place, tmp_path / "b.pub", "../x")
    assert [name for name, _ in place.known()] == ["a"]


def test_another_folder_is_no_coordinator(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no coordinator.toml in it"):
        coordinator(tmp_path)


def test_the_commands(fairfed: Command, study: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    code, said, _ = fairfed(
        "coordinator", "init", study, "-o", out, "--site", "a",
        "--port", PORT, "--inner-port", INNER_PORT,
    )  # fmt: skip
    assert code == 0
    assert f"for sites at 127.0.0.1:{PORT}" in said
    assert re.search(r"certificate of server: until \d{4}-\d\d-\d\d", said)
    code, said, _ = fairfed("coordinator", "status", out)
    assert code == 1
    assert said.count("✗") == 3
    assert fairfed("coordinator", "stop", out)[1] == "Nothing was running.\n"
    code, _, wrong = fairfed("coordinator", "init", study, "-o", tmp_path / "n", "--key", "x")
    assert (code, "belong together" in wrong) == (2, True)
