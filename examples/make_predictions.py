"""Write the table of predictions that docs/audit.md audits: synthetic, nobody's data.

Three hospitals triage patients; a model says who is urgent. It reads a sign that women of 65 and
over show more weakly, so that it misses more of those who are urgent. All of this is made up here.

    python examples/make_predictions.py examples/predictions.csv
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

ROWS = 600
SITES = ("east", "north", "south")


def rows(seed: int = 1) -> list[list[object]]:
    """Site, sex, age, truth, score and prediction of every patient."""
    rng = np.random.default_rng(seed)
    site = rng.choice(3, ROWS, p=(0.3, 0.45, 0.25))
    female = rng.random(ROWS) < 0.52
    # The south treats older patients.
    age = np.clip(rng.normal(52 + 9 * (site == 2), 18), 18, 95).astype(int)
    urgent = rng.random(ROWS) < 0.22 + 0.004 * (age - 18)
    shown = np.where(urgent, 1.3, -1.3) - 1.5 * (urgent & female & (age >= 65))
    score = 1 / (1 + np.exp(-(shown + rng.normal(0, 1.1, ROWS))))
    unknown = rng.random(ROWS) < 0.02
    found: list[list[object]] = []
    for i in range(ROWS):
        sex = "" if unknown[i] else ("female" if female[i] else "male")
        truth, called = ("yes" if flag else "no" for flag in (urgent[i], score[i] >= 0.5))
        found.append([SITES[site[i]], sex, age[i], truth, f"{score[i]:.3f}", called])
    return found


def main(path: Path) -> None:
    """Write the table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["site", "sex", "age", "urgent", "score", "predicted"])
        writer.writerows(rows())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "predictions.csv"))
