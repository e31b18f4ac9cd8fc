"""What a run in a shared space leaves behind: `results.json`, `results.md`, a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairfed.rounds.run_directory import RunDirectory, costs, write_text
from fairfed.shared_space.centring import IMAGES
from fairfed.shared_space.classes import positions
from fairfed.shared_space.memory import arrival_of, memory
from fairfed.shared_space.variants import settings, variants_of
from fairfed.sites.workplace import Workplace

if TYPE_CHECKING:
    from rich.console import Console

    from fairfed.config import Config

Line = dict[str, Any]
COMPARED = (
    ("missing", "missing classes"),
    ("others", "other classes"),
    ("mean", "all classes"),
    ("worst", "worst class"),
)
ARRIVED = (
    ("before", "before"),
    ("at_once", "at once"),
    ("after", "after"),
    ("others_before", "others before"),
    ("others_at_once", "others at once"),
    ("others_after", "others after"),
)
LEGEND = (
    "Recall in %, mean over classes, on the test images of all clients with images; every class "
    "competes with all others."
)
LEGEND_ARRIVED = (
    "Recall in % of the class that arrives, and of all others, on the test images of all clients: "
    "of the model of the round before it arrives, of the first that serves it, and of the last."
)
UNANSWERED = (
    "{name}: in {count} of {rounds} rounds ({numbers}) no client gave a usable reply and the model "
    "stayed as it was; the first error is: {error}"
)
NOT_CENTRED = (
    "Not centred: no client has released its sum of images, for each has fewer than "
    "augment.minimum = {minimum} (by noised count); lower that, or set shared.centre = false"
)


def write_outcome(directory: RunDirectory, place: Workplace) -> None:
    """Write `results.json` and `results.md` from `rounds.jsonl`."""
    config, classes = directory.config, place.labels.classes
    missing, arriving = positions(config, classes)
    logged = directory.rounds_by_arm()
    met = directory.read_json("clients.json") or {}
    content: dict[str, Any] = {
        "name": config.name,
        "seed": config.seed,
        "classes": list(classes),
        "clients": met["clients"],
        "missing": [classes[c] for c in missing],
        "arrival": None if config.arrival is None else _arrival(place),
        "notes": _notes(config, met, logged),
        "variants": [],
    }
    for variant in variants_of(config):
        lines = logged[variant.title]
        recalls = {line["round"]: recall(line, len(classes)) for line in lines}
        last = recalls[max(recalls)]
        if config.arrival is not None:
            found = _around(recalls, arriving[0], config.arrival.round)
        else:
            found = _compared(last, missing)
        names = {"variant": variant.key, "name": variant.title}
        of_class = {"recall": dict(zip(classes, _plain(last), strict=True))}
        content["variants"].append({**names, **found, **of_class, **costs(lines)})
    directory.write_json("results.json", content)
    write_text(directory.path / "results.md", _markdown(content))


def _arrival(place: Workplace) -> dict[str, Any]:
    """What arrives, when, and what the semantic memory says of it."""
    arrival = arrival_of(place.study)
    found = memory(place).explain(arrival.class_name)
    return {"class": arrival.class_name, "round": arrival.round, "memory": found}


def _notes(config: Config, met: dict[str, Any], logged: dict[str, list[Line]]) -> list[str]:
    """What a reader of the numbers must know of how they came about; nothing as a rule."""
    found = []
    if settings(config).centre and IMAGES not in met["means"]:
        found.append(NOT_CENTRED.format(minimum=config.augment.minimum))
    for variant in variants_of(config):
        lines = logged[variant.title]
        failed = [line for line in lines if not any(row["weight"] for row in line["clients"])]
        if failed:
            found.append(_unanswered(variant.title, failed, len(lines)))
    return found


def _unanswered(name: str, failed: list[Line], rounds: int) -> str:
    """A sentence on the rounds of a variant that changed nothing."""
    numbers = ", ".join(str(line["round"]) for line in failed)
    errors = [row["error"] for line in failed for row in line["clients"] if row["error"]]
    error = next(iter(errors), "none of a client")
    return UNANSWERED.format(
        name=name, count=len(failed), rounds=rounds, numbers=numbers, error=error
    )


def recall(line: Line, classes: int) -> npt.NDArray[np.float64]:
    """Recall of every class in a round, ``[C]``, all clients' test images together; NaN if none."""
    counts = np.zeros((classes, classes), np.int64)
    for row in line["clients"]:
        if row["test_counts"] is not None:
            counts += np.sum(row["test_counts"], axis=0)
    with np.errstate(invalid="ignore"):
        found: npt.NDArray[np.float64] = np.diag(counts) / counts.sum(1)
    return found


