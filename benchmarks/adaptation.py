"""Adapting foundation models to a federation's domain: what it gains, and what travels.

The domain is one that the bundled CLIP and Stable Diffusion have not seen: faded prints, bundled
images of Fashion-MNIST whose black is a dark grey (their weights come from images with a black
background that no client holds).

1. *Task specialisation*: a CLIP classifier, by `adapt` = full, head, bias, LoRA, prompt, beside
   CLIP zero-shot and the same network from scratch, with the learning rates of the preset
   `adapt-clip`; `--tune` compares others on a seed that no table shows.
2. *Domain specialisation*: Stable Diffusion's UNet by federated LoRA on the same images, labels
   unused; then a classifier trained on images of either generator alone (system `synthetic`).

A run continues where it was interrupted, and one that is done is not repeated.

    python benchmarks/adaptation.py            # about 6 CPU-minutes
    python benchmarks/adaptation.py --tune     # learning rates on another seed, 5 rounds each
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import logging
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from _adaptation_tables import domain_table, task_table

from evaluation.files import write_whole
from fairfed.config import Config, load_config
from fairfed.rounds.run_directory import RunDirectory

Settings = dict[str, Any]

CLASS_IMAGES = {"train": 120, "test": 80}
"""Images of a class; every tint has a quarter of them."""
BLACK = 30
"""What black has faded to, of 255."""
METHODS = {
    "CLIP zero-shot": {"system": "zero-shot"},
    "Full": {"adapt": "full"},
    "Head": {"adapt": "head"},
    "Biases": {"adapt": "bias"},
    "LoRA": {"adapt": "lora"},
    "Prompt": {"adapt": "prompt"},
    "Full, from scratch": {"adapt": "full", "from_scratch": True},
}
RATES = {
    "full": (0.0003, 0.001, 0.003, 0.01, 0.03),
    "head": (0.5, 1.0, 2.0, 5.0),
    "bias": (0.01, 0.02, 0.05, 0.1),
    "lora": (0.005, 0.01, 0.02, 0.05, 0.1),
    "prompt": (0.1, 0.5, 2.0, 5.0),
    "scratch": (0.01, 0.03, 0.1, 0.3),
}
TUNED = {"scratch": METHODS["Full, from scratch"]}
"""Arms of rates that are no method's."""
TUNING = {"seed": 101, "rounds": 5}
SYNTHETIC = {
    "model": "cnn-bn",
    "synthesis": {"per_class": 48, "pool": 12},
    "curation": {"margin": -1000.0},
    "train": {"lr": 0.05, "momentum": 0.9},
    "arms": [{"name": "Synthetic only", "system": "synthetic"}],
}
"""A classifier on generated images alone; nothing is filtered, so that the generator is judged."""
GENERATORS = {
    "bundled": None,
    "+ federated LoRA, captions by CLIP": "clip",
    "+ federated LoRA, no captions": "empty",
}
"""Generators, and how `specialise.caption` tells them what an image is; None: not adapted."""
LAST = 3
"""Rounds that a table's numbers are the mean of."""


def write_faded(folder: Path, seed: int) -> Path:
    """Write the image folder of the new domain, unless it is there."""
    from PIL import Image

    from fairfed.data import load_images
    from semantic.tint import TINTS, tint_images

    if (folder / "metadata.csv").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    table, tints = load_images(Config()), list(TINTS)
    rows, draw = [], np.random.default_rng(seed)
    for split, count in CLASS_IMAGES.items():
        for label, name in enumerate(table.classes):
            of_class = np.flatnonzero((table.labels == label) & (table.test == (split == "test")))
            chosen = draw.permutation(of_class)[:count]
            own = np.arange(count) % len(tints)
            dark = tint_images(table.images[chosen], own).astype(np.float64)
            pixels = (BLACK + dark * (255 - BLACK) / 255).round().astype(np.uint8)
            for row, tint, image in zip(chosen, own, pixels, strict=True):
                file = f"{row}.png"
                Image.fromarray(image).save(folder / file)
                rows.append((file, name, tints[tint], split))
    with (folder / "metadata.partial").open("w", newline="") as handle:
        csv.writer(handle).writerows([("file_name", "label", "tint", "split"), *rows])
    (folder / "metadata.partial").rename(folder / "metadata.csv")
    return folder


def common(options: argparse.Namespace, seed: int) -> Settings:
    """What all runs of a seed share."""
    return {
        "seed": seed,
        "workers": 1,
        "data": {"source": str(write_faded(options.work / "faded", 0))},
        "partition": {"name": "dirichlet", "clients": 10, "options": {"alpha": 0.5}},
    }


def train(settings: Settings, options: argparse.Namespace) -> Config:
    """Run or continue one experiment."""
    from fairfed.server import run

    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    config = Config.model_validate({**settings, "out": str(options.work / key)})
    run(config, report=False)
    return config


