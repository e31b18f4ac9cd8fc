"""What a site writes when it joins a study: its key, whom it trusts, its systemd unit."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import tomli_w
from pydantic import Field

from evaluation.files import write_text
from fairfed.config.base import Section
from fairfed.config.load import load_model
from fairfed.config.site import SiteConfig, load_site
from fairfed.deployment.invitation import ATTRIBUTES, Invitation, read_invitation
from fairfed.deployment.processes import Process
from fairfed.deployment.programs import (
    environment,
    node_configuration,
    program,
    unit_command,
    unit_environment,
)
from fairfed.deployment.texts import fill
from fairfed.sites.keys import key_file, make_site_key
from generators.writing import explained
from semantic.errors import InputError

NODE_PORT = 9094
"""Where the SuperNode's own helpers reach it on this machine; Flower's default."""


class Connection(Section):
    """What of a site's connection is its own choice, as `connection.toml` keeps it."""

    port: int = Field(NODE_PORT, ge=1, le=65535, description="The SuperNode's port on 127.0.0.1.")


@dataclass(frozen=True)
class Node:
    """A site's SuperNode by the site's file, which is absolute."""

    file: Path

    @cached_property
    def site(self) -> SiteConfig:
        """The site."""
        return load_site(self.file)

    @property
    def folder(self) -> Path:
        """Where all of the connection is, in the site's state directory."""
        return Path(self.site.state.directory) / "connection"

    @cached_property
    def invitation(self) -> Invitation:
        """The invitation that was accepted; `InputError` if the site has joined nothing."""
        path = self.folder / "invitation.toml"
        if not path.exists():
            raise InputError(
                f"{self.file}: {self.site.name} has joined no study; `fairfed site join "
                f"INVITATION --site {self.file}` first"
            )
        return read_invitation(path)

    @property
    def key(self) -> Path:
        """The private half of the site's key."""
        return key_file(self.site)

    @property
    def authority(self) -> Path:
        """Certificate of the authority that the site trusts."""
        return self.folder / "ca.crt"

    @property
    def study(self) -> Path:
        """The study's file."""
        return self.folder / "study.toml"

    @property
    def attributes(self) -> str | None:
        """The study's own table of attributes; None where it has none."""
        return str(self.folder / ATTRIBUTES) if self.invitation.attributes else None

    @property
    def unit(self) -> Path:
        """The systemd unit."""
        return self.folder / f"fairfed-site-{self.site.name}.service"

    @property
    def port(self) -> int:
        """The SuperNode's port on this machine."""
        return load_model(Connection, self.folder / "connection.toml").port

    @property
    def environment(self) -> dict[str, str]:
        """Of the SuperNode and of the apps that it starts."""
        return environment(self.folder / "flwr", self.site.compute.threads)

    def command(self, port: int) -> tuple[str, ...]:
        """The SuperNode."""
        return (
            program("flower-supernode"), "--superlink", self.invitation.address,
            "--root-certificates", str(self.authority),
            "--auth-supernode-private-key", str(self.key), "--port", str(port),
            "--node-config", node_configuration(self.file),
        )  # fmt: skip

    def process(self, port: int | None = None) -> Process:
        """The SuperNode as a process; without a port only to look at it, or to stop it."""
        return Process(
            f"site {self.site.name}", self.folder / "node.pid", self.folder / "node.log",
            () if port is None else self.command(port), self.environment,
        )  # fmt: skip


def node(site: Path) -> Node:
    """The SuperNode of a site's file."""
    return Node(site.absolute())


def join(
    path: Path, site: Path, port: int = NODE_PORT, *, replace: bool = False
) -> tuple[Node, str]:
    """Accept an invitation: write key, trust, study and unit; the node, and the key's public half.

    A key that is there is kept; an earlier, different invitation only gives way with `replace`.
    `port` is the SuperNode's, on this machine. Raises `InputError` if a file is not what it should
    be, the invitation is another site's, or the site has joined by a different one.
    """
    invitation, joined = read_invitation(path), node(site)
    name = joined.site.name
    if invitation.name != name:
        raise InputError(
            f"{path}: the invitation is for {invitation.name!r}, and {site} is {name!r}; ask for "
            "your own, or set `name` in site.toml to that of the invitation"
        )
    kept = joined.folder / "invitation.toml"
    if kept.exists() and not replace and read_invitation(kept) != invitation:
        raise InputError(
            f"{site}: {name} has joined by another invitation: {_differing(kept, invitation)}. If "
            "that is right (compare the fingerprints by telephone), join with --replace"
        )
    public = make_site_key(joined.key, name)
    folder = joined.folder
    texts = {
        kept: invitation.to_toml(),
        joined.authority: invitation.authority,
        joined.study: invitation.study,
        folder / "connection.toml": tomli_w.dumps({"port": port}),
        folder / "key.pub": public,
    }
    if invitation.attributes:
        texts[folder / ATTRIBUTES] = invitation.attributes
    with explained(folder):
        for file, text in texts.items():
            write_text(file, text)
        write_text(joined.unit, _unit(joined))
    return joined, public


def _differing(kept: Path, invitation: Invitation) -> str:
    before, after = read_invitation(kept).model_dump(), invitation.model_dump()
    return ", ".join(name for name in before if before[name] != after[name])


def _unit(joined: Node) -> str:
    check = (program("fairfed"), "site", "start", str(joined.file), "--check")
    return fill(
        "site.service.j2", name=joined.site.name, user=getpass.getuser(), folder=joined.folder,
        environment=unit_environment(joined.environment), check=unit_command(check),
        command=unit_command(joined.command(joined.port)), log=joined.folder / "node.log",
        state=joined.site.state.directory,
    )  # fmt: skip
