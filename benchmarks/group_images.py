"""Group fairness on images: Fashion-MNIST, tint as the sensitive feature, 90 % tied to the class.

Ten clients; a training image has the tint of its class with probability 0.9, at every client, and
test images have even tints. A model that takes the shortcut fails where class and tint do not go
together. Each arm and seed is a run of its own, is done once, and continues where it was
interrupted; results are kept by what the run's settings say.

    python benchmarks/group_images.py                       # docs/group_images.json, and a table
    python benchmarks/group_images.py --validation --seeds 10 11     # where settings were chosen

Validation measures on training images of Fashion-MNIST that neither the bundled data nor the
bundled generator has seen (needs the full data set).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from _tables import mean_sd

import fairfed.data.fashion as fashion
from evaluation import get_metric
from evaluation.files import write_whole
from fairfed.config import Arm, Config
from fairfed.rounds import checkpoint
from fairfed.rounds.run_directory import RunDirectory
from generators.idx import DEBIAN_DIRECTORY
from generators.training.dataset import load_training_images
from semantic.tint import TINTS, tint_images

Settings = dict[str, Any]
Counts = np.ndarray[Any, np.dtype[np.int64]]

AUGMENTED: Settings = {
    "synthesis": {"cell_target": 54, "domain_matching_present": 0, "balance": False}
}
"""As many synthetic images as even out a client's cells, each as often as a real one."""
PARITY: Settings = {"rule": "parity", "options": {"independent": 1.0}}
"""Ours: parity from group and class decoupled, since the rare cells are soon learned by heart."""
ARMS: dict[str, Settings] = {
    "FedAvg": {},
    "FairFed": {"arm": {"rule": "fairfed"}},
    "AFL": {"arm": {"rule": "afl"}},
    "q-FFL": {"arm": {"rule": "qffl"}},
    "Parity": {"arm": PARITY},
    "Local reweighing": {"arm": {"debias": "reweighing"}},
    "Augmentation": {"arm": {"augment": True}, **AUGMENTED},
    "Augmentation + parity": {"arm": {"augment": True, **PARITY}, **AUGMENTED},
    "Augmentation + parity + loop": {"arm": {"augment": True, "replan": 3, **PARITY}, **AUGMENTED},
    "Even tints": {"arm": {"iid": True, "reference": True}},
}
"""What each sets; `arm` is of the only arm. The last is what could be had: FedAvg on the same
images in even tints."""
BASE = "FedAvg"
"""What the cut of the gap is against."""
SETTINGS: Settings = {
    "rounds": 12,
    "workers": 1,
    "data": {"tint": {"correlation": 0.9}},
    "partition": {"name": "iid", "clients": 10},
    "fairness": {"min_share": 0.0},
}
COLUMNS = {
    "accuracy": "accuracy",
    "worst_cell": "worst cell",
    "gap": "EO gap",
    "gap_worst": "EO gap, worst class",
    "same_accuracy": "accuracy, all tints",
    "same_worst_cell": "worst cell, all tints",
    "same_gap": "EO gap, all tints",
}
"""Measures in percent. `same_…`: every test image in every tint, so that groups differ in tint
alone, and a model that ignores it has gap 0."""


def configure(arm: str, seed: int, options: argparse.Namespace) -> tuple[Config, str]:
    """The configuration of one run, and the key of its results."""
    own = dict(ARMS[arm])
    augment = own.pop("synthesis", {})
    said = {
        **SETTINGS,
        "name": arm,
        "seed": seed,
        "arms": [{"name": arm, **own.pop("arm", {})}],
        "synthesis": augment,
        **own,
    }
    stored = {"synthesis": {**augment, "store": str(options.work / "store")}}
    config = Config.model_validate({**said, **stored})
    measured = "validation" if options.validation else "test"
    where = options.work / f"{measured}-{_hash(config.to_toml())}"
    # The key is of what is said here: a new setting with a default does not make results void.
    return config.model_copy(update={"out": str(where)}), _hash(json.dumps([measured, said]))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def use_validation(work: Path) -> None:
    """Have the bundled test images replaced by those that the generator's training kept back."""
    target = work / "validation.npz"
    if not target.is_file():
        with np.load(fashion.BUNDLED) as bundled:
            train = ~bundled["test"]
            images, labels = bundled["images"][train], bundled["labels"][train]
        kept = load_training_images(DEBIAN_DIRECTORY, fashion.BUNDLED)[1]
        target.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            target,
            images=np.concatenate([images, kept.images[:, 2:-2, 2:-2]]),
            labels=np.concatenate([labels, kept.labels]),
            test=np.repeat([False, True], [len(labels), len(kept.labels)]),
        )
    fashion.BUNDLED = target


