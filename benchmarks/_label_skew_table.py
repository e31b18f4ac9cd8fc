"""The page that `label_skew.py` writes."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

from _label_skew_rows import OWN_MODELS, ROWS, SPLITS, Row, Settings
from _tables import mean_sd

Run = dict[str, Any]
COLUMNS: dict[str, tuple[str, float, int]] = {
    "accuracy": ("accuracy", 100, 1),
    "missing": ("recall of missing classes", 100, 1),
    "client_mean": ("client accuracy: mean", 100, 1),
    "client_variance": ("variance", 1e4, 0),
    "client_worst": ("worst client", 100, 1),
    "worst_class": ("worst class", 100, 1),
    "jain": ("Jain", 1, 3),
    "rounds_to_target": ("rounds to 80 %", 1, 0),
    "cpu_seconds": ("CPU-s", 1, 0),
    "mb": ("MB", 1, 0),
}
"""Heading, factor and digits of each number."""
REFERENCES = {"1 label": 28.39, "2 labels": 78.10, "3 labels": 82.43}
"""FedAvg in Flower's niid_bench: 60,000 images, 50 rounds of 10 epochs (IID: 89.23)."""
OURS = ("SD + CLIP", "SD + CLIP + steering", "SD + CLIP + closed loop")
CEILINGS = ("FedAvg, IID", "FedAvg, IID, as many steps", "Centralised")
"""What ours is held against, with the same network."""
OURS_ON_CLIP, CLIP_CEILING = "SD + CLIP, CLIP head", "CLIP head, IID"
EXTREMES = {"accuracy": max, "missing": max, "client_variance": min, "client_worst": max,
            "worst_class": max}  # fmt: skip


def page(
    runs: list[Run], said: str, protocol: Settings, changed: list[str], spent: dict[str, float]
) -> str:
    """The whole page, in Markdown.

    `changed` are settings that differ from the protocol, `spent` CPU-hours by machine.
    """
    train = protocol["train"]
    usual, _ = Counter(run["machine"] for run in runs).most_common(1)[0]
    runs = [run if run["machine"] == usual else {**run, "cpu_seconds": None} for run in runs]
    took = " and ".join(f"{hours:.1f} CPU-hours on {name}" for name, hours in spent.items())
    other = f" Departures: {', '.join(changed)}." if changed else ""
    parts = [
        "# Label skew: every system in one comparison",
        f"`python benchmarks/label_skew.py` writes this page. {said}",
        f"10 clients, {protocol['rounds']} rounds × {train['epochs']} local epochs; network, "
        f"momentum {train['momentum']}, weight decay {train['weight_decay']:g} and batches of "
        f"{train['batch_size']} as in Flower's niid_bench. Learning rate {train['lr']} instead of "
        "its 0.01, with which a tenth of its images is too few steps: of the two, the one with "
        "which *FedAvg, IID*, the row that ours is measured against, does better. Mean ± sd over "
        "seeds (n in the table), which also change split, weights and synthetic images; percent, "
        f"variance in percent². No other setting was chosen on test images.{other}",
        "Accuracy, recall and worst class are on all test images; a client's accuracy is on its "
        "own, which hold the classes that it trains on. *Recall of missing classes*: mean over the "
        "pairs (client, class that it lacks). Models of IID clients, *Centralised* and those that "
        "a server trains alone are measured on the same clients as all others. *Local only* is "
        "each client's own model: its accuracy on all test images is the mean over clients, and "
        "its clients score high on the few classes that they know. *MB*: what was sent over all "
        "rounds, both ways. An epoch of an augmented client is its real and its synthetic images, "
        "so that it takes more steps a round than FedAvg's; *as many steps* is the reference for "
        "that.",
        "*CPU-s* has training, evaluation and synthesis, the latter as if no image had been in the "
        f"store; it is of runs on {usual} alone. All runs together took {took}: rows of a seed "
        "share images, and rows on IID clients are run once for all splits. Another processor "
        "rounds otherwise, so that a run repeats to the bit only on the same kind; where training "
        "is unstable it may end points away.",
    ]
    for split in SPLITS:
        found = [run for run in runs if run["split"] == split]
        if found:
            parts += [f"## {split}", table(found), *verdicts(split, found)]
    notes = [f"- *{row.name}*: {row.note}." for row in ROWS if row.note]
    parts += ["## Notes", "\n".join(notes)]
    parts += ["What each system is, and its source: [systems.md](systems.md)."]
    return "\n\n".join(parts) + "\n"


