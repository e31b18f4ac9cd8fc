"""Photographs: a second world, with a generator that was trained on public ones of it.

    python benchmarks/photographs.py --data CIFAR --generator DIR [--seeds 0 1 2]
        [--skews 1 2 dirichlet] [--arms NAME …] [--rounds 20] [--per-class 120]

CIFAR is a folder with train.parquet and test.parquet, DIR what this wrote (hours on a CPU):

    fairfed train-generator hf:CIFAR -o DIR --rows 0:40000 --set 'data.sensitive=[]'
        --set semantic.attributes=examples/photographs/attributes.csv

Ten clients with one or two labels each, or divided by Dirichlet's distribution with α = .1, hold
6,000 of the 10,000 training images that the generator never saw (rows 40,000 to 46,000); models are
measured on 2,000 of the others with `--split validation` (rows 46,000 to 48,000), or on the first
2,000 test images. An arm, a skew and a seed is a run of its own in `--work`: it goes on where it
was interrupted, and is not repeated. A class that the generator's trial finds unknown (*cat*, in
one seed of three) is refused; `--allow-unknown` goes on, and the runs' reports say it in red.
Prints the tables of docs/photographs.md, and writes docs/photographs.json, or `--out`.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from _tables import mean_sd

from evaluation.run import read_run
from evaluation.summary import ArmSummary, summarise
from fairfed.cli.running import run_here
from fairfed.config import Config

FEDERATION, VALIDATION = range(40_000, 46_000), range(46_000, 48_000)
MEASURED = 2000
"""Test images, the first ones: the clients share them."""
SKEWS: dict[str, dict[str, Any]] = {
    "1": {"name": "pathological", "options": {"num_classes_per_partition": 1}},
    "2": {"name": "pathological", "options": {"num_classes_per_partition": 2}},
    "dirichlet": {"name": "dirichlet", "options": {"alpha": 0.1}},
}
HEADINGS = {"1": "1 label a client", "2": "2 labels a client", "dirichlet": "Dirichlet, α = .1"}
FLOOR, CEILING = "FedAvg", "IID"
CLOSED = "of the way from FedAvg to IID"
SYNTHETIC = {"augment": True}
ARMS: list[dict[str, Any]] = [
    {"name": FLOOR},
    {"name": "MixUp", "augmentation": "mixup"},
    {"name": "Fed-ZDAC", "inversion": "client"},
    {"name": "SD + CLIP, by name", **SYNTHETIC, "conditioning": "name"},
    {"name": "SD + CLIP, by attributes", **SYNTHETIC, "conditioning": "attributes"},
    {"name": CEILING, "iid": True, "reference": True},
    {"name": "IID, as many steps", "iid": True, "reference": True, "epochs": 6},
]
"""Arms, and the local epochs of one that takes as many steps a round as two epochs of 600 real and
1,200 synthetic images (120 of each of ten classes)."""


def prepare(options: argparse.Namespace) -> Path:
    """The federation's images, as a data set on disk with a training and a test split."""
    import datasets

    folder: Path = options.work / f"data-{options.split}"
    if not folder.is_dir():
        files = {part: str(options.data / f"{part}.parquet") for part in ("train", "test")}
        whole = datasets.load_dataset("parquet", data_files=files)
        held = whole["train"].select(VALIDATION)
        if options.split == "test":
            held = whole["test"].select(range(MEASURED))
        chosen = {"train": whole["train"].select(FEDERATION), "test": held}
        datasets.DatasetDict(chosen).save_to_disk(str(folder))
    return folder


def configured(options: argparse.Namespace, skew: str, seed: int, arm: dict[str, Any]) -> Config:
    """The run of an arm."""
    slug = "-".join("".join(c if c.isalnum() else " " for c in arm["name"].lower()).split())
    models = {
        "generator": {"model": f"{options.generator}/stable-diffusion"},
        "semantic": {
            "encoder": f"{options.generator}/clip",
            "attributes": f"{options.generator}/attributes.csv",
            "allow_unknown": options.allow_unknown,
        },
        "synthesis": {
            "per_class": options.per_class,
            "pool": max(options.per_class, 1),
            "store": f"{options.work}/store",
        },
    }
    return Config.model_validate(
        {
            "name": slug,
            "seed": seed,
            "rounds": options.rounds,
            "workers": options.workers,
            "out": f"{options.work}/{options.split}-{skew}-{seed}/{slug}",
            "data": {"source": f"hf:{prepare(options)}", "sensitive": ()},
            "partition": {"clients": 10, **SKEWS[skew]},
            "train": {"epochs": arm.get("epochs", 2)},
            "inversion": {"start": max(2, options.rounds // 4)},
            "arms": [{key: value for key, value in arm.items() if key != "epochs"}],
            **(models if "augment" in arm else {"semantic": {"attributes": "names"}}),
        }
    )


def numbers(arm: ArmSummary) -> dict[str, float]:
    """One arm of one run; fractions in percent."""
    return {
        "test accuracy": 100 * arm.accuracy.value,
        "recall of lacking classes": 100 * arm.missing_recall.value,
        "worst class": 100 * arm.worst_class_recall,
        "worst client": 100 * arm.client_fairness.worst,
        "synthetic images": arm.synthetic,
        "minutes of synthesis": arm.synthesis_seconds / 60,
    }


def with_distance(arms: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The arms of one run, with how much of the distance to IID clients each closes, in percent."""
    accuracy = {name: row["test accuracy"] for name, row in arms.items()}
    way = accuracy.get(CEILING, math.nan) - accuracy.get(FLOOR, math.nan)
    for name, row in arms.items():
        row[CLOSED] = 100 * (accuracy[name] - accuracy.get(FLOOR, math.nan)) / way
    return arms


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Markdown: mean ± sd over seeds (n - 1)."""
    columns = list(next(iter(found.values()))[0])
    lines = ["| arm | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for arm, rows in found.items():
        cells = [mean_sd([row[name] for row in rows]).replace("nan", "–") for name in columns]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--out", type=Path, default=Path("docs/photographs.json"))
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--skews", choices=SKEWS, nargs="+", default=list(SKEWS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--per-class", type=int, default=120)
    parser.add_argument("--arms", choices=[arm["name"] for arm in ARMS], nargs="+")
    parser.add_argument("--allow-unknown", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    chosen = [arm for arm in ARMS if not options.arms or arm["name"] in options.arms]
    for skew in options.skews:
        for seed in options.seeds:
            arms = {}
            for arm in chosen:
                config = configured(options, skew, seed, arm)
                run_here(config)
                (summary,) = summarise(read_run(config.run_directory))
                arms[summary.name] = numbers(summary)
            for name, row in with_distance(arms).items():
                found.setdefault(skew, {}).setdefault(name, []).append(row)
    asked = {name: str(value) for name, value in vars(options).items()}
    content = {"options": asked, "skews": found}
    options.out.write_text(json.dumps(content, indent=1) + "\n")
    seeds = f"Mean ± sd over seeds {', '.join(map(str, options.seeds))}"
    if len(options.seeds) == 1:
        seeds = f"Seed {options.seeds[0]} alone"
    print(f"{seeds}; {MEASURED:,} {options.split} images; fractions in percent")
    for skew, own in found.items():
        print(f"\n**{HEADINGS[skew]}**\n\n{table(own)}")


if __name__ == "__main__":
    main()
