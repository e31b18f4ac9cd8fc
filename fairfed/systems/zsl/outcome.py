"""What a run of zero-shot learning leaves behind: `results.json`, `results.md`, a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairfed.rounds.run_directory import RunDirectory, costs, write_text

if TYPE_CHECKING:
    from rich.console import Console

    from fairfed.systems.zsl.split import Split
    from fairfed.systems.zsl.table import FeatureTable

HEADS = ("round", "H (validation)", "ZSL", "U", "S", "H", "s", "MB")
LEGEND = (
    "Per-class mean accuracy in %. ZSL: unseen classes among themselves. Among all classes: U on "
    "unseen ones, S on trained ones, H their harmonic mean. The round is selected on validation "
    "classes; the test is looked at once."
)


def write_outcome(
    directory: RunDirectory, split: Split, table: FeatureTable, outcomes: list[dict[str, Any]]
) -> None:
    """Write `results.json` and `results.md`; `rounds.jsonl` says what each variant cost."""
    logged = directory.rounds_by_arm()
    classes = split.classes

    def names(chosen: tuple[int, ...]) -> list[str]:
        return [table.classes[c] for c in chosen]

    content = {
        "name": directory.config.name,
        "seed": directory.config.seed,
        "rounds": directory.config.rounds,
        "classes": {
            "unseen": names(classes.unseen),
            "validation": names(classes.validation),
            "clients": [names(block) for block in split.blocks],
        },
        "rows": {
            "train": [len(rows) for rows in split.train],
            "validation": [len(split.validation_unseen), len(split.validation_seen)],
            "test": [len(split.test_unseen), len(split.test_seen)],
        },
        "variants": [{**outcome, **costs(logged[outcome["name"]])} for outcome in outcomes],
    }
    directory.write_json("results.json", content)
    write_text(directory.path / "results.md", _markdown(content))


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _cells(variant: dict[str, Any]) -> list[str]:
    validation = variant["validation"]
    return [
        str(variant["round"]),
        "–" if validation is None else _percent(validation["H"]),
        *(_percent(variant["test"][name]) for name in ("zsl", "U", "S", "H")),
        f"{variant['seconds']:.0f}",
        f"{variant['mb']:.1f}",
    ]


def _about(content: dict[str, Any]) -> list[str]:
    """Who holds what, in words."""
    classes = content["classes"]
    clients = "; ".join(", ".join(block) for block in classes["clients"])
    return [
        f"Unseen: {', '.join(classes['unseen'])}",
        f"Validation: {', '.join(classes['validation']) or 'none, the last round is reported'}",
        f"Clients: {clients}",
    ]


def _markdown(content: dict[str, Any]) -> str:
    lines = [f"# {content['name']}: zero-shot learning, seed {content['seed']}", ""]
    lines += [f"- {line}" for line in _about(content)]
    lines += ["", f"| | {' | '.join(HEADS)} |", "|---|" + "---:|" * len(HEADS)]
    lines += [f"| {v['name']} | {' | '.join(_cells(v))} |" for v in content["variants"]]
    return "\n".join([*lines, "", LEGEND, ""])


def show(run_dir: Path, console: Console) -> None:
    """Print the table of `results.json`; the last line names `results.md`."""
    from fairfed.cli.tables import titled

    content = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    for line in _about(content):
        console.print(line, style="dim", highlight=False)
    table = titled("", "variant", right=HEADS)
    for variant in content["variants"]:
        table.add_row(variant["name"], *_cells(variant))
    console.print(table)
    console.print(LEGEND, style="dim", highlight=False)
    console.print(f"Results: {run_dir / 'results.md'}", soft_wrap=True)
