"""Photographs: a second world, with a generator that was trained on public ones of it.

    python benchmarks/photographs.py --data CIFAR --generator DIR [--seeds 0 1 2]
        [--skews 1 2 dirichlet-0.1] [--arms FedAvg IID …]

CIFAR is a folder with train.parquet and test.parquet, DIR what this wrote (hours on a CPU):

    fairfed train-generator hf:CIFAR -o DIR --rows 0:40000 --set 'data.sensitive=[]'
        --set semantic.attributes=examples/photographs/attributes.csv

Ten clients with one or two labels each, or as a Dirichlet distribution of labels cuts them, hold
6,000 of the 10,000 training images that the generator never saw (rows 40,000 to 46,000); models are
measured on 2,000 of the others with `--split validation` (rows 46,000 to 48,000), or on the first
2,000 test images. An arm, a skew and a seed is a run of its own, in `--work`, goes on where it was
interrupted, and is not repeated. Writes docs/photographs.json and docs/photographs.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from _tables import mean_sd
from whole_loop import numbers, table

from evaluation.run import read_run
from evaluation.summary import summarise
from fairfed.cli.running import run_here
from fairfed.config import Config

FEDERATION, VALIDATION = range(40_000, 46_000), range(46_000, 48_000)
MEASURED = 2000
"""Test images, the first ones: the clients share them."""
SYNTHETIC = {"augment": True}
ARMS: list[dict[str, Any]] = [
    {"name": "FedAvg"},
    {"name": "MixUp", "augmentation": "mixup"},
    {"name": "Fed-ZDAC", "inversion": "client"},
    {"name": "SD + CLIP, by name", **SYNTHETIC, "conditioning": "name"},
    {"name": "SD + CLIP, by attributes", **SYNTHETIC, "conditioning": "attributes"},
    {"name": "IID", "iid": True, "reference": True},
]
LOW, HIGH = "FedAvg", "IID"
"""The arms between which a distance is closed."""


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


def partition(skew: str) -> dict[str, Any]:
    """Ten clients of so many labels, or as a Dirichlet distribution cuts them."""
    if skew.startswith("dirichlet-"):
        options: dict[str, Any] = {"alpha": float(skew.partition("-")[2]), "min_partition_size": 20}
        return {"name": "dirichlet", "clients": 10, "options": options}
    return {
        "name": "pathological",
        "clients": 10,
        "options": {"num_classes_per_partition": int(skew)},
    }


def models(options: argparse.Namespace) -> dict[str, Any]:
    """What the arms that synthesise do it with."""
    folder = options.generator
    return {
        "generator": {"model": f"{folder}/stable-diffusion", "guidance": options.guidance},
        "semantic": {
            "encoder": f"{folder}/clip",
            "attributes": f"{folder}/attributes.csv",
            "allow_unknown": options.allow_unknown,
        },
        "synthesis": {
            "per_class": options.per_class,
            "store": f"{options.work}/store",
            "domain_matching_present": 120,
        },
    }


def configured(options: argparse.Namespace, skew: str, seed: int, arm: dict[str, Any]) -> Config:
    """The run of an arm."""
    slug = "-".join("".join(c if c.isalnum() else " " for c in arm["name"].lower()).split())
    return Config.model_validate(
        {
            "name": slug,
            "seed": seed,
            "rounds": options.rounds,
            "workers": options.workers,
            "out": f"{options.work}/{options.split}-{skew}-{seed}/{slug}",
            "data": {"source": f"hf:{prepare(options)}", "sensitive": ()},
            "partition": partition(skew),
            "train": {"epochs": options.epochs},
            **(models(options) if "augment" in arm else {"semantic": {"attributes": "names"}}),
            "inversion": {"start": max(2, options.rounds // 4)},
            "arms": [arm],
        }
    )


def closed(arms: dict[str, list[dict[str, float]]], name: str) -> str:
    """Share of the distance from `LOW` to `HIGH` that an arm closes, over their seeds."""
    if not {LOW, HIGH, name} <= arms.keys():
        return ""
    every = zip(*([row["accuracy"] for row in arms[n]] for n in (LOW, name, HIGH)), strict=False)
    return mean_sd([100 * (own - low) / (high - low) for low, own, high in every], 0)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--skews", nargs="+", default=["1", "2", "dirichlet-0.1"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--per-class", type=int, default=240)
    parser.add_argument("--arms", nargs="+")
    parser.add_argument("--allow-unknown", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    chosen = [arm for arm in ARMS if not options.arms or arm["name"] in options.arms]
    for skew in options.skews:
        for arm in chosen:
            for seed in options.seeds:
                config = configured(options, skew, seed, arm)
                run_here(config)
                (summary,) = summarise(read_run(config.run_directory))
                found.setdefault(skew, {}).setdefault(arm["name"], []).append(numbers(summary))
    out = Path("docs/photographs")
    asked = {name: str(value) for name, value in vars(options).items()}
    content = {"options": asked, "skews": found}
    out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    seeds = ", ".join(map(str, options.seeds))
    text = (
        f"CIFAR-10, {len(FEDERATION):,} training and {MEASURED:,} {options.split} images, 10 "
        f"clients, {options.rounds} rounds of {options.epochs} epochs, {options.per_class} "
        f"synthetic images a lacking class, seeds {seeds}; mean ± sd, in percent.\n"
    )
    for skew, arms in found.items():
        text += f"\n**{skew if '-' in skew else f'labels a client: {skew}'}**\n\n{table(arms)}\n"
        shares = [f"{name} {share} %" for name in arms if (share := closed(arms, name))]
        text += f"\nOf the distance from {LOW} to {HIGH}: {', '.join(shares)}.\n" if shares else ""
    out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
