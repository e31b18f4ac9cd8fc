"""Label skew on Fashion-MNIST: every system and baseline against Stable Diffusion + CLIP.

10 clients with 1, 2 or 3 labels each, or by Dirichlet 0.1; the CNN, optimiser and batches of
Flower's niid_bench, 20 rounds of 2 local epochs; 3 seeds. Writes docs/results.md and
docs/results.json.

The clients' training images are the 600 of each class on which no bundled weight was trained; test
images are all 10,000 where the full set is to be had (--data, or Debian's package), else the
bundled 2,000. With --images above 600 the clients also get images that the generator has seen, and
the page says so.

A run continues where it was interrupted, and one that is done is not repeated, nor is one that
docs/results.json has from elsewhere. Several processes may work at once on different --seeds; each
finished run is a file of its own.

    python benchmarks/label_skew.py --seeds 0
    python benchmarks/label_skew.py --quick --only "2 labels"       # a few minutes: what comes out
    python benchmarks/label_skew.py --table                         # only write the page
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import platform
import time
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from _label_skew_data import Prepared, prepare
from _label_skew_measures import measured
from _label_skew_rows import IID_AS, PROTOCOL, ROWS, SPLITS, UNSEEN_ROW, Row, Settings
from _label_skew_table import page

from evaluation.files import write_whole
from fairfed.config import Arm, Config, PartitionConfig
from fairfed.config.load import merged
from fairfed.server import LogWatcher

QUICK: Settings = {
    "rounds": 2,
    "train": {"epochs": 1},
    "synthesis": {"per_class": 20, "domain_matching_present": 20, "pool": 40},
}


Runs = dict[str, dict[str, Any]]
"""What is known of runs, by key."""


class Clock(LogWatcher):
    """Adds up the CPU time of a run over its interruptions, in a file beside it."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, time.process_time()
        self.seconds = float(path.read_text()) if path.is_file() else 0.0

    def tick(self) -> None:
        """Note the time since the last call."""
        now = time.process_time()
        self.seconds, self._last = self.seconds + now - self._last, now
        write_whole(self._path, f"{self.seconds}".encode())

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Note the time of a round."""
        self.tick()


def configure(
    split: str, row: Row, seed: int, data: Prepared, options: argparse.Namespace
) -> tuple[Config, str]:
    """The configuration of one run, and the key of its result."""
    settings = merged(PROTOCOL, row.settings)
    arm = {"name": row.name, **row.arm}
    settings = merged(settings, {"name": row.name, "seed": seed, "arms": [arm]})
    settings["partition"] = divided(split)
    settings["data"] = {**settings["data"], "source": "fashion-mnist"}
    if options.quick:
        settings = merged(settings, QUICK)
        if "replan" in arm:
            settings["arms"] = [{**arm, "replan": 1}]
        if "server_rounds" in arm:
            settings["arms"] = [{**arm, "server_rounds": 1}]
        if "inversion" in settings:
            settings["inversion"] = {"start": 2, "every": 1}
    for override in options.overrides:
        settings = merged(settings, nested(override))
    key = run = key_of(settings, data)
    if row.arm.get("iid"):  # its clients are the same whatever the split: one run serves them all
        settings["partition"] = divided(IID_AS)
        run = key_of(settings, data)
    where = {
        "out": str(options.work / "runs" / run),
        "data": {"directory": str(data.directory)},
        # Every seed has a store of its own, which the rows share.
        "synthesis": {"store": str(options.work / f"store-{seed}")},
    }
    if row.name == UNSEEN_ROW:
        where["generator"] = {"model": str(options.unseen / "stable-diffusion")}
        where["semantic"] = {
            "encoder": str(options.unseen / "clip"),
            "attributes": str(data.directory / "attributes.csv"),
        }
    return Config.model_validate(merged(settings, where)), key


def divided(split: str) -> Settings:
    """Settings of a split."""
    return {"clients": 10, **SPLITS[split]}


def key_of(settings: Settings, data: Prepared) -> str:
    """Name of a run."""
    return hashlib.sha256(json.dumps([settings, data.identity]).encode()).hexdigest()[:16]


def nested(override: str) -> Settings:
    """``train.lr=0.05`` as a tree of settings."""
    name, _, value = override.partition("=")
    return tomllib.loads(f"{name} = {value}")


def outcome(config: Config, split: str, options: argparse.Namespace) -> dict[str, float | None]:
    """Run or continue; returns what was measured, with the CPU-seconds that it took.

    Images that another row left in the store are charged as if they had been made.
    """
    from fairfed.server import run

    clock = Clock(config.run_directory.with_suffix(".cpu"))
    run(config, clock, report=False)
    clock.tick()
    skewed = PartitionConfig.model_validate(divided(split))
    found = measured(config, config.model_copy(update={"partition": skewed}))
    reused = found.pop("reused") or 0.0
    found["cpu_seconds"] = clock.seconds + (reused * image_cost(config, options) if reused else 0)
    return found


def machine() -> str:
    """The processor, by name where the system gives one."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def published(out: Path) -> tuple[Runs, dict[str, dict[str, float]]]:
    """Of the page's JSON: its runs by key, and CPU-seconds by machine and run directory."""
    path = out.with_suffix(".json")
    content = json.loads(path.read_text()) if path.is_file() else {"runs": [], "spent": {}}
    return {run["key"]: run for run in content["runs"]}, content["spent"]