def _plain(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _compared(found: npt.NDArray[np.float64], missing: tuple[int, ...]) -> dict[str, float | None]:
    others = np.delete(found, missing)
    return {
        "missing": _mean(found[list(missing)]),
        "others": _mean(others),
        "mean": _mean(found),
        "worst": None if np.isnan(found).all() else float(np.nanmin(found)),
    }


def _around(
    recalls: dict[int, npt.NDArray[np.float64]], label: int, arrival: int
) -> dict[str, float | None]:
    """Recall of the class that arrives and of the others, around its arrival."""
    found = {}
    for name, number in (("before", arrival - 1), ("at_once", arrival), ("after", max(recalls))):
        values = recalls[number]
        found[name] = _mean(values[[label]])
        found[f"others_{name}"] = _mean(np.delete(values, label))
    return found


def _columns(content: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return COMPARED if content["arrival"] is None else ARRIVED


def _heads(content: dict[str, Any]) -> tuple[str, ...]:
    return (*(head for _, head in _columns(content)), "s", "MB")


def _cells(content: dict[str, Any], variant: dict[str, Any]) -> list[str]:
    values = [variant[name] for name, _ in _columns(content)]
    shown = ["–" if value is None else f"{100 * value:.1f}" for value in values]
    return [*shown, f"{variant['seconds']:.0f}", f"{variant['mb']:.1f}"]


def _about(content: dict[str, Any]) -> list[str]:
    """Who holds what, and what arrives, in words."""
    lines = []
    for row in content["clients"]:
        names = ", ".join(content["classes"][c] for c in row["classes"])
        held = [f"{row[what]} {what}" for what in ("images", "captions") if row[what]]
        used = row.get("captions_used", row["captions"])
        said = f"Client {row['client']}: {' and '.join(held) or 'nothing'} of {names}"
        if used < row["captions"]:
            said += f" ({used} of the captions say more than name and group, and are trained on)"
        lines.append(said)
    if content["missing"]:
        lines.append(f"Missing: no image of {', '.join(content['missing'])} at any client")
    arrival = content["arrival"]
    if arrival is not None:
        lines.append(f"Arrives in round {arrival['round']}: {arrival['class']}")
        lines.append(f"Memory: {arrival['memory']}")
    return lines


def _legend(content: dict[str, Any]) -> str:
    return LEGEND if content["arrival"] is None else LEGEND_ARRIVED


def _markdown(content: dict[str, Any]) -> str:
    lines = [f"# {content['name']}: a shared space, seed {content['seed']}", ""]
    lines += [f"- {line}" for line in _about(content)]
    lines += [f"- **{note}**" for note in content["notes"]]
    heads = _heads(content)
    lines += ["", f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for variant in content["variants"]:
        lines.append(f"| {variant['name']} | {' | '.join(_cells(content, variant))} |")
    return "\n".join([*lines, "", _legend(content), ""])


def show(run_dir: Path, console: Console) -> None:
    """Print the table of `results.json`; the last line names `results.md`."""
    from fairfed.cli.tables import titled

    content = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    for line in _about(content):
        console.print(line, style="dim", highlight=False)
    for note in content["notes"]:
        console.print(note, style="yellow", highlight=False, markup=False)
    table = titled("", "variant", right=_heads(content))
    for variant in content["variants"]:
        table.add_row(variant["name"], *_cells(content, variant))
    console.print(table)
    console.print(_legend(content), style="dim", highlight=False)
    console.print(f"Results: {run_dir / 'results.md'}", soft_wrap=True)