def table(runs: list[Run]) -> str:
    """One split: mean ± sd of every number."""
    lines = ["| system | n | " + " | ".join(name for name, *_ in COLUMNS.values()) + " |",
             "|---|---:|" + "---:|" * len(COLUMNS)]  # fmt: skip
    for row in ROWS:
        own = _of(runs, row)
        if own:
            cells = [_cell([run[name] for run in own], *COLUMNS[name][1:]) for name in COLUMNS]
            lines.append(f"| {row.name} | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _of(runs: list[Run], row: Row) -> list[Run]:
    return [run for run in runs if run["row"] == row.name]


def _cell(values: list[float | None], factor: float, digits: int) -> str:
    """Mean ± sd; where some runs have no number, how many have."""
    known = [factor * value for value in values if value is not None]
    if not known:
        return "–"
    text = mean_sd(known, digits)
    return text if len(known) == len(values) else f"{text} ({len(known)} of {len(values)})"


Means = dict[str, dict[str, float]]


def verdicts(split: str, runs: list[Run]) -> list[str]:
    """What the table says of the aims, in words made from its numbers."""
    means = {
        row.name: {name: _mean(_of(runs, row), name) for name in COLUMNS}
        for row in ROWS
        if _of(runs, row)
    }
    lines = _reference(split, means)
    for ceiling in CEILINGS:
        lines += _against(ceiling, OURS, means)
    lines += _against(CLIP_CEILING, (OURS_ON_CLIP,), means)
    if any(row in means for row in (*OURS, OURS_ON_CLIP)):
        lines += [_best(name, means) for name in EXTREMES]
    return ["\n".join(lines)] if lines else []


def _reference(split: str, means: Means) -> list[str]:
    """FedAvg here beside niid_bench's."""
    rows = [row for row in ("FedAvg", "FedAvg, lower rate") if row in means]
    if split not in REFERENCES or not rows:
        return []
    here = ", ".join(f"{100 * means[row]['accuracy']:.1f} ({row})" for row in rows)
    return [f"- niid_bench's FedAvg (60,000 images, 50 × 10 epochs): {REFERENCES[split]}; "
            f"here: {here}."]  # fmt: skip


def _against(ceiling: str, rows: tuple[str, ...], means: Means) -> list[str]:
    """How far rows are from a ceiling of the same network."""
    known = [row for row in rows if row in means]
    if ceiling not in means or not known:
        return []
    apart = (100 * (means[row]["accuracy"] - means[ceiling]["accuracy"]) for row in known)
    said = ", ".join(f"{row} {points:+.1f}" for row, points in zip(known, apart, strict=True))
    return [f"- Points of accuracy above *{ceiling}*: {said}."]


def _best(name: str, means: Means) -> str:
    """Which row is best in a column, and the best of ours where that is another one."""
    heading, factor, digits = COLUMNS[name]

    def first(rows: list[str]) -> tuple[str, str]:
        best = EXTREMES[name](rows, key=lambda row: means[row][name])
        return best, f"{best} ({factor * means[best][name]:.{digits}f})"

    among = [row for row in means if not (name.startswith("client") and row == OWN_MODELS)]
    best, text = first(among)
    text = f"- Best {heading}: {text}"
    if best not in (*OURS, OURS_ON_CLIP):
        text += f"; ours: {first([r for r in (*OURS, OURS_ON_CLIP) if r in means])[1]}"
    return text + "."


def _mean(runs: list[Run], name: str) -> float:
    known = [run[name] for run in runs if run[name] is not None]
    return statistics.fmean(known) if known else float("nan")
