"""What a run of closed-form heads found; `rounds.jsonl` says what it cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluation import get_metric
from evaluation.numbers import heading
from evaluation.rates import accuracy, recall_by_class
from evaluation.results import Column, Groups, Results, Table, Value, clients_called, write_results
from fairfed.config.base import required
from fairfed.config.labels import LabelSpace
from fairfed.rounds.run_directory import RunDirectory
from fairfed.systems.heads.variants import variants_of
from fairfed.systems.session import clients_at_the_end

LEGEND = (
    "Accuracy, recall of the worst class{gap} in % on the test images of all clients. Strength: of "
    "the regularisation, chosen on validation images. MB: to and from the client that has most."
)
PRIVACY = (
    "Every client sent, for each class × group, how many training images it has and the sum of "
    "their features, and for all heads but class means and FedCOF sums of the features' products; "
    "counts of how heads classify its validation and test images; and the seconds that took. No "
    "image, file name or prediction of a single one is among them.",
    "No noise was added: the sum over a cell of one image is that image's features, and sums over "
    "few say much of each. A site whose policy suppresses small counts leaves such cells out.",
)
MASKED = (
    "Every client sent, under masks that cancel in the sum over all clients, how many training "
    "images it has for each class × group and the sum of their features, and for all heads but "
    "class means sums of the features' products: the server learnt the sums over all. It also sent "
    "counts of how a head classifies its test images, and the seconds that took.",
    "No noise was added: a sum says of all clients together what it says.",
)
NOBODY = (
    "{name}: no client has a training image of {classes}. With heads.prior = 'text' it goes by its "
    "name in CLIP, which no validation image has checked; with 'none' it is never predicted"
)


def save_results(directory: RunDirectory, labels: LabelSpace) -> None:
    """Write what was found."""
    config, logged = directory.config, directory.rounds_by_arm()
    how, found, warnings = required(config.heads), [], []
    names = clients_called(directory.path, directory.rounds())
    for variant in variants_of(config):
        (line,) = logged[variant.title]
        found.append(_measured(variant.title, line, config.fairness.metric))
        if line.get("missing"):
            classes = ", ".join(labels.classes[c] for c in line["missing"])
            warnings.append(NOBODY.format(name=variant.title, classes=classes))
        warnings += [
            f"{variant.title}: {heading(names.get(row['client'], str(row['client'])))} gave "
            f"nothing of use ({row['error']})"
            for row in line["clients"]
            if row["error"]
        ]
    grouped = len(labels.groups) > 1
    gap = config.fairness.metric.replace("_", " ")
    columns = (
        Column("head", "text"),
        Column("accuracy", better="higher"),
        Column("worst class", better="higher"),
        *((Column(gap, better="lower"),) if grouped else ()),
        Column("strength", "number", digits=5),
        Column("MB", "mb", "lower", digits=3),
        Column("s", "seconds", digits=1),
    )
    keys = ("name", "accuracy", "worst_class", *(("gap",) if grouped else ()), "strength", "mb",
            "seconds")  # fmt: skip
    rows: tuple[tuple[Value, ...], ...] = tuple(tuple(one[key] for key in keys) for one in found)
    on = f"{how.features:,} random ReLU features of CLIP's" if how.features else "CLIP's"
    results = Results(
        name=config.name,
        seed=config.seed,
        system="heads",
        title="closed-form heads",
        about=(f"Solved from sums of {on} embeddings, sent in one round.",),
        warnings=tuple(warnings),
        tables=(Table(columns, rows, legend=LEGEND.format(gap=f" and {gap}" if grouped else "")),),
        clients=clients_at_the_end(logged, names, "accuracy on the client's own test images"),
        counts=Groups(labels.classes, labels.groups, tuple(labels.sensitive)),
        privacy=MASKED if config.privacy.secure_sum else PRIVACY,
        data={"name": config.name, "seed": config.seed, "heads": found},
    )
    write_results(results, directory.path)


def _measured(name: str, line: dict[str, Any], metric: str) -> dict[str, Any]:
    """An entry of `results.json`; undefined figures are None."""
    rows = line["clients"]
    tested = [row["test_counts"] for row in rows if row.get("test_counts") is not None]
    found: dict[str, Any] = dict.fromkeys(("accuracy", "worst_class", "gap"))
    if tested:
        counts = np.asarray(np.sum(tested, axis=0, dtype=np.int64))
        recall = recall_by_class(counts)
        if counts.any():
            found["accuracy"] = float(accuracy(counts))
            found["worst_class"] = float(np.nanmin(recall))
        gap = float(get_metric(metric)(counts))
        found["gap"] = None if np.isnan(gap) else gap
        found["recall"] = [None if np.isnan(value) else float(value) for value in recall]
    return {
        "name": name,
        **found,
        "strength": line.get("strength"),
        "mb": max(row["bytes_down"] + row["bytes_up"] for row in rows) / 1e6,
        "seconds": line["seconds"],
    }
