"""Rules, optimisers, debiasing and the probe in whole runs of the real apps."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairfed.config import Arm, Config
from fairfed.rounds import checkpoint
from fairfed.server import LogWatcher, checked
from fairfed.system import simulated_study
from fairfed.systems.classifier.probe import server_probe
from semantic.errors import InputError
from tests.fairfed.runs import play

Small = Callable[..., Config]

ARMS = """arms=[
  {name="FedAvg"},
  {name="AFL", rule="afl", options={gamma=0.3}, server_optimiser="fedadam"},
  {name="FedFB", rule="fedfb", options={alpha=2}},
  {name="Reweighing", debias="reweighing", proximal=0.1},
  {name="FairBatch", debias="fairbatch"},
  {name="Ditto", personal=0.5},
  {name="Alone", personal=0},
  {name="Probe", rule="fairfed", signal="probe", options={beta=1}},
]""".replace("\n", " ")


def rows(config: Config) -> dict[str, list[list[dict[str, Any]]]]:
    """Clients of every round by arm, without timings."""
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for line in (config.run_directory / "rounds.jsonl").read_text().splitlines():
        row = json.loads(line)
        for client in row["clients"]:
            del client["seconds"]
        found.setdefault(row["arm"], []).append(row["clients"])
    return found


class Interrupt(LogWatcher):
    """Ctrl-C after the first round of the arm with a server optimiser is safe."""

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if arm.name == "AFL" and row["round"] == 2:
            raise KeyboardInterrupt


def test_every_part_acts_in_a_run_and_survives_an_interruption(small: Small, tmp_path: Any) -> None:
    config = small(ARMS, f"out={tmp_path}/whole", "fairness.probe=2", "rounds=2")
    replies = play(config)
    assert {name for reply in replies for name in reply.content} == {"arrays", "metrics", "who"}
    told = [r.content.metric_records["metrics"] for r in replies if "metrics" in r.content]
    asked = [metrics for metrics in told if "received-loss" in metrics]
    assert len(asked) == 3 * 2  # three clients, two rounds, one arm that needs it
    found = rows(config)
    plain = [client["weight"] for client in found["FedAvg"][1]]
    assert plain == pytest.approx([1 / 3] * 3)
    for arm in ("AFL", "Probe"):
        assert [client["weight"] for client in found[arm][1]] != pytest.approx(plain)
        assert all(client["signal"] is not None for client in found[arm][1])
    # what clients are told takes effect in the second round, reweighing in the first
    assert [c["weight"] for c in found["FedFB"][1]] == pytest.approx(plain)
    losses = {arm: [[c["loss"] for c in clients] for clients in found[arm]] for arm in found}
    assert losses["FedFB"][0] == losses["FedAvg"][0]
    assert losses["FedFB"][1] != losses["FedAvg"][1]
    assert losses["Reweighing"][0] != losses["FedAvg"][0]
    assert losses["FairBatch"][0] != losses["FedAvg"][0]
    # Ditto's global model is FedAvg's; what is measured are the clients' own
    weights = [checkpoint.load(config.run_directory / "checkpoints" / f"{arm}.npz").arrays
               for arm in ("fedavg", "ditto")]  # fmt: skip
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])
    tests = {arm: [c["test_loss"] for c in found[arm][1]] for arm in found}
    assert len({tuple(tests[arm]) for arm in ("FedAvg", "Ditto", "Alone")}) == 3
    methods = json.loads((config.run_directory / "federation.json").read_text())["arms"]
    assert [arm["rule"] for arm in methods] == [
        "fedavg", "afl, fedadam", "fedfb", "fedavg, reweighing, proximal", "fedavg, fairbatch",
        "fedavg, ditto", "fedavg, ditto", "fairfed",
    ]  # fmt: skip

    cut = small(ARMS, f"out={tmp_path}/cut", "fairness.probe=2", "rounds=2")
    with pytest.raises(KeyboardInterrupt):
        play(cut, Interrupt())
    saved = checkpoint.load(cut.run_directory / "checkpoints" / "afl.npz")
    assert saved.round == 1
    assert any(name.startswith("optimiser/second/") for name in saved.strategy)
    play(cut)
    assert rows(cut) == found


def test_the_probe_is_balanced_and_counts_a_models_predictions(small: Small) -> None:
    study = checked(small("fairness.probe=3", 'arms=[{name="P", rule="fairfed", signal="probe"}]'))
    state = study.place.model().state_dict()
    arrays = {name: value.numpy() for name, value in state.items()}
    counts = server_probe(study)(arrays)
    assert counts.shape == (2, 3, 3)
    assert np.array_equal(counts.sum(axis=2), np.full((2, 3), 3))
    assert np.array_equal(server_probe(study)(arrays), counts)


def test_a_probe_that_curation_leaves_short_is_refused(small: Small) -> None:
    config = small("fairness.probe=2", "curation.margin=100", "curation.max_tries=1")
    with pytest.raises(InputError, match="probe set lacks images: curation left 0 of 2"):
        server_probe(simulated_study(config))
