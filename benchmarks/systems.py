"""The systems of docs/systems by their presets, over seeds: mean ± sd, as their pages quote them.

Writes docs/systems.json and prints a table for every part. A run that the file has is not repeated,
and one that was interrupted continues. Parts that ask how far a class comes that no network has
seen need the weights of `train_zero_shot.sh` (--weights), and are left out without them.

    python benchmarks/systems.py                       # all parts, about an hour of CPU
    python benchmarks/systems.py --part ppfm --seeds 0
    python benchmarks/systems.py --table               # run nothing, print what is known
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from _tables import mean_sd

from evaluation.files import write_whole
from evaluation.run import read_run
from evaluation.summary import summarise
from fairfed.config import Arm, Config, load_config

Rows = dict[str, dict[str, float]]
"""Of each row of a table, its numbers; fractions in percent."""
ATTRIBUTES = "semantic.attributes=benchmarks/zero_shot_attributes.csv"


def of_arms(config: Config) -> Rows:
    """Arms of a run."""
    return {
        arm.name: {
            "accuracy": 100 * arm.accuracy.value,
            "lacking classes": 100 * arm.missing_recall.value,
            "worst client": 100 * arm.client_fairness.worst,
            "worst class": 100 * arm.worst_class_recall,
        }
        for arm in summarise(read_run(config.run_directory))
    }


def of_zsl(config: Config) -> Rows:
    """Variants of federated zero-shot learning."""
    heads = {"zsl": "ZSL", "U": "U", "S": "S", "H": "H"}
    return {
        variant["name"]: {
            **{head: 100 * variant["test"][name] for name, head in heads.items()},
            "MB": variant["mb"],
        }
        for variant in results(config)["variants"]
    }


def of_peers(config: Config) -> Rows:
    """Unseen clients, measured last, from the global and from the nearest cluster's model."""
    rows: Rows = {}
    for method in results(config)["methods"]:
        mb = sum(link["bytes"] for link in method["links"].values()) / 1e6
        last = max(entry["round"] for entry in method["unseen"])
        for entry in (entry for entry in method["unseen"] if entry["round"] == last):
            each = [[100 * value for value in client["accuracy"]] for client in entry["clients"]]
            start, one, five = (statistics.fmean(column) for column in zip(*each, strict=True))
            rows[f"{method['name']}, {entry['start']} model"] = {
                "0 steps": start, "1 step": one, "5 steps": five,
                "worst, 5": min(client[-1] for client in each), "MB": mb,
            }  # fmt: skip
    return rows


def of_shared_space(config: Config) -> Rows:
    """Variants of a run in a shared space: all numbers that are shares, and the traffic."""
    return {
        variant["name"]: {
            **{
                name.replace("_", " "): 100 * value
                for name, value in variant.items()
                if isinstance(value, float) and name not in ("seconds", "mb")
            },
            "MB": variant["mb"],
        }
        for variant in results(config)["variants"]
    }


def results(config: Config) -> dict[str, Any]:
    """What a run that compares no arms has written."""
    content: dict[str, Any] = json.loads((config.run_directory / "results.json").read_text())
    return content


@dataclass(frozen=True)
class Part:
    """A preset, changed, and how its outcome is read.

    Attributes
    ----------
    preset, changes
        As `fairfed run --preset PRESET --set CHANGE …`; ``{weights}`` stands for a folder of
        weights that have not seen all classes.
    read
        The rows of a finished run.
    own_weights
        Whether every seed has a generator of its own.
    """

    preset: str
    read: Callable[[Config], Rows]
    changes: tuple[str, ...] = ()
    own_weights: bool = False

    def changed(self, seed: int, weights: Path) -> list[str]:
        """The changes for one seed."""
        folder = weights / str(seed if self.own_weights else 0)
        return [f"seed={seed}", *(change.format(weights=folder) for change in self.changes)]

    def runnable(self, seed: int, weights: Path) -> bool:
        """Whether the weights that it needs are there."""
        folder = weights / str(seed if self.own_weights else 0) / "stable-diffusion"
        return folder.is_dir() or not any("{weights}" in change for change in self.changes)


SEEDED = "peers.seeded_noise=true"
UNSEEN = ("semantic.encoder={weights}/clip", "generator.model={weights}/stable-diffusion")
PARTS = {
    "fed-zdac": Part("fed-zdac", of_arms),
    "fed-zdas": Part("fed-zdas", of_arms),
    "fedzsl": Part("fedzsl", of_zsl, ('zsl.variants=["ska","text","attributes","images"]',)),
    "fedzsl, unseen classes": Part(
        "fedzsl", of_zsl, ('zsl.variants=["ska","attributes","images"]', "curation.margin=-1000",
                           "generator.guidance=3.0", *UNSEEN)),
    "ppfm": Part("ppfm", of_peers, (SEEDED,)),
    "ppfm, 20 % leave": Part(
        "ppfm", of_peers, (SEEDED, 'peers.meta=["reptile"]', "peers.leave_round=6")),
    "multimodal": Part("multimodal", of_shared_space),
    "multimodal, unseen classes": Part("multimodal", of_shared_space, (UNSEEN[0], ATTRIBUTES)),
    "memory": Part("memory", of_shared_space),
    "memory, unseen class": Part(
        "memory", of_shared_space, (*UNSEEN, ATTRIBUTES, "arrival.recall=false",
                                    "curation.margin=-100", 'shared.missing=["Dress"]'),
        own_weights=True),
}  # fmt: skip


def measure(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run or continue one part with one seed."""
    from fairfed.server import run

    part = PARTS[name]
    changes = part.changed(seed, options.weights)
    place = options.work / f"{Arm(name=name).slug}-{seed}"
    config = load_config(None, [*changes, "workers=1", f"out={place}"], part.preset)
    run(config, report=False)
    return {"preset": part.preset, "set": changes, "rows": part.read(config)}


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: mean ± sd of every number over seeds."""
    names = list(dict.fromkeys(name for run in runs for name in run["rows"]))
    columns = list(runs[0]["rows"][names[0]])
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name in names:
        own = [run["rows"][name] for run in runs if name in run["rows"]]
        cells = [mean_sd([row[column] for row in own]) for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for and not yet known; write JSON and print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--part", choices=PARTS, help="all, unless given")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--weights", type=Path, default=Path(".work/zero-shot"))
    parser.add_argument("--work", type=Path, default=Path("runs/systems"))
    parser.add_argument("--out", type=Path, default=Path("docs/systems.json"))
    parser.add_argument("--table", action="store_true", help="run nothing, print what is known")
    options = parser.parse_args()
    logging.getLogger("fairfed").setLevel(logging.WARNING)
    known = json.loads(options.out.read_text()) if options.out.is_file() else {}
    for name in [options.part] if options.part else PARTS:
        own = known.setdefault(name, {})
        for seed in [] if options.table else options.seeds:
            if str(seed) in own:
                continue
            if not PARTS[name].runnable(seed, options.weights):
                print(f"left out: {name}, seed {seed} (no weights in {options.weights})")
                continue
            own[str(seed)] = measure(name, seed, options)
            write_whole(options.out, (json.dumps(known, indent=1) + "\n").encode())
        if own:
            print(f"\n{name} (seeds {', '.join(sorted(own))})\n\n{table(list(own.values()))}")


if __name__ == "__main__":
    main()
