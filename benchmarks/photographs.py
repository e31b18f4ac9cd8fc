"""Photographs: a second world, with a generator that was trained on public ones of it.

    python benchmarks/photographs.py --data CIFAR --generator DIR [--seeds 0 1 2] [--labels 1 2]

CIFAR is a folder with train.parquet and test.parquet, DIR what this wrote (hours on a CPU):

    fairfed train-generator hf:CIFAR -o DIR --rows 0:40000 --set 'data.sensitive=[]'
        --set semantic.attributes=examples/photographs/attributes.csv

Ten clients with one or two labels each hold 6,000 of the 10,000 training images that the generator
never saw (rows 40,000 to 46,000); models are measured on 2,000 of the others with `--split
validation` (rows 46,000 to 48,000), or on the test images. Runs that are there already are not
repeated. Writes docs/photographs.json and docs/photographs.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

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


def configured(options: argparse.Namespace, labels: int, seed: int) -> Config:
    """The run of a number of labels and a seed."""
    return Config.model_validate(
        {
            "name": f"photographs-{labels}-{seed}",
            "seed": seed,
            "rounds": options.rounds,
            "workers": options.workers,
            "out": f"{options.work}/{options.split}-{labels}-{seed}",
            "data": {"source": f"hf:{prepare(options)}", "sensitive": ()},
            "partition": {
                "name": "pathological",
                "clients": 10,
                "options": {"num_classes_per_partition": labels},
            },
            "train": {"epochs": 2},
            "generator": {"model": f"{options.generator}/stable-diffusion"},
            "semantic": {
                "encoder": f"{options.generator}/clip",
                "attributes": f"{options.generator}/attributes.csv",
                "allow_unknown": options.allow_unknown,
            },
            "synthesis": {"per_class": options.per_class, "domain_matching_present": 120},
            "inversion": {"start": 5},
            "arms": [arm for arm in ARMS if not options.arms or arm["name"] in options.arms],
        }
    )


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--generator", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--labels", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--per-class", type=int, default=240)
    parser.add_argument("--arms", nargs="+")
    parser.add_argument("--allow-unknown", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for labels in options.labels:
        for seed in options.seeds:
            config = configured(options, labels, seed)
            run_here(config)
            for arm in summarise(read_run(config.run_directory)):
                own = found.setdefault(str(labels), {})
                own.setdefault(arm.name, []).append(numbers(arm))
    out = Path("docs/photographs")
    asked = {name: str(value) for name, value in vars(options).items()}
    out.with_suffix(".json").write_text(json.dumps({"options": asked, "labels": found}) + "\n")
    seeds = ", ".join(map(str, options.seeds))
    text = f"Mean ± sd over seeds {seeds}; fractions in percent; {options.rounds} rounds.\n"
    for labels, arms in found.items():
        text += f"\n**{labels} label{'s' if labels != '1' else ''} a client**\n\n{table(arms)}\n"
    out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
