"""A stranger's small set: scikit-learn's digits as folders, which no model here knows.

    python benchmarks/your_images.py [--seeds 0 1 2]

Five clients with two of the ten digits each (1,797 images of 8 × 8 pixels, brought to 32), eight
rounds of two epochs. What helps where no generator knows the classes: classical augmentation, and
inversion of the federated model, which needs neither words nor CLIP. Settings are those of
elsewhere; nothing was tuned on these images. Writes docs/your_images.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from whole_loop import numbers, table

from evaluation.run import read_run
from evaluation.summary import summarise
from fairfed.cli.running import run_here
from fairfed.config import Config

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ARMS = [
    {"name": "FedAvg"},
    {"name": "MixUp", "augmentation": "mixup"},
    {"name": "RandAugment", "augmentation": "randaugment"},
    {"name": "Fed-ZDAC", "inversion": "client"},
    {"name": "Fed-ZDAS", "inversion": "server"},
    {"name": "IID", "iid": True, "reference": True},
]


def write_folders(folder: Path) -> None:
    """Write a folder for each digit."""
    digits = load_digits()
    for i, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        own = folder / NAMES[label]
        own.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((image / 16 * 255).astype(np.uint8))
        grey.convert("RGB").resize((32, 32)).save(own / f"{i}.png")


def configured(work: Path, seed: int) -> Config:
    """The run of a seed."""
    return Config.model_validate(
        {
            "name": "digits",
            "seed": seed,
            "rounds": 8,
            "workers": 1,
            "out": f"{work}/digits-{seed}",
            "data": {"source": f"{work}/folders", "sensitive": ()},
            "semantic": {"attributes": "names"},
            "partition": {
                "name": "pathological",
                "clients": 5,
                "options": {"num_classes_per_partition": 2},
            },
            "train": {"epochs": 2},
            "inversion": {"start": 3},
            "arms": ARMS,
        }
    )


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("runs/your-images"))
    options = parser.parse_args()
    if not (options.work / "folders").is_dir():
        write_folders(options.work / "folders")
    found: dict[str, list[dict[str, float]]] = {}
    for seed in options.seeds:
        config = configured(options.work, seed)
        run_here(config)
        for arm in summarise(read_run(config.run_directory)):
            found.setdefault(arm.name, []).append(numbers(arm))
    content = {"seeds": options.seeds, "arms": found}
    Path("docs/your_images.json").write_text(json.dumps(content) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
