"""What `label_skew.py` reads off a finished run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from _label_skew_data import CLASSES
from torch import Tensor, nn

from evaluation.clients import client_fairness, missing_class_weights, weighted_recall
from fairfed.config import Config
from fairfed.engines.private import records_from_bytes
from fairfed.models import confusion_counts
from fairfed.rounds import checkpoint
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.request import split_of
from fairfed.system import simulation_of

Counts = npt.NDArray[np.int64]
TARGET = 0.8
"""Accuracy to which rounds are counted."""


def measured(config: Config, skewed: Config) -> dict[str, float | None]:
    """The numbers of one run; fractions in [0, 1], None where one does not apply.

    Accuracy and recall are on all test images. Clients, their test images and the classes that they
    lack are those of the split of `skewed`, whatever split the run trains on.
    """
    arm = config.arms[0]
    rounds = RunDirectory(config).rounds()
    last = [np.array(client["test_counts"])[0] for client in rounds[-1]["clients"]]
    if arm.iid:
        last = _on_clients(config, skewed)
    clients = client_fairness([np.trace(c) / max(1, c.sum()) for c in last])
    weights = missing_class_weights(simulation_of(skewed).data().train_cells())
    pooled = _pooled(rounds[-1])
    recalls = np.diag(pooled) / np.maximum(1, pooled.sum(1))
    accuracies = [np.trace(c) / c.sum() for c in map(_pooled, rounds)]
    reached = [i + 1 for i, accuracy in enumerate(accuracies) if accuracy >= TARGET]
    entries = [client for row in rounds for client in row["clients"]]
    found: dict[str, float | None] = {
        "accuracy": float(accuracies[-1]),
        "missing": float(weighted_recall(pooled[None], weights)),
        "client_mean": clients.mean,
        "client_variance": clients.variance,
        "client_worst": clients.worst,
        "worst_class": float(recalls.min()),
        "jain": clients.jain,
        "rounds_to_target": reached[0] if reached else None,
        "mb": sum(c["bytes_up"] + c["bytes_down"] for c in entries) / 1e6,
        "images": float(_images(config, rounds, "generated") + _images(config, rounds, "reused")),
        "reused": float(_images(config, rounds, "reused")),
    }
    if arm.own_models:
        found |= _of_own_models(config)
    if arm.system == "centralised":
        found["mb"] = None  # it is the data that would travel
    if arm.system == "one-shot":
        sent = _read(config, "prototypes-main.json")
        found["mb"] = (found["mb"] or 0.0) + float(sent["bytes"]) / 1e6
    return found


def _on_clients(config: Config, skewed: Config) -> list[Counts]:
    """What the run's last model makes of the test images of each client of a federation."""
    arm = config.arms[0].model_copy(update={"iid": False})
    sites = simulation_of(skewed)
    own = [sites.cut(client, sites.study) for client in range(len(sites.names))]
    model = sites.place(sites.study).model(arm)
    saved = checkpoint.load(config.run_directory / "checkpoints" / f"{arm.slug}.npz")
    model.load_state_dict({name: torch.from_numpy(a) for name, a in saved.arrays.items()})
    tests = [(site.rows.test, site) for site in own]
    return [_counts(model, s.model_rows(r, arm), s.table.labels[r]) for r, s in tests]


def _counts(model: nn.Module, inputs: Tensor, labels: npt.NDArray[np.int64]) -> Counts:
    """A model's predictions, ``[C, C]`` by true and predicted class; there is one group."""
    counts, _ = confusion_counts(
        model, inputs, torch.from_numpy(labels), torch.zeros(len(labels), dtype=torch.int64),
        n_groups=1, n_classes=CLASSES,
    )  # fmt: skip
    return counts[0]


def _pooled(row: dict[str, Any]) -> Counts:
    """Test counts of all clients in a round, ``[C, C]``; there is one group."""
    counts: Counts = np.sum([c["test_counts"] for c in row["clients"]], axis=0)[0]
    return counts


def _read(config: Config, name: str) -> dict[str, Any]:
    path = config.run_directory / "synthetic" / name
    return json.loads(path.read_text()) if path.is_file() else {}


def _images(config: Config, rounds: list[dict[str, Any]], which: str) -> int:
    """Images that were made for the run, or taken from the store."""
    files = ("clients.json", f"server-{config.arms[0].slug}.json")
    before = sum(int(_read(config, file).get(which, 0)) for file in files)
    return before + sum(int(row["loop"]["spent"][which]) for row in rounds if "loop" in row)


def _of_own_models(config: Config) -> dict[str, float | None]:
    """Of every client's own model on *all* test images: means over the clients.

    The clients' own test images hold only classes that they have, and would flatter their models.
    """
    arm, sites = config.arms[0], simulation_of(config)
    data, place = sites.data(split_of(arm)), sites.place(sites.study)
    rows = np.flatnonzero(data.table.test)
    inputs, labels = place.inputs(sites.images.table.images[rows]), data.table.labels[rows]
    lacking = data.train_cells().sum(2) == 0
    accuracies, recalls, missing = [], [], []
    for client, state in checkpoint.load(config.run_directory / "checkpoints" / f"{arm.slug}.npz"
                                         ).clients.items():  # fmt: skip
        model = place.model()
        kept = records_from_bytes(state).array_records[f"personal-{arm.slug}"]
        model.load_state_dict(kept.to_torch_state_dict())
        counts = _counts(model, inputs, labels)
        own = np.diag(counts) / np.maximum(1, counts.sum(1))
        accuracies.append(np.trace(counts) / counts.sum())
        recalls.append(own)
        missing.extend(own[lacking[client]])
    return {
        "accuracy": float(np.mean(accuracies)),
        "missing": float(np.mean(missing)),
        "worst_class": float(np.mean(recalls, axis=0).min()),
        "rounds_to_target": None,
    }
