"""Runs on a SuperLink, started and looked after with Flower's own command line.

`flwr run` ships an app of a few lines: the code is that of the package installed on every side.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairfed import __version__
from semantic.errors import InputError

APP = """\
[project]
name = "fairfed"
version = "{version}"
license = {{ file = "LICENSE" }}
dependencies = []

[tool.flwr.app]
publisher = "fairfed"
fab-include = ["/LICENSE"]

[tool.flwr.app.components]
serverapp = "fairfed.server:app"
clientapp = "fairfed.client:app"

[tool.flwr.app.config]
config = ""
overrides = ""
receipts = ""
"""
LICENCE = "The app names code that is installed on every side, which has a licence of its own.\n"
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    # Flower would otherwise install the app's dependencies anew for every run, torch included.
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
"""Of every process of Flower's."""
HOME = "FLWR_HOME"
OF_COORDINATOR = "flwr"
"""Folder of a coordinator's directory that has Flower's configuration with its connection."""

RECEIPTS_KEY = "receipts.key"
"""File of it with which what sites answer is signed."""

REFUSED = "--on {on}: Flower could not {what}: {said}"
NO_FLOWER = "--on: there is no command `flwr` beside {python}; install fairfed's dependencies again"


class SuperLinkError(InputError):
    """A SuperLink did not do as it was asked; the message has what Flower said."""


@dataclass(frozen=True)
class RunStatus:
    """How a run on a SuperLink is."""

    # ``pending``, ``starting``, ``running``, ``finished:completed``, ``finished:failed`` or
    # ``finished:stopped``; ``unknown`` if the SuperLink knows no such run.
    state: str
    details: str = ""  # what Flower says of it

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state.startswith("finished") or self.state == "unknown"


@dataclass(frozen=True)
class SuperLink:
    """A SuperLink that this machine's `flwr` knows."""

    # What the user calls it: a connection of Flower's `config.toml`, or a coordinator's directory.
    on: str

    @property
    def _home(self) -> Path | None:
        home = Path(self.on) / OF_COORDINATOR
        return home.absolute() if home.is_dir() else None

    def start(self, config: Path) -> int:
        """Start a run of a configuration; Flower's number of it, or a `SuperLinkError`."""
        settings = f"config={json.dumps(str(config.absolute()))}"
        key = Path(self.on) / RECEIPTS_KEY
        if key.is_file():
            settings += f" receipts={json.dumps(str(key.absolute()))}"
        with tempfile.TemporaryDirectory(prefix="fairfed-app-") as folder:
            app = Path(folder)
            (app / "pyproject.toml").write_text(APP.format(version=__version__), encoding="utf-8")
            (app / "LICENSE").write_text(LICENCE, encoding="utf-8")
            told = self._flwr("start the run", "run", str(app), run_config=settings)
        return int(told["run-id"])

    def status(self, run: int) -> RunStatus:
        """How a run is; `SuperLinkError` if the SuperLink does not answer."""
        told = self._flwr("list its runs", "list")
        for one in told.get("runs", []):
            if int(one["run-id"]) == run:
                return RunStatus(str(one["status"]), str(one.get("status-details", "")))
        return RunStatus("unknown")

    def _flwr(self, what: str, *arguments: str, run_config: str | None = None) -> dict[str, Any]:
        program = Path(sys.executable).with_name("flwr")
        if not program.is_file():
            raise InputError(NO_FLOWER.format(python=sys.executable))
        home = self._home
        command = [str(program), *arguments, *(() if home else (self.on,)), "--format", "json"]
        if run_config is not None:
            command += ["--run-config", run_config]
        environment = {**os.environ, **QUIET, **({HOME: str(home)} if home else {})}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        try:
            told: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
        except ValueError:
            told = {"success": False, "error-message": done.stdout + done.stderr}
        if done.returncode or told.get("success") is False:
            said = " ".join(str(told.get("error-message") or done.stderr).split())
            raise SuperLinkError(REFUSED.format(on=self.on, what=what, said=said))
        return told
