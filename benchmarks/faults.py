"""What becomes of a study over a SuperLink when something dies, is cut off, or has no room.

Three hospitals and a coordinator on this machine, over TLS with registered keys, as
`examples/hospitals/across.py` sets them up. The study trains one plain arm, and one with personal
models that the sites keep (Ditto). After an undisturbed run each fault happens at a random moment
of a run of its own; what ends is compared with the undisturbed weights, to the bit.

    python benchmarks/faults.py --out docs/faults.json          # resumable; hours on a busy machine
    python benchmarks/faults.py --moments 1 --faults server node
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil

HERE = Path(__file__).resolve().parent.parent
SITES = ("north", "south", "west")
ARMS = 'arms=[{name="FedAvg"}, {name="Ditto", personal=1.0}]'
ROUNDS = 3
LONGEST = 1800.0


class Hospitals:
    """The three sites and their coordinator, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.hub = folder, folder / "coordinator"
        self.study = folder / "study.toml"

    def fairfed(self, *arguments: str | Path, check: bool = True) -> str:
        """Give a command as a user does; what it says."""
        command = [sys.executable, "-m", "fairfed", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise SystemExit(f"{' '.join(command[2:])}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def site(self, name: str) -> Path:
        """A site's file."""
        return self.folder / name / "site.toml"

    def set_up(self) -> None:
        """Make data, keys and certificates, once."""
        if self.hub.is_dir():
            return
        make = HERE / "examples" / "hospitals" / "make_hospitals.py"
        subprocess.run([sys.executable, make, self.folder], check=True, stdout=subprocess.DEVNULL)
        self.fairfed("coordinator", "init", self.study, "-o", self.hub, "--port", "19443",
                     "--inner-port", "19092")  # fmt: skip

    def start(self) -> None:
        """Start everybody."""
        self.fairfed("coordinator", "start", self.hub)
        for name in SITES:
            if not (self.hub / "sites" / f"{name}.pub").is_file():
                invitation = self.hub / "invitations" / f"{name}.toml"
                self.fairfed("site", "join", invitation, "--site", self.site(name))
                key = self.site(name).parent / "state" / "connection" / "key.pub"
                self.fairfed("coordinator", "register", self.hub, key, "--name", name)
            self.fairfed("site", "start", self.site(name), check=False)

    def stop(self) -> None:
        """Stop everybody."""
        for name in SITES:
            self.fairfed("site", "stop", self.site(name), check=False)
        self.fairfed("coordinator", "stop", self.hub, check=False)

    def run(self, name: str) -> subprocess.Popen[bytes]:
        """Start a study's run, and return the process that follows it."""
        settings = [f"name={name}", f"out={self.folder}/runs/{name}", f"rounds={ROUNDS}", ARMS,
                    "deadline=300", "min_sites=2", "wait=300"]  # fmt: skip
        given = [word for setting in settings for word in ("--set", setting)]
        command = [sys.executable, "-m", "fairfed", "run", self.study, "--on", self.hub, *given]
        log = (self.folder / f"{name}.log").open("wb")
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rounds that a run has logged."""
        path = self.folder / "runs" / name / "rounds.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def weights(self, name: str) -> dict[str, str]:
        """Hashes of a run's last models."""
        import hashlib

        from fairfed.rounds import checkpoint

        return {
            path.stem: hashlib.sha256(
                b"".join(array.tobytes() for array in checkpoint.load(path).arrays.values())
            ).hexdigest()[:16]
            for path in sorted((self.folder / "runs" / name / "checkpoints").glob("*.npz"))
        }


def killed(found: Callable[[Hospitals], psutil.Process | None]) -> Callable[[Hospitals, str], str]:
    """A fault that kills a process (SIGKILL) as soon as there is one."""

    def happen(hospitals: Hospitals, name: str) -> str:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            process = found(hospitals)
            if process is not None:
                words = process.cmdline()
                os.kill(process.pid, signal.SIGKILL)
                return Path(words[1] if len(words) > 1 else words[0]).name
            time.sleep(0.2)
        return "nothing to kill"

    return happen


def by_name(program: str, *words: str) -> Callable[[Hospitals], psutil.Process | None]:
    """The last process of a program of Flower's whose command has certain words."""

    def found(hospitals: Hospitals) -> psutil.Process | None:
        matching = []
        for process in psutil.process_iter(["cmdline"]):
            line = process.info["cmdline"] or []
            if any(Path(word).name == program for word in line[:2]) and all(
                any(word in part for part in line) for word in words
            ):
                matching.append(process)
        return matching[-1] if matching else None

    return found


def superlink(hospitals: Hospitals, name: str) -> str:
    """Kill the SuperLink and start it again."""
    said = killed(by_name("flower-superlink"))(hospitals, name)
    time.sleep(10)
    hospitals.fairfed("coordinator", "start", hospitals.hub)
    return said


def node(hospitals: Hospitals, name: str) -> str:
    """Kill a site's SuperNode and start it again, as its unit would."""
    site = random.choice(SITES)
    said = killed(by_name("flower-supernode", f"/{site}/"))(hospitals, name)
    hospitals.fairfed("site", "start", hospitals.site(site), check=False)
    return f"{said} of {site}"


def cut_off(hospitals: Hospitals, name: str) -> str:
    """Stop a site's SuperNode for about a round."""
    site = random.choice(SITES)
    hospitals.fairfed("site", "stop", hospitals.site(site))
    before = len(hospitals.rows(name))
    until = time.monotonic() + 600
    while len(hospitals.rows(name)) <= before and time.monotonic() < until:
        time.sleep(1)
    hospitals.fairfed("site", "start", hospitals.site(site), check=False)
    return f"{site} away for a round"


def no_room(hospitals: Hospitals, name: str) -> str:
    """Let a site's disk take no line of the ledger for about a round."""
    site = random.choice(SITES)
    ledger = hospitals.site(site).parent / "state" / "ledger.jsonl"
    aside = ledger.with_name("ledger.aside")
    ledger.rename(aside)
    ledger.mkdir()
    before = len(hospitals.rows(name))
    until = time.monotonic() + 600
    while len(hospitals.rows(name)) <= before and time.monotonic() < until:
        time.sleep(1)
    ledger.rmdir()
    aside.rename(ledger)
    return f"no room at {site} for a round"


FAULTS: dict[str, Callable[[Hospitals, str], str]] = {
    "server": killed(by_name("flwr-serverapp")),
    "superlink": superlink,
    "node": node,
    "client": killed(by_name("flwr-clientapp")),
    "cut-off": cut_off,
    "no-room": no_room,
}


def one(hospitals: Hospitals, fault: str, moment: int) -> dict[str, Any]:
    """Run a study in which a fault happens; what became of it."""
    name = f"{fault}-{moment}"
    shutil.rmtree(hospitals.folder / "runs" / name, ignore_errors=True)
    draw = random.Random(f"{fault}/{moment}")
    random.seed(f"{fault}/{moment}")
    whole = ROUNDS * 2
    after, pause = draw.randrange(0, whole - 1), draw.uniform(0, 15)
    hospitals.start()
    process = hospitals.run(name)
    started = time.monotonic()
    while len(hospitals.rows(name)) < after and process.poll() is None:
        time.sleep(1)
    time.sleep(pause)
    what = FAULTS[fault](hospitals, name) if fault != "none" else ""
    code = process.wait(LONGEST)
    rows = hospitals.rows(name)
    failed = [client["name"] for row in rows for client in row["clients"] if client["error"]]
    last = {(row["arm"], row["round"]) for row in rows}
    return {
        "fault": fault, "moment": moment, "what": what, "after_rounds": after,
        "exit": code, "rounds": len(last), "of": whole, "failed": failed,
        "seconds": round(time.monotonic() - started), "weights": hospitals.weights(name),
    }  # fmt: skip


def main() -> None:
    """Run what has not been run, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(".work/faults"))
    parser.add_argument("--out", type=Path, default=Path(".work/faults.json"))
    parser.add_argument("--moments", type=int, default=5)
    parser.add_argument("--faults", nargs="*", default=list(FAULTS))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    hospitals = Hospitals(given.folder.resolve())
    hospitals.set_up()
    found = json.loads(given.out.read_text()) if given.out.exists() else []
    wanted = [("none", 0), *((f, m) for f in given.faults for m in range(given.moments))]
    try:
        for fault, moment in wanted:
            if any((row["fault"], row["moment"]) == (fault, moment) for row in found):
                continue
            found.append(one(hospitals, fault, moment))
            given.out.parent.mkdir(parents=True, exist_ok=True)
            given.out.write_text(json.dumps(found, indent=1))
            print(json.dumps(found[-1]), flush=True)
    finally:
        hospitals.stop()
    whole = next(row["weights"] for row in found if row["fault"] == "none")
    print("| fault | after round | exit | rounds | failed answers | same weights | seconds |")
    print("|---|---:|---:|---:|---:|---|---:|")
    for row in found:
        same = "yes" if row["weights"] == whole else "no"
        print(f"| {row['fault']} ({row['what']}) | {row['after_rounds']} | {row['exit']} | "
              f"{row['rounds']} of {row['of']} | {len(row['failed'])} | {same} | "
              f"{row['seconds']} |")  # fmt: skip


if __name__ == "__main__":
    main()
