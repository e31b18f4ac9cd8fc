"""The page that `label_skew.py` writes."""

from __future__ import annotations

import statistics
from typing import Any

from _label_skew_rows import OWN_MODELS, ROWS, SPLITS, Row, Settings

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
OURS = "SD + CLIP"
OTHER_TESTS = (OWN_MODELS, "FedAvg, IID", "FedAvg, IID, as many steps")
"""Rows whose clients' accuracies are on other test rows, or of other models, than the rest."""
CEILINGS = ("FedAvg, IID", "FedAvg, IID, as many steps", "Centralised")


def page(runs: list[Run], said: str, protocol: Settings, changed: list[str]) -> str:
    """The whole page, in Markdown; `changed` are settings that differ from the protocol."""
    train = protocol["train"]
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
        "pairs (client, class that it lacks). *Local only* is each client's own model: its "
        "accuracy on all test images is the mean over clients, and its clients score high on the "
        "few classes that they know. IID clients hold all classes: their variance and worst client "
        "say nothing about clients that hold few (*Centralised* is measured on these). *CPU-s* has "
        "training, evaluation and synthesis, the latter as if no image had been in the store. An "
        "epoch of an augmented client is its real and its synthetic images, so that it takes more "
        "steps a round than FedAvg's; *as many steps* is the reference for that. *MB*: what was "
        "sent over all rounds, both ways.",
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
    text = f"{statistics.fmean(known):.{digits}f}"
    if len(known) > 1:
        text += f" ± {statistics.stdev(known):.{digits}f}"
    return text if len(known) == len(values) else f"{text} ({len(known)} of {len(values)})"


def verdicts(split: str, runs: list[Run]) -> list[str]:
    """What the table says of the aims, in words made from its numbers."""
    means = {
        row.name: {name: _mean(_of(runs, row), name) for name in COLUMNS}
        for row in ROWS
        if _of(runs, row)
    }
    lines = []
    if split in REFERENCES and "FedAvg" in means:
        lines.append(
            f"- niid_bench's FedAvg (60,000 images, 50 × 10 epochs): {REFERENCES[split]:.2f}; "
            f"ours here: {100 * means['FedAvg']['accuracy']:.2f}."
        )
    ours = [name for name in means if name.startswith(OURS) and "unseen" not in name]
    if not ours:
        return ["\n".join(lines)] if lines else []
    best = max(ours, key=lambda name: means[name]["accuracy"])
    for ceiling in CEILINGS:
        if ceiling in means:
            apart = 100 * (means[best]["accuracy"] - means[ceiling]["accuracy"])
            side = "above" if apart >= 0 else "below"
            lines.append(f"- {best} is {abs(apart):.1f} points {side} *{ceiling}*.")
    for name, better in (("accuracy", max), ("missing", max), ("client_variance", min),
                         ("client_worst", max), ("worst_class", max)):  # fmt: skip
        among = [row for row in means if not (name.startswith("client") and row in OTHER_TESTS)]
        first = better(among, key=lambda row, n=name: means[row][n])
        mine = better(ours, key=lambda row, n=name: means[row][n])
        heading, factor, digits = COLUMNS[name]
        text = f"- Best {heading}: {first} ({factor * means[first][name]:.{digits}f})"
        if first not in ours:
            text += f"; best of ours: {mine} ({factor * means[mine][name]:.{digits}f})"
            text += " – *beats ours*" if first not in CEILINGS else ""
        lines.append(text + ".")
    return ["\n".join(lines)]


def _mean(runs: list[Run], name: str) -> float:
    known = [run[name] for run in runs if run[name] is not None]
    return statistics.fmean(known) if known else float("nan")
