"""The texts of a coordinator's folder: settings, proxy, systemd units, Flower's configuration."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import Any

import tomli_w

from evaluation.report.filling import template
from fairfed.deployment.coordinator import SETTINGS, Coordinator, CoordinatorConfig
from fairfed.deployment.programs import (
    nginx,
    program,
    unit_command,
    unit_environment,
    unit_word,
)
from semantic.errors import InputError

PRIVILEGED = 1024
UNITS = {
    "fairfed-superlink": ("superlink", "Flower's SuperLink", ""),
    "fairfed-superexec": (
        "superexec",
        "runs what the study does here",
        "fairfed-superlink.service",
    ),
    "fairfed-proxy": ("proxy", "lets sites through, and nobody else", "fairfed-superlink.service"),
}
"""Name of a systemd unit: the process, what it is, after which other."""
SETTINGS_HEAD = """\
# Written by `fairfed coordinator init`. Proxy, units, certificates and invitations say the same: to
# change an address or a port, write a new folder. The folder cannot be moved.
#
# database: "state/superlink.db" keeps registrations, runs and messages on the disk: a SuperLink
# that was killed goes on when it is started within a minute. Models of 200 MB were tried with it;
# those of 500 MB ended the run (`database is locked`). With ":flwr-in-memory:" they pass; after a
# kill the sites sign in anew, and the study continues from its own checkpoint. Change it in the
# SuperLink's unit, too.
"""


def texts_of(
    place: Coordinator, config: CoordinatorConfig, shown: str
) -> Iterator[tuple[str, str]]:
    """Settings, proxy, units, Flower's configuration."""
    yield SETTINGS, SETTINGS_HEAD + tomli_w.dumps(config.model_dump())
    yield "nginx.conf", fill("nginx.conf.j2", config=config, shown=shown)
    connection = {
        "address": f"127.0.0.1:{config.inner_port}", "root-certificates": str(place.own_authority),
    }  # fmt: skip
    superlink = {"default": config.name, config.name: connection}
    yield "flwr/config.toml", tomli_w.dumps({"superlink": superlink})
    commands = {
        "superlink": place.superlink(config), "superexec": place.superexec(config),
        "proxy": place.proxy(_nginx()),
    }  # fmt: skip
    register = unit_command((program("fairfed"), "coordinator", "register", str(place.folder)))
    for unit, (process, what, after) in UNITS.items():
        yield f"units/{unit}.service", fill(
            "coordinator.service.j2", unit=unit, what=what, after=after, config=config,
            command=unit_command(commands[process]), folder=str(place.folder),
            then=register if process == "superlink" else "",
            environment=unit_environment(place.environment), user=getpass.getuser(),
            privileged_port=process == "proxy" and config.port < PRIVILEGED,
        )  # fmt: skip


def _nginx() -> str:
    """Where nginx is, or will be once it is installed."""
    try:
        return nginx()
    except InputError:
        return "/usr/sbin/nginx"


def fill(form: str, /, **values: Any) -> str:
    """A template of this package, with paths and words as systemd takes them."""
    filters = {
        "path": lambda path: str(path).replace("%", "%%"),
        "word": lambda word: unit_word(str(word)),
    }
    text: str = template(form, "fairfed.deployment", escape=False, **filters).render(**values)
    return text.rstrip() + "\n"
