"""What a run in a shared space found: recall of classes that clients have, lack, or soon get."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evaluation.numbers import heading
from evaluation.rates import recall_by_class
from evaluation.results import (
    Column,
    Curve,
    Groups,
    Results,
    Table,
    clients_called,
    write_results,
)
from fairfed.config import Config
from fairfed.config.base import required
from fairfed.rounds.run_directory import RunDirectory, costs
from fairfed.sites.workplace import Workplace
from fairfed.systems.session import clients_at_the_end
from fairfed.systems.shared_space.classes import memory, positions
from fairfed.systems.shared_space.embeddings import IMAGES
from fairfed.systems.shared_space.variants import variants_of

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
OF_CLIENTS = "accuracy on the client's own test images, after the last round"
PRIVACY = (
    "Every client sent updates of an adapter, how many images and captions it trained on, its mean "
    "losses, and counts of how the model classifies its training and its test images, by group, "
    "true and predicted class; once, which classes it has and how many images and captions. No "
    "image, caption, file name or prediction of a single one is among them.",
    "No noise was added to model updates, losses and counts: counts of small groups and model "
    "updates can tell something about single examples. Nothing here is a guarantee against that.",
)
NOT_CENTRED = (
    "Not centred: no client has released its sum of images, for each has fewer than "
    "conditioning.minimum = {minimum} (by noised count); lower that, or set shared.centre = false"
)


def save_results(directory: RunDirectory, place: Workplace) -> None:
    """Write what was found, from `rounds.jsonl`."""
    config, labels = directory.config, place.labels
    classes = labels.classes
    missing, arriving = positions(config, classes)
    logged = directory.rounds_by_arm()
    met = directory.read_json("clients.json") or {}
    data: dict[str, Any] = {
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
        data["variants"].append({**names, **found, **of_class, **costs(lines)})
    counted = Groups(classes, labels.groups, tuple(labels.sensitive))
    called = clients_called(directory.path, directory.rounds())
    write_results(results(data, counted, logged, called), directory.path)


def results(
    data: dict[str, Any], counted: Groups, logged: dict[str, list[Line]], names: dict[int, str]
) -> Results:
    """The findings from the fields of `results.json`, the rounds by variant and clients' names."""
    arrives = data["arrival"] is not None
    columns = (
        Column("variant", "text"),
        *(Column(head, better="higher") for _, head in (ARRIVED if arrives else COMPARED)),
        Column("s", "seconds"),
        Column("MB", "mb"),
    )
    keys = [key for key, _ in (ARRIVED if arrives else COMPARED)]
    rows = [(v["name"], *(v[key] for key in (*keys, "seconds", "mb"))) for v in data["variants"]]
    lines = {
        name: tuple((r["round"], _mean(recall(r, len(data["classes"])))) for r in own)
        for name, own in logged.items()
    }
    by_class = tuple(
        (name, *(variant["recall"][name] for variant in data["variants"]))
        for name in data["classes"]
    )
    heads = (Column("class", "text"), *(Column(v["name"]) for v in data["variants"]))
    return Results(
        name=data["name"],
        seed=data["seed"],
        system="shared",
        title="a shared space",
        about=tuple(_about(data, names)),
        warnings=tuple(data["notes"]),
        tables=(
            Table(columns, tuple(rows), legend=LEGEND_ARRIVED if arrives else LEGEND),
            Table(heads, by_class, "Recall of every class", "In %, after the last round."),
        ),
        curves=(Curve("Recall, mean over classes", lines),),
        clients=clients_at_the_end(logged, names, OF_CLIENTS),
        counts=counted,
        privacy=PRIVACY,
        data=data,
    )


def _arrival(place: Workplace) -> dict[str, Any]:
    """What arrives, when, and what the semantic memory says of it."""
    arrival = required(place.study.arrival)
    found = memory(place).explain(arrival.class_name)
    return {"class": arrival.class_name, "round": arrival.round, "memory": found}


def _notes(config: Config, met: dict[str, Any], logged: dict[str, list[Line]]) -> list[str]:
    """What a reader of the numbers must know of how they came about; nothing as a rule."""
    found = []
    if required(config.shared).centre and IMAGES not in met["means"]:
        found.append(NOT_CENTRED.format(minimum=config.conditioning.minimum))
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
    counts = [row["test_counts"] for row in line["clients"] if row["test_counts"] is not None]
    return recall_by_class(np.sum(counts, axis=0)) if counts else np.full(classes, np.nan)


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


def _about(data: dict[str, Any], names: dict[int, str]) -> list[str]:
    """Who holds what, and what arrives, in words."""
    lines = []
    for row in data["clients"]:
        classes = ", ".join(data["classes"][c] for c in row["classes"])
        held = [f"{row[what]} {what}" for what in ("images", "captions") if row[what]]
        used = row.get("captions_used", row["captions"])
        who = heading(names.get(row["client"], row["client"]))
        said = f"{who}: {' and '.join(held) or 'nothing'} of {classes}"
        if used < row["captions"]:
            said += f" ({used} of the captions say more than name and group, and are trained on)"
        lines.append(said)
    if data["missing"]:
        lines.append(f"Missing: no image of {', '.join(data['missing'])} at any client")
    arrival = data["arrival"]
    if arrival is not None:
        lines.append(f"Arrives in round {arrival['round']}: {arrival['class']}")
        lines.append(f"Memory: {arrival['memory']}")
    return lines
