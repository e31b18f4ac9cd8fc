"""The coordinator's folder: what is where, and what is started from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import Field, field_validator

from fairfed.config.base import Section
from fairfed.config.load import load_model
from fairfed.deployment.processes import Process
from fairfed.deployment.programs import environment, nginx, program
from semantic.errors import InputError

SETTINGS = "coordinator.toml"
IN_MEMORY, ON_DISK = ":flwr-in-memory:", "state/superlink.db"
"""Where the SuperLink keeps its state. Over the database, on disk or in /dev/shm, models of 200 MB
pass, and those of 500 MB end the run: `database is locked`. In memory they pass."""


class CoordinatorConfig(Section):
    """What `fairfed coordinator init` was told, as `coordinator.toml` keeps it."""

    name: str = Field(description="The connection's name in flwr/config.toml: the study's.")
    address: str = Field(description="Host name or IP address by which sites reach the proxy.")
    port: int = Field(ge=1, le=65535, description="Its port.")
    inner_port: int = Field(ge=1, le=65535, description="Port of the SuperLink, on 127.0.0.1 only.")
    database: str = Field(description="Where the SuperLink keeps nodes, runs and messages.")

    @field_validator("address")
    @classmethod
    def _host(cls, address: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9.-]+", address):
            raise ValueError(f"{address!r}: expected a host name or an IPv4 address")
        return address

    @property
    def local(self) -> bool:
        """Whether it is reached from this machine alone."""
        return self.address in ("localhost", "127.0.0.1")

    @property
    def reached(self) -> str:
        """Host and port."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Coordinator:
    """A coordinator by its folder, which is absolute."""

    folder: Path

    @cached_property
    def config(self) -> CoordinatorConfig:
        """Its settings; `InputError` if the folder is no coordinator's."""
        if not (self.folder / SETTINGS).is_file():
            raise InputError(
                f"{self.folder}: no {SETTINGS} in it; give the folder that `fairfed coordinator "
                "init` has written"
            )
        return load_model(CoordinatorConfig, self.folder / SETTINGS)

    @property
    def certificates(self) -> Path:
        """Folder of certificates and their keys."""
        return self.folder / "certificates"

    @property
    def own_authority(self) -> Path:
        """Certificate of the authority that programs on this machine trust."""
        return self.certificates / "ca.crt"

    @property
    def authority(self) -> Path:
        """Certificate of the authority that sites trust: the institution's, or the own one."""
        given = self.certificates / "institution-ca.crt"
        return given if given.exists() else self.own_authority

    @property
    def shown(self) -> str:
        """What the proxy's certificate and key are called."""
        given = self.certificates / "institution.crt"
        return "institution" if given.exists() else "server"

    @property
    def secret(self) -> Path:
        """What the SuperExec shows the SuperLink."""
        return self.folder / "superexec.secret"

    @property
    def home(self) -> Path:
        """Flower's directory."""
        return self.folder / "flwr"

    @property
    def study(self) -> Path:
        """The study as the sites were sent it."""
        return self.folder / "study.toml"

    @property
    def sites(self) -> Path:
        """Folder of the sites' public keys, NAME.pub."""
        return self.folder / "sites"

    @property
    def invitations(self) -> Path:
        """Folder of the invitations."""
        return self.folder / "invitations"

    def known(self) -> Iterator[tuple[str, Path]]:
        """The sites' names and public keys."""
        for path in sorted(self.sites.glob("*.pub")):
            yield path.stem, path

    @property
    def environment(self) -> dict[str, str]:
        """Of the processes of Flower."""
        return environment(self.home, None)

    def superlink(self, config: CoordinatorConfig) -> tuple[str, ...]:
        """The SuperLink: on loopback only, with TLS, registered nodes, and no apps of its own."""
        place = self.certificates
        database = config.database
        if database != IN_MEMORY:
            database = str(self.folder / database)
        return (
            program("flower-superlink"), "--host", "127.0.0.1", "--port", str(config.inner_port),
            "--ssl-ca-certfile", str(self.own_authority),
            "--ssl-certfile", str(place / "server.crt"), "--ssl-keyfile", str(place / "server.key"),
            "--enable-supernode-auth", "--database", database,
            "--isolation", "process", "--superexec-auth-secret-file", str(self.secret),
            "--disable-runtime-dependency-installation",
        )  # fmt: skip

    def superexec(self, config: CoordinatorConfig) -> tuple[str, ...]:
        """The SuperExec, which runs the ServerApps."""
        return (
            program("flower-superexec"),
            "--runtime-api-address", f"127.0.0.1:{config.inner_port}",
            "--root-certificates", str(self.own_authority),
            "--superexec-auth-secret-file", str(self.secret),
        )  # fmt: skip

    def proxy(self, executable: str | None = None) -> tuple[str, ...]:
        """The proxy, which is all that the outside reaches."""
        where = str(self.folder)
        return (executable or nginx(), "-p", where, "-c", f"{where}/nginx.conf", "-e", "stderr")

    def processes(self, executable: str | None = None) -> dict[str, Process]:
        """All three, in the order in which they are started; nginx is looked for without a path."""
        commands = {
            "superlink": self.superlink(self.config),
            "superexec": self.superexec(self.config),
            "proxy": self.proxy(executable),
        }
        return {
            name: Process(
                name, self.folder / "run" / f"{name}.pid", self.folder / "logs" / f"{name}.log",
                command, self.environment,
            )
            for name, command in commands.items()
        }  # fmt: skip


def coordinator(folder: Path) -> Coordinator:
    """The coordinator of a folder; `InputError` if it is none."""
    found = Coordinator(folder.absolute())
    _ = found.config
    return found
