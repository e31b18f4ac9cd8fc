"""What a run of zero-shot learning found: unseen classes, trained ones, and both together."""

from __future__ import annotations

from typing import Any

from evaluation.results import Column, Curve, Results, Table, write_results
from fairfed.rounds.run_directory import RunDirectory, costs
from fairfed.systems.zsl.split import Split
from fairfed.systems.zsl.table import FeatureTable

COLUMNS = (
    Column("variant", "text"),
    Column("round", "count"),
    Column("H (validation)"),
    *(Column(name, better="higher") for name in ("ZSL", "U", "S", "H")),
    Column("s", "seconds"),
    Column("MB", "mb"),
)
LEGEND = (
    "Per-class mean accuracy in %. ZSL: unseen classes among themselves. Among all classes: U on "
    "unseen ones, S on trained ones, H their harmonic mean. The round is selected on validation "
    "classes; the test is looked at once."
)
UNAUDITED = (
    "its clients hold no test rows: the server judges the generators on features of its own, "
    "without groups, so that there is nothing to compare between groups or clients; results.md "
    "compares unseen classes (U) with trained ones (S)"
)
PRIVACY = (
    "Every client sent updates of a feature generator, how many rows it trained on, its mean "
    "losses, and the seconds that took. No row, feature or prediction is among them.",
    "No noise was added: model updates can tell something about single rows. Nothing here is a "
    "guarantee against that.",
)


def save_results(
    directory: RunDirectory, split: Split, table: FeatureTable, variants: list[dict[str, Any]]
) -> None:
    """Write what was found; `rounds.jsonl` says what each variant cost."""
    logged = directory.rounds_by_arm()
    classes = split.classes

    def names(chosen: tuple[int, ...]) -> list[str]:
        return [table.classes[c] for c in chosen]

    of_class = {
        "unseen": names(classes.unseen),
        "validation": names(classes.validation),
        "clients": [names(block) for block in split.blocks],
    }
    found_by = [{**one, **costs(logged[one["name"]])} for one in variants]
    data = {
        "name": directory.config.name,
        "seed": directory.config.seed,
        "rounds": directory.config.rounds,
        "classes": of_class,
        "rows": {
            "train": [len(rows) for rows in split.train],
            "validation": [len(split.validation_unseen), len(split.validation_seen)],
            "test": [len(split.test_unseen), len(split.test_seen)],
        },
        "variants": found_by,
    }
    lines = {
        name: tuple((row["round"], row["validation"]["H"]) for row in rows if row["validation"])
        for name, rows in logged.items()
    }
    found = Results(
        name=directory.config.name,
        seed=directory.config.seed,
        system="zsl",
        title="zero-shot learning",
        about=_about(of_class),
        tables=(Table(COLUMNS, tuple(map(_row, found_by)), legend=LEGEND),),
        curves=(Curve("H on validation classes", lines),) if any(lines.values()) else (),
        unaudited=UNAUDITED,
        privacy=PRIVACY,
        data=data,
    )
    write_results(found, directory.path)


def _row(variant: dict[str, Any]) -> tuple[Any, ...]:
    validation, test = variant["validation"], variant["test"]
    return (
        variant["name"],
        variant["round"],
        None if validation is None else validation["H"],
        *(test[name] for name in ("zsl", "U", "S", "H")),
        variant["seconds"],
        variant["mb"],
    )


def _about(classes: dict[str, Any]) -> tuple[str, ...]:
    """Who holds what, in words."""
    clients = "; ".join(", ".join(block) for block in classes["clients"])
    return (
        f"Unseen: {', '.join(classes['unseen'])}",
        f"Validation: {', '.join(classes['validation']) or 'none, the last round is reported'}",
        f"Clients: {clients}",
    )
