"""What conditions the generator at the clients, and which checks judge its images.

    python benchmarks/conditioning.py [--split validation|test] [--seeds 0 1 2]

The demonstration's federation (ten clients, two classes each) with arms that differ in what their
images are asked for by, and once more with the two checks that clients had before. Settings are
chosen with `--split validation`: a fifth of the training images of each class stands for the test
images, which are not looked at. Runs that are there already are not repeated. Writes
docs/conditioning-SPLIT.json and docs/conditioning-SPLIT.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from whole_loop import numbers, table

from evaluation.run import read_run
from evaluation.summary import summarise
from fairfed.cli.running import run_here
from fairfed.config import Config, parse_config
from fairfed.data import fashion

MODES = ("name", "attributes", "prototype", "composition")
RUN = """
name = "conditioning"
rounds = 12

[partition]
name = "pathological"
clients = 10
options = { num_classes_per_partition = 2 }
"""
FORMER = 'curation.checks=["blank","margin"]'
"""The two checks that clients had before 0.5."""
FEDAVG, IID = "FedAvg", "IID ceiling"


def arms(*modes: str) -> str:
    """The arms of a run as an override."""
    made = ", ".join(f'{{name="By {mode}", augment=true, conditioning="{mode}"}}' for mode in modes)
    return f'arms=[{{name="{FEDAVG}"}}, {made}, {{name="{IID}", iid=true, reference=true}}]'


def configured(seed: int, split: str, kind: str, modes: list[str], overrides: list[str]) -> Config:
    """The run of a seed: `modes` compares what images are asked for by, `former` the checks."""
    out = f"out=runs/conditioning/{split}-{kind}-{seed}"
    asked = [arms("name"), FORMER] if kind == "former" else [arms(*modes)]
    return parse_config(RUN, "conditioning", [out, f"seed={seed}", *asked, *overrides])


def hold_out(folder: Path) -> None:
    """Have the bundled data without test images, and a fifth of the others in their place."""
    with np.load(fashion.BUNDLED) as arrays:
        kept = ~arrays["test"]
        images, labels = arrays["images"][kept], arrays["labels"][kept]
    test, rng = np.zeros(len(labels), bool), np.random.default_rng(0)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        test[rows[: len(rows) // 5]] = True
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "validation.npz"
    np.savez(path, images=images, labels=labels, test=test)
    fashion.BUNDLED = path


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    if options.split == "validation":
        hold_out(Path("runs/conditioning"))
    found: dict[str, list[dict[str, float]]] = {}
    costs: dict[str, list[Any]] = {}
    for seed in options.seeds:
        for kind in ("modes", "former"):
            config = configured(seed, options.split, kind, options.modes, options.overrides)
            run_here(config)
            for arm in summarise(read_run(config.run_directory)):
                if kind == "modes" or arm.name.startswith("By"):
                    name = arm.name if kind == "modes" else f"{arm.name}, two checks"
                    found.setdefault(name, []).append(numbers(arm))
            for path in sorted((config.run_directory / "synthetic").glob("clients*.json")):
                made = json.loads(path.read_text())
                facts = {key: made[key] for key in ("rejected", "generated", "reused", "seconds")}
                costs.setdefault(f"{kind} {path.stem}", []).append(facts)
    out = Path("docs") / f"conditioning-{options.split}"
    content = {"seeds": options.seeds, "overrides": options.overrides, "arms": found,
               "synthesis": costs}  # fmt: skip
    out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    seeds = ", ".join(map(str, options.seeds))
    text = f"Mean ± sd over seeds {seeds}; fractions in percent.\n\n{table(found)}\n"
    out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
