"""The demonstration over several seeds: mean ± standard deviation of every arm.

    python benchmarks/whole_loop.py [--seeds 0 1 2] [--set NAME=VALUE …]

Every seed has its own split, tints, initial model, order of batches and synthetic images. Runs that
are there already are not repeated. Writes docs/whole_loop.json and docs/whole_loop.md.
"""

from __future__ import annotations

import argparse
import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Any

from _tables import mean_sd

from evaluation.run import read_run
from evaluation.summary import ArmSummary, summarise
from fairfed.cli.running import run_here
from fairfed.config import Config, load_config

COLUMNS = {
    "accuracy": "test accuracy",
    "lacking": "recall of lacking classes",
    "client_mean": "client accuracy: mean",
    "client_sd": "sd over clients",
    "client_worst": "worst client",
    "worst_class": "worst class",
    "equalized_odds": "equalized odds gap",
    "accuracy_gap": "accuracy gap",
    "mb": "MB sent",
}


def numbers(arm: ArmSummary) -> dict[str, float]:
    """One arm of one run; fractions in percent. Without groups, their gaps are NaN."""
    clients, gaps = arm.client_fairness, {name: gap.value for name, gap in arm.gaps.items()}
    return {
        "accuracy": 100 * arm.accuracy.value,
        "lacking": 100 * arm.missing_recall.value,
        "client_mean": 100 * clients.mean,
        "client_sd": 100 * clients.sd,
        "client_worst": 100 * clients.worst,
        "worst_class": 100 * arm.worst_class_recall,
        "equalized_odds": 100 * gaps.get("equalized_odds_difference", math.nan),
        "accuracy_gap": 100 * gaps.get("accuracy_difference", math.nan),
        "mb": arm.mb_sent,
    }


def configured(seed: int, overrides: list[str]) -> Config:
    """The demonstration with another seed and a directory of its own."""
    demo = Path(str(files("fairfed") / "bundled" / "demo.toml"))
    out = ["out=runs/whole-loop/{name}-{seed}", f"seed={seed}"]
    return load_config(demo, [*out, *overrides])


def measure(seeds: list[int], overrides: list[str]) -> dict[str, list[dict[str, float]]]:
    """Numbers of every arm, one entry per seed."""
    found: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        config = configured(seed, overrides)
        run_here(config)
        for arm in summarise(read_run(config.run_directory)):
            found.setdefault(arm.name, []).append(numbers(arm))
    return found


def table(found: dict[str, list[dict[str, float]]]) -> str:
    """Markdown: mean ± sd over seeds (n - 1); without what nobody has."""
    every = [row for rows in found.values() for row in rows]
    shown = [name for name in COLUMNS if not all(math.isnan(row[name]) for row in every)]
    lines = [
        "| arm | " + " | ".join(COLUMNS[name] for name in shown) + " |",
        "|---|" + "---:|" * len(shown),
    ]
    for arm, rows in found.items():
        cells = [mean_sd([row[name] for row in rows]) for name in shown]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--out", type=Path, default=Path("docs/whole_loop"))
    options = parser.parse_args()
    found = measure(options.seeds, options.overrides)
    content: dict[str, Any] = {
        "seeds": options.seeds,
        "overrides": options.overrides,
        "arms": found,
    }
    options.out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    seeds = ", ".join(map(str, options.seeds))
    text = f"Mean ± sd over seeds {seeds}; fractions in percent.\n\n{table(found)}\n"
    options.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
