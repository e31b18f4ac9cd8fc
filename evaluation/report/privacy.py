"""What left the clients of a run, in sentences made from what their messages hold."""

from __future__ import annotations

import json
import tomllib
from typing import Any

from evaluation.records import Arm, Run

PLAN = "federation.json"
PLAIN = frozenset({"fedavg", "local", "centralised", "zero-shot", "synthetic"})
"""Rules and systems that weigh clients by their examples alone, or not at all."""
SENDS_NO_MODEL = frozenset({"local", "zero-shot", "synthetic"})
"""Systems whose clients send no model."""
NOISED = {
    "conditioning": "the class prototypes that they sent once",
    "shared": "the sums that they sent once to centre images and captions",
    "peers": "the class prototypes that a peer sends, anew in each of its releases",
}
"""What clients add noise to, by the section of the configuration that has its budget."""
MADE = "how many synthetic {unit} were asked for, accepted, rejected, made and found again"
CELLS = "its number of training and test {unit} by class and group"
KNOWN = "in a word, whether its generator knows each class and sensitive column"
ROWS = "how many real and synthetic {unit} it trained on"
MASKED = (
    "model updates under masks that cancel in the sum over all clients, so that the server learnt "
    "their weighted sum alone (docs/secure-sums.md)"
)
UNNOISED = (
    "No noise was added to model updates, losses and counts: counts of small groups and model "
    "updates can tell something about single examples. Nothing here is a guarantee against that."
)
NOISE = (
    "Clients trained under differential privacy (DP-SGD, gradients clipped at {clip:g}): in each "
    "arm the updates of all rounds together keep ε = {epsilon:g} and δ = {delta:g} for each of its "
    "{unit}; arms add up. That does not cover counts, losses of the received model and seconds, "
    "which clients sent as they are: of a count that differs by one it is no guarantee."
)
COUNTS = (
    "counts of how the model classifies its training and its test {unit}, by group, true and "
    "predicted class"
)
TOLD = {
    "arrays": "model updates",
    "control": "control variates as large as those",
    "loss": "its mean losses",
    "received-loss": "its mean losses",
    "train-cells": CELLS,
    "test-cells": CELLS,
    "n-real": ROWS,
    "n-synthetic": ROWS,
    "seconds": "the seconds that took",
    "inversion-seconds": "the seconds that took",
    "partition-id": "its position among the clients",
    "who": "its name, with what CLIP and the generator know of its data, and what not",
    "requested-cells": MADE,
    "accepted-cells": MADE,
    "rejected": MADE,
    "generated": MADE,
    "reused": MADE,
    "known-names": KNOWN,
    "counts": COUNTS,
}
"""What a client tells the server, in words, by record or metric of its replies (of `rejected-…`,
the part before the reason). A test compares it with the messages of a run."""


def privacy_statement(run: Run) -> list[str]:
    """What left the clients in this run, and what was done to it."""
    unit, settings = run.unit, _settings(run.config_text)
    masked = _section(settings, "privacy").get("secure_sum", False)
    said = {**TOLD, "arrays": MASKED} if masked else TOLD
    *first, last = dict.fromkeys(said[key].format(unit=unit) for key in told(run))
    lines = [
        f"Every client sent {', '.join(first)}, and {last}. No {unit.removesuffix('s')}, file name "
        "or prediction of a single one is among them.",
    ]
    steered = sorted({_rule(arm) for arm in run.arms} - PLAIN)
    if steered:
        but = ", but for the updates." if masked else "."
        lines.append(
            f"The server sees all of this client by client{but} Arms with the rule "
            f"{' or '.join(steered)} weigh clients by it: by fairness signals, losses, counts"
            f"{'' if masked else ' or updates'}."
        )
    if any(arm.augment for arm in run.arms):
        lines.append(f"Synthetic {unit} were made and kept at the clients.")
    if run.gallery:
        lines.append(
            f"This page shows real {run.gallery_split} images beside synthetic ones (the gallery), "
            "and so does the folder synthetic/gallery. Before you pass either on, remove the "
            "folder and synthetic/gallery.json and write the report again if they are not public."
        )
    if (run.path / "columns.json").is_file():
        lines.append(
            "So that columns could be scaled and encoded, every client also sent sums, coarse "
            "ranges and frequent categories of its training rows."
        )
    unsaid = _nulls(json.loads((run.path / PLAN).read_text(encoding="utf-8")).get("splits"))
    if unsaid:
        lines.append(
            f"Clients did not say {unsaid} of their numbers of {unit}, which are small; no other "
            f"count that they sent has those {unit} in it. Models were trained on all."
        )
    lines += noised(run.config_text, any("one-shot" in arm.rule.split(", ") for arm in run.arms))
    dp = _section(settings, "train").get("dp")
    lines.append(UNNOISED if dp is None else NOISE.format(unit=unit, **dp))
    return lines


def _nulls(counts: Any) -> int:
    """How many counts are not said."""
    nested = counts.values() if isinstance(counts, dict) else counts
    return sum(map(_nulls, nested)) if isinstance(counts, dict | list) else int(counts is None)


def told(run: Run) -> list[str]:
    """Which of `TOLD` the clients of a run sent, in that order."""
    rules = [arm.rule.split(", ") for arm in run.arms]
    inverts = any("inversion at the client" in parts for parts in rules)
    made = any(arm.augment for arm in run.arms)
    unsent = {
        "arrays": all(parts[0] in SENDS_NO_MODEL for parts in rules),
        "control": not any("scaffold" in parts for parts in rules),
        "inversion-seconds": not inverts,
        **{key: not (made or inverts) for key, words in TOLD.items() if words == MADE},
        "known-names": not made,
    }
    return [key for key in TOLD if not unsent.get(key, False)]


def _rule(arm: Arm) -> str:
    """The arm's rule, or its system; what else differs in it stands behind a comma."""
    return arm.rule.split(", ")[0]


def _settings(config_text: str) -> dict[str, Any]:
    """A run's configuration; empty of another tool's."""
    try:
        return tomllib.loads(config_text)
    except tomllib.TOMLDecodeError:
        return {}


def _section(settings: dict[str, Any], name: str) -> dict[str, Any]:
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def noised(config_text: str, one_shot: bool = False) -> list[str]:
    """What clients sent with noise and with which budget, a sentence each.

    Of another tool's configuration nothing is said. `one_shot`: an arm sends prototypes once.
    """
    settings = _settings(config_text)
    sections = {name: found for name, found in settings.items() if isinstance(found, dict)}
    own = sections.setdefault("conditioning", sections.get("augment", {}))  # as before 0.5
    modes = [
        a.get("conditioning", own.get("mode")) for a in settings.get("arms", []) if a.get("augment")
    ]
    one_shot = one_shot or "prototype" in modes
    return [
        f"Clients added noise to {NOISED[name]}: differential privacy with {name}.epsilon = "
        f"{sections[name]['epsilon']:g} and {name}.delta = {sections[name]['delta']:g}."
        for name in _used_budgets(sections, one_shot)
        if {"epsilon", "delta"} <= sections[name].keys()
    ]


def _used_budgets(sections: dict[str, dict[str, Any]], one_shot: bool) -> list[str]:
    """Which of `NOISED` the run releases; a configuration has budgets that nothing spends, too."""
    peers = sections.get("peers", {"seeded_noise": True})
    used = {
        "conditioning": one_shot and bool(sections["conditioning"]),
        "shared": sections.get("shared", {}).get("centre", False),
        "peers": not peers.get("seeded_noise", False),  # noise that others know protects nobody
    }
    return [name for name, chosen in used.items() if chosen]