def image_cost(config: Config, options: argparse.Namespace) -> float:
    """CPU-seconds of one image, made and scored; measured once for each generator."""
    from fairfed.system import simulated_study

    name = hashlib.sha256(
        repr((config.generator, config.semantic, config.conditioning.unseen)).encode()
    ).hexdigest()[:8]
    path: Path = options.work / f"image-cost-{name}.json"
    if not path.is_file():
        count, seen = config.generator.batch_size, len(config.conditioning.unseen)
        away = config.synthesis.model_copy(update={"store": str(options.work / f"cost-{name}")})
        maker = simulated_study(config.model_copy(update={"synthesis": away})).place.synthesiser
        seconds = []
        for label in (0, 9):  # T-shirts are always called by name, ankle boots may be composed
            start = time.process_time()
            made, _ = maker.prepare(label, 0, count)
            seconds.append((time.process_time() - start) / max(1, made))
        share = seen / 10
        write_whole(path, json.dumps((1 - share) * seconds[0] + share * seconds[1]).encode())
    return float(json.loads(path.read_text()))


def every(seeds: Iterable[int]) -> Iterator[tuple[str, Row, int]]:
    """The runs of some seeds, all rows of a seed and split before the next."""
    return ((split, row, seed) for seed in seeds for split in SPLITS for row in ROWS)


def plan(options: argparse.Namespace) -> Iterator[tuple[str, Row, int]]:
    """The runs that are asked for."""
    for split, row, seed in every(options.seeds):
        if options.only in split and options.rows in row.name:
            yield split, row, seed


def work_off(data: Prepared, options: argparse.Namespace, earlier: Runs) -> None:
    """Run what is asked for and not yet known; each result is a file of its own."""
    for split, row, seed in plan(options):
        if row.name == UNSEEN_ROW and not (options.unseen / "stable-diffusion").is_dir():
            print(f"left out: {row.name} (no weights in {options.unseen})")
            continue
        config, key = configure(split, row, seed, data, options)
        path = options.work / "results" / f"{key}.json"
        if key in earlier or path.is_file():
            continue
        found = outcome(config, split, options)
        content = {"split": split, "row": row.name, "seed": seed, "key": key,
                   "machine": machine(), **found}  # fmt: skip
        write_whole(path, json.dumps(content).encode())
        print(f"{split}, {row.name}, seed {seed}: accuracy {found['accuracy']:.3f}, "
              f"{found['cpu_seconds']:.0f} CPU-s", flush=True)  # fmt: skip


def collected(
    data: Prepared, options: argparse.Namespace, earlier: Runs, spent: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """All results that are known, in the order of the page; what those of here took is noted."""
    known = []
    for split, row, seed in every(options.seeds if options.quick else range(10)):
        config, key = configure(split, row, seed, data, options)
        path = options.work / "results" / f"{key}.json"
        if path.is_file():
            known.append(json.loads(path.read_text()))
            clock = config.run_directory.with_suffix(".cpu")
            if clock.is_file():
                spent.setdefault(known[-1]["machine"], {})[clock.stem] = float(clock.read_text())
        elif key in earlier:
            known.append(earlier[key])
    return known


def main() -> None:
    """Run what is asked for and not yet known, and write the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of Fashion-MNIST's IDX files")
    parser.add_argument("--images", type=int, default=600, help="training images a client, mean")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", default="", help="splits whose name has this in it")
    parser.add_argument("--rows", default="", help="rows whose name has this in it")
    parser.add_argument("--unseen", type=Path, default=Path(".work/zero-shot/0"),
                        help="weights trained without two classes (zero_shot.md)")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("runs/label_skew"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    parser.add_argument("--set", action="append", default=[], dest="overrides",
                        metavar="NAME=VALUE", help="change a setting of all rows")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="one seed, two rounds, 60 images")
    parser.add_argument("--table", action="store_true", help="run nothing, write the page")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.images = options.seeds[:1], 60
        options.out = options.work / "quick"
    logging.getLogger("fairfed").setLevel(logging.WARNING)
    data = prepare(options.data, options.images, options.work)
    print(data.said, flush=True)
    earlier, spent = published(options.out)
    if not options.table:
        work_off(data, options, earlier)
    known = collected(data, options, earlier, spent)
    if known:
        write_page(known, data.said, spent, options)


def write_page(
    runs: list[dict[str, Any]], said: str, spent: dict[str, dict[str, float]], options: Any
) -> None:
    """Write Markdown and JSON; `spent` are CPU-seconds by machine and run directory."""
    protocol = merged(PROTOCOL, QUICK) if options.quick else PROTOCOL
    hours = {name: sum(clocks.values()) / 3600 for name, clocks in spent.items()}
    text = page(runs, said, protocol, options.overrides, hours)
    write_whole(options.out.with_suffix(".md"), text.encode())
    content = {
        "data": said,
        "protocol": protocol,
        "set": options.overrides,
        "spent": spent,
        "runs": runs,
    }
    write_whole(options.out.with_suffix(".json"), (json.dumps(content, indent=1) + "\n").encode())
    print(f"{len(runs)} runs, {sum(hours.values()):.2f} CPU-hours: {options.out}.md")


if __name__ == "__main__":
    main()