def pooled(row: Settings) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Test counts of all clients, ``[groups, classes, classes]``."""
    counts = [client["test_counts"] for client in row["clients"] if client["test_counts"]]
    found: np.ndarray[Any, np.dtype[np.int64]] = np.sum(counts, axis=0)
    return found


def accuracy(counts: np.ndarray[Any, Any]) -> float:
    """Share of right predictions."""
    return float(np.einsum("gcc->", counts) / counts.sum())


def measured(config: Config) -> Settings:
    """Accuracy, worst cell, gap and traffic, over the last rounds."""
    rounds = RunDirectory(config).rounds()
    counts = [pooled(row) for row in rounds]
    cells = [np.einsum("gcc->gc", c) / c.sum(2) for c in counts[-LAST:]]
    moved = [c["bytes_down"] + c["bytes_up"] for row in rounds for c in row["clients"]]
    return {
        "accuracy": float(np.mean([accuracy(c) for c in counts[-LAST:]])),
        "worst_cell": float(np.mean([c.min() for c in cells])),
        "gap": float(np.mean([(c.max(0) - c.min(0)).max() for c in cells])),
        "by_round": [accuracy(c) for c in counts],
        "mb": float(np.mean(moved)) / 1e6,
    }


class Results:
    """What is known, kept in a file: every run is done once."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._path: Path = options.out
        self._options = options
        known = self._path.is_file()
        self.rows: dict[str, Any] = json.loads(self._path.read_text()) if known else {}

    def of(self, title: str, settings: Settings, read: Any) -> Settings:
        """The outcome of a run, which is done if it is not known."""
        own = {**settings, "data": {}}  # the folder's place does not matter
        key = hashlib.sha256(json.dumps([title, own], sort_keys=True).encode()).hexdigest()[:16]
        if key not in self.rows:
            start = time.process_time()
            outcome = read(train(settings, self._options))
            outcome["cpu_seconds"] = round(time.process_time() - start, 1)
            self.rows[key] = {"title": title, "seed": settings["seed"], **outcome}
            write_whole(self._path, (json.dumps(self.rows, indent=1) + "\n").encode())
            print(f"{title}, seed {settings['seed']}: {outcome['cpu_seconds']} CPU-s", flush=True)
        found: Settings = self.rows[key]
        return found


def classifier(options: argparse.Namespace, results: Results) -> None:
    """The table of task specialisation."""
    preset = load_config(None, preset="adapt-clip")
    shared = {"model": "clip", "rounds": options.rounds, "train": preset.train.model_dump(),
              "adapt": preset.adapt.model_dump()}  # fmt: skip
    scratch = shared["adapt"]["lr"].pop("scratch")
    rows: dict[str, list[Settings]] = {}
    for seed in range(options.seeds):
        for name, own in METHODS.items():
            settings = {**common(options, seed), **shared, "arms": [{"name": name, **own}]}
            if name == "CLIP zero-shot":
                settings["rounds"] = 1
            if "from_scratch" in own:
                lr = {**shared["adapt"]["lr"], "scratch": scratch}
                settings["adapt"] = {**shared["adapt"], "lr": lr}

            def read(config: Config) -> Settings:
                return {**measured(config), "parameters": parameters(config)}

            rows.setdefault(name, []).append(results.of(f"classifier: {name}", settings, read))
    print(task_table(rows))


def parameters(config: Config) -> int:
    """Parameters that the run's arm trains; statistics are none."""
    from fairfed.system import simulated_study

    arm = config.arms[0]
    if arm.system == "zero-shot":
        return 0
    return sum(p.numel() for p in simulated_study(config).place.model(arm).parameters())


def generator(options: argparse.Namespace, results: Results) -> None:
    """The table of domain specialisation."""
    rows: dict[str, list[Settings]] = {}
    for seed in range(options.seeds):
        base = common(options, seed)
        preset = load_config(None, preset="adapt-generator")
        for name, caption in GENERATORS.items():
            gained: Settings = {"before": None, "after": None, "lora": [], "mb": 0.0}
            if caption is not None:
                own = preset.specialise.model_copy(update={"caption": caption})
                lora = {**base, "rounds": options.lora_rounds, "fraction": preset.fraction,
                        "specialise": own.model_dump()}  # fmt: skip
                found = results.of(f"generator: {name}", lora, outcome_of)
                first, *_, last = found["losses"]
                gained = {
                    "before": first, "after": last, "lora": [found["lora"]], "mb": found["mb"]
                }  # fmt: skip
            settings = {**base, **SYNTHETIC, "rounds": 10, "generator": {"lora": gained["lora"]}}
            settings["synthesis"] = {**SYNTHETIC["synthesis"], "store": str(options.work / "store")}
            judged = results.of(f"images: {name}", settings, measured)
            rows.setdefault(name, []).append({**gained, **judged, "mb": gained["mb"]})
    print(domain_table(rows))


def outcome_of(config: Config) -> Settings:
    """`results.json` of a run of domain specialisation."""
    found: Settings = json.loads((config.run_directory / "results.json").read_text())
    return found


def tune(options: argparse.Namespace, results: Results) -> None:
    """Accuracy of every method at several learning rates, on a seed that no table shows."""
    preset = load_config(None, preset="adapt-clip")
    for method, rates in RATES.items():
        if options.only not in method:
            continue
        for rate in rates:
            settings = {
                **common(options, TUNING["seed"]),
                "model": "clip",
                "rounds": TUNING["rounds"],
                "train": preset.train.model_dump(),
                "adapt": {"lr": {method: rate}, "rank": preset.adapt.rank},
                "arms": [{"name": method, **TUNED.get(method, {"adapt": method})}],
            }
            found = results.of(f"tuning: {method}", settings, measured)
            steps = " ".join(f"{value:.3f}" for value in found["by_round"])
            print(f"{method} {rate}: {steps}, worst cell {found['worst_cell']:.2f}")


def main() -> None:
    """Run what is asked for and not yet known; write JSON and print the tables."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("runs/adaptation"))
    parser.add_argument("--out", type=Path, default=Path("docs/adaptation.json"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--lora-rounds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tune", action="store_true", help="learning rates instead of tables")
    parser.add_argument("--only", default="", help="with --tune: methods that have this in them")
    parser.add_argument("--part", choices=("classifier", "generator"), help="both, unless given")
    options = parser.parse_args()
    logging.getLogger("fairfed").setLevel(logging.WARNING)
    results = Results(options)
    if options.tune:
        tune(options, results)
        return
    if options.part != "generator":
        classifier(options, results)
    if options.part != "classifier":
        generator(options, results)


if __name__ == "__main__":
    main()
