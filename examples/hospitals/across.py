"""Three hospitals and a coordinator on this machine, over TLS: from nothing to the report.

Usage: ``python examples/hospitals/across.py [DIRECTORY] [-- OPTIONS OF fairfed run]``

Every step is the command that a coordinator or a site would give. What was started is stopped at
the end, whatever happened; the same command again continues the study.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SITES = ("north", "south", "west")


def fairfed(*arguments: str | Path, fails: bool = False) -> int:
    """Give a command as a user does; returns its exit code."""
    command = [sys.executable, "-m", "fairfed", *map(str, arguments)]
    print("$ fairfed", *map(str, arguments), flush=True)
    done = subprocess.run(command, check=False)
    if done.returncode and not fails:
        raise SystemExit(done.returncode)
    return done.returncode


def main() -> int:
    """Set up what is not there yet, run, stop; the exit code of `fairfed run`."""
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    place, options = Path(given[0] if cut else "hospitals"), given[cut + 1 :]
    hub, study = place / "coordinator", place / "study.toml"
    if not study.is_file():
        subprocess.run([sys.executable, HERE / "make_hospitals.py", place], check=True)
    if not hub.is_dir():
        fairfed("coordinator", "init", study, "-o", hub)
    started = [place / name / "site.toml" for name in SITES]
    try:
        fairfed("coordinator", "start", hub)
        for name, site in zip(SITES, started, strict=True):
            if not (hub / "sites" / f"{name}.pub").is_file():
                fairfed("site", "join", hub / "invitations" / f"{name}.toml", "--site", site)
                key = site.parent / "state" / "connection" / "key.pub"
                fairfed("coordinator", "register", hub, key, "--name", name)
            fairfed("site", "start", site)
        fairfed("coordinator", "status", hub)
        return fairfed("run", study, "--on", hub, "--set", f"out={place}/run", *options, fails=True)
    finally:
        for site in started:
            fairfed("site", "stop", site, fails=True)
        fairfed("coordinator", "stop", hub, fails=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
