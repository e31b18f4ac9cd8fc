"""How often the audit's intervals hold the truth: ``python benchmarks/coverage.py``.

Draws tables of groups of 30 to 500 rows from known rates (equal over groups, slightly and very
different; one group apart, or spread), and counts how often the 95 % intervals hold the true value.
Writes ``docs/audit_coverage.json`` and prints a summary in Markdown.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.audit.gaps import gap_kinds
from evaluation.audit.measured import make_cells, measure
from evaluation.audit.metrics import chosen
from evaluation.audit.uncertainty import gap_intervals

LEVEL = 0.95
METRICS = (
    "accuracy",
    "balanced_accuracy",
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "f1",
)
GAPS = (
    "accuracy_difference",
    "accuracy_difference_to_overall",
    "accuracy_ratio",
    "balanced_accuracy_difference",
    "demographic_parity_difference",
    "demographic_parity_ratio",
    "equal_opportunity_difference",
    "equalized_odds_difference",
    "equalized_odds_difference_mean",
    "f1_difference",
)
SIZES = ((30, 30), (60, 500), (100, 100), (30, 60, 120), (30, 30, 30, 30), (60, 120, 250, 500))
SHIFTS = (0.0, 0.05, 0.2)
BASE, TPR, FPR = 0.4, 0.8, 0.25
OUT = Path(__file__).parents[1] / "docs" / "audit_coverage.json"


@dataclass(frozen=True)
class Cell:
    """One setting: rows per group, and how far apart the groups' rates are."""

    sizes: tuple[int, ...]
    shift: float
    form: str

    def probabilities(self) -> np.ndarray:
        """Of (group, true, predicted), each group's sum 1."""
        k = len(self.sizes)
        apart = np.eye(k)[0] if self.form == "one apart" else np.linspace(1, 0, k)
        tpr, fpr = TPR - self.shift * apart, FPR + self.shift * apart / 2
        rows = [
            [[(1 - BASE) * (1 - f), (1 - BASE) * f], [BASE * (1 - t), BASE * t]]
            for t, f in zip(tpr, fpr, strict=True)
        ]
        return np.array(rows)


def cells() -> list[Cell]:
    """All settings."""
    return [
        Cell(sizes, shift, form)
        for sizes in SIZES
        for shift in SHIFTS
        for form in ("one apart", "spread")
        if form == "one apart" or (shift > 0 and len(sizes) > 2)
    ]


def simulate(cell: Cell, simulations: int, replicates: int, seed: int) -> dict[str, float]:
    """Share of the simulations whose interval holds the truth, by metric and gap."""
    rng = np.random.default_rng(seed)
    sizes, probabilities = np.array(cell.sizes), cell.probabilities()
    expected = sizes[:, None, None] * probabilities
    metrics, kept = chosen(METRICS), np.ones(len(sizes), bool)
    kinds = [kind for kind in gap_kinds(metrics) if kind.name in GAPS]
    truth = {kind.name: float(kind.of_counts(expected)) for kind in kinds}
    truth |= {metric.name: metric.values(expected)[:, 0] for metric in metrics}
    held: dict[str, list[float]] = {name: [] for name in truth}
    for i in range(simulations):
        rows = rng.multinomial(sizes, probabilities.reshape(len(sizes), 4))
        table = rows.reshape(len(sizes), 2, 2, 1)
        counts = make_cells(table, kept, replicates=replicates, rng=rng)
        parts = {m.name: measure(m, counts, LEVEL, (seed, i, j)) for j, m in enumerate(metrics)}
        values = {kind.name: float(kind.of_counts(counts.weights)) for kind in kinds}
        for name, (low, high) in gap_intervals(kinds, parts, values, "macro", LEVEL).items():
            held[name].append(low - 1e-12 <= truth[name] <= high + 1e-12)
        for name, part in parts.items():
            inside = (part.low[:, 0] <= truth[name]) & (truth[name] <= part.high[:, 0])
            held[name].extend(inside[~np.isnan(part.values[:, 0])].tolist())
    return {name: float(np.mean(values)) for name, values in held.items()}


def summary(found: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Over the settings: smallest, mean and largest coverage, and the share in 93-97 %."""
    table = {}
    for name in (*METRICS, *GAPS):
        values = np.array([entry["coverage"][name] for entry in found])
        inside = (values >= 0.93) & (values <= 0.97)
        table[name] = {
            "least": float(values.min()),
            "mean": float(values.mean()),
            "most": float(values.max()),
            "within_93_97": float(inside.mean()),
        }
    return table


def main() -> None:
    """Run all settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    start, found = time.perf_counter(), []
    for place, cell in enumerate(cells()):
        coverage = simulate(cell, options.simulations, options.replicates, options.seed + place)
        found.append(
            {"sizes": cell.sizes, "shift": cell.shift, "form": cell.form, "coverage": coverage}
        )
        least = min(coverage, key=lambda name: coverage[name])
        print(f"{cell.sizes} {cell.shift} {cell.form}: least {least} {coverage[least]:.3f}")
    table = summary(found)
    result = {
        "level": LEVEL,
        "simulations": options.simulations,
        "replicates": options.replicates,
        "seed": options.seed,
        "seconds": round(time.perf_counter() - start, 1),
        "rates": {"base": BASE, "true_positive": TPR, "false_positive": FPR},
        "summary": table,
        "settings": found,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("\n| | least | mean | most | settings within 93-97 % |\n|---|---|---|---|---|")
    for name, row in table.items():
        ends = " | ".join(f"{row[key]:.3f}" for key in ("least", "mean", "most"))
        print(f"| {name} | {ends} | {row['within_93_97']:.0%} |")


if __name__ == "__main__":
    main()
