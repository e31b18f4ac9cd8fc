"""The public keys of sites in a coordinator's folder, from which they are registered again."""

from __future__ import annotations

from pathlib import Path

from evaluation.files import write_text
from fairfed.config.site import plain_name
from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.keys import read_public_key
from generators.writing import explained
from semantic.errors import InputError


def keep_key(place: Coordinator, key: Path, name: str) -> None:
    """Put a site's public key into the folder.

    Raises `InputError` if it is no public key, the name is no site's, the site has another key
    already, or another site has this one.
    """
    try:
        plain_name(name)
    except ValueError as error:
        raise InputError(f"--name {error}") from error
    line = read_public_key(key)
    for known, path in place.known():
        same = read_public_key(path) == line
        if known == name and not same:
            raise InputError(
                f"{path}: {name} has another key there; if it has lost that one: unregister it "
                "(`flwr supernode unregister`), remove the file, and register the new key"
            )
        if known != name and same:
            raise InputError(f"{key}: this is the key of {known}; every site needs its own")
    with explained(place.sites):
        write_text(place.sites / f"{name}.pub", f"{line} {name}\n")
