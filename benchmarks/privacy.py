"""What privacy costs, whom, and what augmentation gives back; and what an attacker finds.

The demonstration (ten clients with two classes each) with GroupNorm, trained plainly and under
differential privacy with ε from 1 to 8 for each arm, on real images alone and with synthetic ones
for the classes that a client lacks. Then `fairfed attack` on the first seed's runs.

    python benchmarks/privacy.py [--seeds 1 2 3] [--epsilons ∞ 8 4 2 1] [--shadows 8]

Runs and attacks that are there already are not repeated. Writes docs/privacy.json; prints tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from _tables import mean_sd
from whole_loop import configured, numbers

from evaluation.files import write_json
from evaluation.run import read_run
from evaluation.summary import summarise
from fairfed.attacks.inversion import invert_run
from fairfed.attacks.membership import attack_run
from fairfed.cli.running import run_here
from fairfed.config import Config

ARMS = 'arms=[{name="FedAvg"},{name="Augmentation",augment=true}]'
DELTA, CLIP, IMAGES = 1e-4, 1.0, 10
PLAIN = ["model=cnn-gn", ARMS]
PRIVATE = ["train.lr=0.3", "train.momentum=0.0", "train.batch_size=64"]
"""Of two settings the smoother one on seed 0, which is in no table."""
COLUMNS = {
    "accuracy": "accuracy", "worst_class": "worst class", "client_worst": "worst client",
    "equalized_odds": "equalized odds gap",
}  # fmt: skip
NONE = "∞"


def config_of(seed: int, epsilon: str) -> Config:
    """A run of two arms."""
    out = f"out=runs/privacy/{'plain' if epsilon == NONE else epsilon}-{seed}"
    if epsilon == NONE:
        return configured(seed, [*PLAIN, out])
    dp = f"train.dp={{epsilon={float(epsilon)},delta={DELTA},clip={CLIP}}}"
    return configured(seed, [*PLAIN, *PRIVATE, dp, out])


def attacks(run: Path, shadows: int) -> dict[str, Any]:
    """Attacks on both arms, made once."""
    path = run / "attacks.json"
    if not path.is_file():
        arms = ("FedAvg", "Augmentation")
        found = {arm: [one.to_json() for one in attack_run(run, arm, shadows)] for arm in arms}
        sought = {"FedAvg": [one.to_json() for one in invert_run(run, "FedAvg", IMAGES)]}
        write_json(path, {"shadows": shadows, "seed": 0, "arms": found, "inverted": sought})
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kept


def main() -> None:
    """Run what is missing, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epsilons", nargs="+", default=[NONE, "8", "4", "2", "1"])
    parser.add_argument("--attacked", nargs="*", default=[NONE, "8", "1"], help="of which ε")
    parser.add_argument("--shadows", type=int, default=0, help="for LiRA: each is a training")
    arguments = parser.parse_args()
    measured: dict[str, dict[str, list[dict[str, float]]]] = {}
    attacked: dict[str, Any] = {}
    for seed in arguments.seeds:
        for epsilon in arguments.epsilons:
            config = config_of(seed, epsilon)
            run_here(config)
            for arm in summarise(read_run(config.run_directory)):
                rows = measured.setdefault(epsilon, {}).setdefault(arm.name, [])
                rows.append(numbers(arm))
    for epsilon in arguments.attacked:
        run = config_of(arguments.seeds[0], epsilon).run_directory
        attacked[epsilon] = attacks(run, arguments.shadows)
    write_json(
        Path("docs/privacy.json"),
        {
            "seeds": arguments.seeds,
            "delta": DELTA,
            "clip": CLIP,
            "runs": measured,
            "attacks": attacked,
        },
    )
    print("| ε | arm | " + " | ".join(COLUMNS.values()) + " |")
    print("|---|---|" + "---:|" * len(COLUMNS))
    for epsilon, arms in measured.items():
        for arm, rows in arms.items():
            cells = [mean_sd([row[name] for row in rows], 1) for name in COLUMNS]
            print(f"| {epsilon} | {arm} | " + " | ".join(cells) + " |")
    print("\n| ε | arm | target | attack | AUC, % | found, % |\n|---|---|---|---|---:|---:|")
    for epsilon, kept in attacked.items():
        for arm, rows in kept["arms"].items():
            for row in (row for row in rows if row["group"] is None):
                cells = [f"{100 * row[name]['value']:.1f}" for name in ("auc", "found")]
                print(f"| {epsilon} | {arm} | {row['target']} | {row['attack']} | "
                      + " | ".join(cells) + " |")  # fmt: skip
    print("\n| ε | update | recognised | by guessing | correlation |\n|---|---|---:|---:|---:|")
    for epsilon, kept in attacked.items():
        for row in kept["inverted"]["FedAvg"]:
            print(
                f"| {epsilon} | {row['target']} | {row['recognised']} of {row['updates']} | "
                f"{row['chance']:.0%} | {row['likeness']:.2f} |"
            )


if __name__ == "__main__":
    main()
