"""The compose file: what each container may read, write and reach. It is not run here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SITES = ("north", "south", "west")


@pytest.mark.parametrize("name", SITES)
def test_a_site_reads_its_data_and_writes_its_state_alone(name: str) -> None:
    volumes = [str(volume) for volume in COMPOSE["services"][name]["volumes"]]
    assert [volume for volume in volumes if not volume.endswith(":ro")] == [f"{name}:/site/state"]
    assert all(f"/{name}" in volume for volume in volumes if volume.startswith("./"))


@pytest.mark.parametrize("name", SITES)
def test_a_site_is_alone_with_the_coordinator(name: str) -> None:
    site: dict[str, Any] = COMPOSE["services"][name]
    assert site["networks"] == [name]
    assert COMPOSE["networks"][name] == {"internal": True}
    there = [other for other, service in COMPOSE["services"].items() if name in service["networks"]]
    assert there == ["coordinator", name]
    assert "ports" not in site


def test_no_container_can_change_itself_or_gain_rights() -> None:
    for service in COMPOSE["services"].values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_has_a_reaping_init_and_no_root() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["tini", "-g", "--", "entrypoint"]' in text
    assert text.index("USER fairfed") < text.index("ENTRYPOINT")
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
    names = {name for line in copied for name in line if not name.startswith("--")}
    assert {f"!{name}" for name in names} <= set(ignored)
