"""What a coordinator sends a site: address, whom to trust, the study. Nothing in it is secret."""

from __future__ import annotations

import hashlib
from pathlib import Path

import tomli_w
from pydantic import Field, field_validator

from fairfed.config import Config
from fairfed.config.base import Section
from fairfed.config.load import load_model, parse_config
from fairfed.config.site import plain_name
from fairfed.deployment.certificates import fingerprint, parsed
from semantic.errors import InputError

HEAD = """\
# An invitation of {name} to the study {study!r}: `fairfed site join THIS --site site.toml`.
# Nothing in it is secret, but whoever can change it can pose as the coordinator: before you join,
# compare the two fingerprints that `join` prints with the coordinator's, by telephone.
"""
ATTRIBUTES = "attributes.csv"
"""The study's table of attributes beside its copy at a site."""


class Invitation(Section):
    """Of one site."""

    name: str = Field(description="What the site is called in the study.")
    address: str = Field(description="Where the coordinator is: HOST:PORT.")
    fairfed: str = Field(description="The coordinator's version of fairfed.")
    flwr: str = Field(description="The coordinator's version of Flower.")
    fingerprint: str = Field(description="SHA-256 of the study's text.")
    authority: str = Field(description="Certificate of the authority to trust, PEM.")
    study: str = Field(description="The study's file.")
    receipts_key: str = Field("", description="With what the coordinator's receipts are verified.")
    attributes: str = Field("", description="Its table of attributes, where it has one of its own.")

    @field_validator("name")
    @classmethod
    def _plain(cls, name: str) -> str:
        return plain_name(name)

    @field_validator("address")
    @classmethod
    def _reachable(cls, address: str) -> str:
        host, colon, port = address.rpartition(":")
        if not host or not colon or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"{address!r}: expected HOST:PORT")
        return address

    @property
    def authority_fingerprint(self) -> str:
        """SHA-256 of the authority's certificate."""
        return fingerprint(self.authority.encode())

    def config(self, attributes: str | None = None) -> Config:
        """The study; `attributes` is the path of its table on this machine, or as its text says."""
        changes = [] if attributes is None else [f"semantic.attributes={attributes}"]
        return parse_config(self.study, "the invitation's study", changes)

    def to_toml(self) -> str:
        """The text of its file."""
        head = HEAD.format(name=self.name, study=self.config().name)
        values = self.model_dump(exclude_defaults=True)
        return f"{head}\n{tomli_w.dumps(values, multiline_strings=True)}"


def text_fingerprint(text: str) -> str:
    """SHA-256 of a study's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_invitation(path: Path) -> Invitation:
    """Read an invitation; `InputError` if it is none, or is damaged."""
    found = load_model(Invitation, path)
    if text_fingerprint(found.study) != found.fingerprint:
        raise InputError(
            f"{path}: the study in it is not the one of its fingerprint: the file was changed on "
            "its way; ask the coordinator for it again"
        )
    try:
        parsed(found.authority.encode())
    except ValueError as error:
        raise InputError(f"{path}: authority: no certificate in PEM ({error})") from error
    return found
