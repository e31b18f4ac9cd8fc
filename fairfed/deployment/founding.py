"""A coordinator's folder, written whole or not at all: keys, proxy, units, invitations."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evaluation.files import write_text
from fairfed.config import Config
from fairfed.deployment.certificates import (
    Pair,
    fingerprint,
    institution_pair,
    make_authority,
    make_server,
)
from fairfed.deployment.coordinator import Coordinator, CoordinatorConfig
from fairfed.deployment.invitation import Invitation, text_fingerprint
from fairfed.deployment.programs import versions
from fairfed.deployment.texts import texts_of
from fairfed.engines.flower_cli import RECEIPTS_KEY
from fairfed.sites.checking import study_of
from fairfed.sites.receipts import public_text, signing_key
from generators.writing import explained, write_new_secret
from semantic.errors import InputError

NO_SITES = (
    '{study}: who takes part? Name them there as sites = ["north", …], or give '
    "--site NAME once for each"
)


@dataclass(frozen=True)
class Institution:
    """Files of an institution's certificate: its own, its key, the authority's."""

    certificate: Path
    key: Path
    authority: Path


def found(
    study: Path, out: Path, config: CoordinatorConfig, sites: Iterable[str] = (),
    institution: Institution | None = None,
) -> Coordinator:  # fmt: skip
    """Write a coordinator's folder, which must not exist or be empty.

    The settings' name is replaced by the study's. Who is invited are `sites` or, without them,
    those that the study names. An institution's certificate takes the place of one of the
    coordinator's own.

    Raises `InputError` if the folder holds something, the study is none, names no sites or has
    files that do not exist, or the institution's certificate is not good for the address.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"-o {out} exists and is not empty; it may hold keys that sites trust, so nothing is "
            "overwritten: give another folder, or move it away"
        )
    asked = study_of(study)
    config = config.model_copy(update={"name": _called(asked.name)})
    names = tuple(dict.fromkeys(sites or asked.sites))
    if not names:
        raise InputError(NO_SITES.format(study=study))
    given = None
    if institution is not None:
        given = institution_pair(
            institution.certificate, institution.key, institution.authority, config.address
        )
    place = Coordinator(out.absolute())
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        for name, secret in _secrets(config, given):
            write_new_secret(draft / name, secret)
        public = _certificates(draft, given)
        receipts = public_text(signing_key(draft / RECEIPTS_KEY))
        text = study.read_text(encoding="utf-8")
        attributes = _attributes(asked)
        for name, content in texts_of(place, config, shown="institution" if given else "server"):
            write_text(draft / name, content)
        write_text(draft / "study.toml", text)
        if attributes:
            write_text(draft / "attributes.csv", attributes)
        for name in names:
            invited = invitation(config, name, public, text, attributes, receipts)
            write_text(draft / "invitations" / f"{name}.toml", invited.to_toml())
        for folder in ("sites", "logs", "run", "state"):
            (draft / folder).mkdir()
        with explained(out):
            draft.replace(out)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return place


def _called(study: str) -> str:
    """A study's name as Flower's connection."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", study).strip("-")
    return plain if plain not in ("", "default") else "study"


def invitation(
    config: CoordinatorConfig, name: str, authority: bytes, study: str, attributes: str,
    receipts: str,
) -> Invitation:  # fmt: skip
    """A site's invitation."""
    try:
        return Invitation(
            name=name, address=config.reached, fingerprint=text_fingerprint(study), study=study,
            authority=authority.decode(), receipts_key=receipts, attributes=attributes,
            **versions(),
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"site {name!r}: {error}") from error


def invite(place: Coordinator, name: str) -> Path:
    """Write the invitation of another site, and never over one; its file."""
    path = place.invitations / f"{name}.toml"
    if path.exists():
        raise InputError(f"{path} exists; send it, or remove it to write it anew")
    attributes = place.folder / "attributes.csv"
    invited = invitation(
        place.config, name, place.authority.read_bytes(), place.study.read_text(encoding="utf-8"),
        attributes.read_text(encoding="utf-8") if attributes.exists() else "",
        public_text(signing_key(place.folder / RECEIPTS_KEY)),
    )  # fmt: skip
    with explained(path):
        write_text(path, invited.to_toml())
    return path


def renew(place: Coordinator) -> Pair:
    """Replace the server's certificate by one of the same authority, which sites trust already."""
    folder = place.certificates
    authority = Pair(place.own_authority.read_bytes(), (folder / "ca.key").read_bytes())
    made = make_server(authority, [place.config.address])
    draft = folder / "server.key.new"
    draft.unlink(missing_ok=True)
    write_new_secret(draft, made.key)
    with explained(folder):
        write_text(folder / "server.crt", made.certificate.decode())
        draft.replace(folder / "server.key")
    return made


def _secrets(
    config: CoordinatorConfig, given: tuple[Pair, bytes] | None
) -> Iterator[tuple[str, bytes]]:
    """Files that their owner alone reads. Certificates among them: they come with their keys."""
    own = make_authority(config.name)
    server = make_server(own, [config.address])
    yield "certificates/ca.key", own.key
    yield "certificates/ca.crt", own.certificate
    yield "certificates/server.key", server.key
    yield "certificates/server.crt", server.certificate
    yield "superexec.secret", secrets.token_bytes(32)
    if given is not None:
        pair, authority = given
        yield "certificates/institution.key", pair.key
        yield "certificates/institution.crt", pair.certificate
        yield "certificates/institution-ca.crt", authority


def _certificates(draft: Path, given: tuple[Pair, bytes] | None) -> bytes:
    """Let others read the certificates; the one that sites shall trust."""
    for path in (draft / "certificates").glob("*.crt"):
        path.chmod(0o644)
    return given[1] if given else (draft / "certificates" / "ca.crt").read_bytes()


def _attributes(study: Config) -> str:
    """The study's own table of attributes, which sites do not have; empty where it has none."""
    source = study.semantic.attributes
    if source in ("bundled", "names"):
        return ""
    try:
        return Path(source).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"semantic.attributes: {source}: {error.strerror}") from error


def summary(place: Coordinator) -> list[str]:
    """What a person has to know of a new folder, and do next."""
    config, certificates = place.config, place.certificates
    shown = Pair((certificates / f"{place.shown}.crt").read_bytes(), b"")
    invited = sorted(path.name for path in place.invitations.iterdir())
    lines = [
        f"{place.folder}: coordinator of {config.name}, for sites at {config.reached}",
        f"  certificate of {place.shown}: until {shown.until:%Y-%m-%d}",
        f"  authority: {fingerprint(place.authority.read_bytes())}",
        f"  study: {text_fingerprint(place.study.read_text(encoding='utf-8'))}",
        f"  invitations: {', '.join(invited)}",
        "Keep ca.key and superexec.secret to yourself; send each site its invitation, and read it "
        "the two fingerprints by telephone.",
    ]
    if config.local:
        lines.append("For a trial: only this machine reaches 127.0.0.1.")
    return lines
