"""Registering sites: their public keys with the SuperLink, and in the folder, to do it again."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from evaluation.files import write_text
from fairfed.config.site import plain_name
from fairfed.deployment.coordinator import Coordinator
from fairfed.deployment.flower_errors import explain
from fairfed.deployment.keys import read_public_key
from fairfed.deployment.programs import program
from fairfed.errors import RunError
from generators.writing import explained
from semantic.errors import InputError

IN_USE = "[code: 23]"


def keep_key(place: Coordinator, key: Path, name: str) -> None:
    """Put a site's public key into the folder.

    Raises
    ------
    semantic.errors.InputError
        If it is no public key, the name is no site's, the site has another key already, or
        another site has this one.
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


def register(place: Coordinator, name: str) -> str:
    """Tell the SuperLink a site's key; what came of it.

    Raises
    ------
    fairfed.errors.RunError
        If the SuperLink does not take it.
    """
    done = subprocess.run(
        [
            program("flwr"), "supernode", "register", str(place.sites / f"{name}.pub"),
            place.config.name, "--name", name, "--format", "json",
        ],
        capture_output=True, text=True, env={**place.environment}, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    if IN_USE in said:
        return f"{name}: registered already"
    found = re.search(r"\{.*\}", done.stdout, re.DOTALL)
    if done.returncode or found is None or not json.loads(found.group()).get("success"):
        why = explain(said) or [" ".join(said.split())[-300:]]
        raise RunError(f"{name} cannot be registered: {' '.join(why)}")
    return f"{name}: registered as node {json.loads(found.group())['node-id']}"


def register_known(place: Coordinator) -> Iterator[str]:
    """Register all sites whose keys are in the folder; a line for each."""
    for name, _ in place.known():
        yield register(place, name)