def train(config: Config) -> float:
    """Run or continue; returns the seconds that it took."""
    from fairfed.server import run

    start = time.perf_counter()
    run(config, report=False)
    return time.perf_counter() - start


def measured(config: Config) -> dict[str, float]:
    """Measures of the last round's model, in percent."""
    last = RunDirectory(config).rounds()[-1]
    own = np.sum([client["test_counts"] for client in last["clients"]], axis=0)
    same = counts_in_all_tints(config)
    names = {
        "accuracy": "accuracy",
        "worst_cell": "worst_cell_recall",
        "gap": "equalized_odds_difference",
        "gap_worst": "equalized_odds_difference_worst",
    }
    found = {short: 100 * float(get_metric(name)(own)) for short, name in names.items()}
    for short, name in names.items():
        found[f"same_{short}"] = 100 * float(get_metric(name)(same))
    return found


def counts_in_all_tints(config: Config) -> Counts:
    """Counts ``[G, C, C]`` of the last model on every test image in every tint."""
    import torch

    from fairfed.data import load_images
    from fairfed.models import confusion_counts
    from fairfed.system import simulated_study

    arm: Arm = config.arms[0]
    saved = checkpoint.load(config.run_directory / "checkpoints" / f"{arm.slug}.npz")
    table = load_images(config)
    model = simulated_study(config).place.model()
    model.load_state_dict({n: torch.from_numpy(np.array(a)) for n, a in saved.arrays.items()})
    images, labels = table.images[table.test], table.labels[table.test]
    groups = np.repeat(np.arange(len(TINTS)), len(labels))
    counts, _ = confusion_counts(
        model,
        torch.from_numpy(tint_images(np.tile(images, (len(TINTS), 1, 1, 1)), groups)),
        torch.from_numpy(np.tile(labels, len(TINTS))),
        torch.from_numpy(groups),
        n_groups=len(TINTS),
        n_classes=len(table.classes),
    )
    return counts


def table(rows: list[Settings]) -> str:
    """Markdown: mean ± sd over seeds (n - 1), and how much of FedAvg's gap is gone."""
    cuts = {"gap": "cut", "same_gap": "cut, all tints"}
    heads = ["arm", "seeds", *COLUMNS.values(), *cuts.values()]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    base = [row["metrics"] for row in rows if row["arm"] == BASE]
    for arm in ARMS:
        runs = [row["metrics"] for row in rows if row["arm"] == arm]
        if not runs:
            continue
        cells = [mean_sd([run[name] for run in runs]) for name in COLUMNS]
        for name in cuts:
            mean, of = (statistics.fmean(r[name] for r in part) for part in (runs, base or runs))
            cells.append(f"{100 * (1 - mean / of):.0f}")
        lines.append(f"| {arm} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is asked for and not yet known; write JSON and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--work", type=Path, default=Path("runs/group_images"))
    parser.add_argument("--out", type=Path, default=Path("docs/group_images.json"))
    parser.add_argument("--validation", action="store_true", help="measure on kept-back images")
    options = parser.parse_args()
    logging.getLogger("fairfed").setLevel(logging.WARNING)
    if options.validation:
        use_validation(options.work)
    known: Settings = json.loads(options.out.read_text()) if options.out.is_file() else {}
    asked = []
    for seed in options.seeds:
        for arm in options.arms:
            config, key = configure(arm, seed, options)
            asked.append(key)
            if key in known:
                continue
            seconds = train(config)
            known[key] = {
                "arm": arm,
                "seed": seed,
                "settings": ARMS[arm],
                "measured": "validation" if options.validation else "test",
                "seconds": round(seconds, 1),
                "metrics": {name: round(v, 3) for name, v in measured(config).items()},
            }
            write_whole(options.out, (json.dumps(known, indent=1) + "\n").encode())
            print(f"{arm}, seed {seed}: {seconds:.0f} s", flush=True)
    print(table([known[key] for key in asked]))


if __name__ == "__main__":
    main()
