"""The federated audit: what clients answer together is what the pooled rows give."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from flwr.app import Message

from evaluation.audit.from_counts import crossed_schema, dense_tally, run_tally
from evaluation.audit.tally import Tally
from evaluation.run import read_run
from fairfed.cli.audit_asking import audit_run
from fairfed.cli.audit_steps import audit_here
from fairfed.config import Config
from fairfed.config.audit import AuditConfig
from fairfed.rounds.arrays import encode
from fairfed.rounds.clients import QueryError
from fairfed.system import simulated_study, simulation_of
from fairfed.systems.classifier.auditing import AuditSettings, audit_clients
from tests.fairfed.runs import grid_of, place_of, play

Small = Callable[..., Config]


def _settings(config: Config, **changes: Any) -> AuditSettings:
    """An audit of a model whose weights are drawn at random."""
    study = simulated_study(config)
    state = study.place.model().state_dict()
    rng = np.random.default_rng(0)
    model = {
        name: rng.normal(0, 0.5, tuple(value.shape)).astype(np.float32) ** 2
        if value.dtype.is_floating_point
        else value.numpy()
        for name, value in state.items()
    }
    return AuditSettings(study.told, config.arms[0], encode(model), 3, **changes)


def _plain(tally: Tally) -> list[Any]:
    return [p and (p.keys.tolist(), p.values.tolist()) for p in (tally.confusion, tally.scores)]


def _pooled(config: Config, settings: AuditSettings) -> Tally:
    """The same from the test rows of all clients in one place, without any message."""
    from fairfed.models import class_probabilities

    data, place = simulation_of(config).images, place_of(config)
    rows = np.concatenate(data.test)
    model = place.model()
    model.load_state_dict(settings.model.to_torch_state_dict())
    found = class_probabilities(model, place.inputs(data.table.images[rows]), 3)
    table = data.table
    confusion = np.zeros((2, 3, 3), np.int64)
    np.add.at(confusion, (table.groups[rows], table.labels[rows], found.argmax(1)), 1)
    scores = np.zeros((2, 3, 2, settings.bins), np.int64)
    for c in range(3):
        at = np.minimum((found[:, c] * settings.bins).astype(int), settings.bins - 1)
        np.add.at(scores, (table.groups[rows], c, (table.labels[rows] == c) * 1, at), 1)
    schema = crossed_schema(table.classes, table.group_names, ("sex",), (), settings.bins)
    return dense_tally(
        schema, table.classes, table.group_names, {"all": confusion}, {"all": scores}
    )


def _without_clients(tally: Tally) -> Tally:
    """All clients' counts as those of one."""
    schema = replace(tally.schema, clients=("all",))
    assert tally.confusion is not None
    assert tally.scores is not None
    axes = range(1, len(tally.confusion.shape))
    confusion, scores = tally.confusion.marginal(axes), tally.scores.marginal(range(1, 5))
    return Tally(
        schema,
        replace(confusion, shape=(1, *confusion.shape)),
        replace(scores, shape=(1, *scores.shape)),
    )


@pytest.mark.parametrize("options", [{}, {"workers": 3, "wire": True}])
def test_clients_counts_add_up_to_those_of_the_pooled_rows(
    small: Small, options: dict[str, Any]
) -> None:
    config = small()
    settings = _settings(config, bins=16)
    with grid_of(config, **options) as grid:
        found = audit_clients(grid, settings, 60.0)
    assert found.tally.schema.clients == ("a", "b", "c")
    assert found.tally.n == 24
    assert len(found.releases) == 3
    pooled = _pooled(config, settings)
    assert _plain(_without_clients(found.tally)) == _plain(pooled)
    assert found.tally.counts(["sex"]) == pooled.counts(["sex"])
    confusion = found.tally.confusion
    assert confusion is not None
    assert confusion.rows[confusion.along(0) == found.tally.schema.clients.index("b")].sum() == 8


def test_clients_protect_their_own_counts(small: Small) -> None:
    config = small()
    settings = _settings(config, bins=4, epsilon=1.0, delta=1e-6)
    with grid_of(config) as grid:
        noised = audit_clients(grid, settings, 60.0)
        dropped = audit_clients(grid, _settings(config, min_cell=3), 60.0)
    assert {release.mechanism for release in noised.releases} == {"discrete gaussian"}
    assert noised.tally.confusion is not None
    assert len(noised.tally.confusion.keys) == 3 * 2 * 3 * 3
    assert noised.tally.confusion.values.min() < 0
    assert dropped.tally.confusion is not None
    assert dropped.tally.confusion.values.min() >= 3
    assert dropped.tally.n + sum(r.dropped_rows for r in dropped.releases) >= 24


def test_a_client_that_fails_ends_the_audit(small: Small) -> None:
    config = small()
    settings = _settings(config)

    def drop(message: Message, client: int) -> str | None:
        return "away" if client == 1 and message.metadata.message_type == "query.audit" else None

    with (
        grid_of(config, drop=drop) as grid,
        pytest.raises(QueryError, match="1 of 3 clients failed 'audit': client b: away"),
    ):
        audit_clients(grid, settings, 60.0)
    broken = {name: array.numpy() * np.nan for name, array in settings.model.items()}
    with (
        grid_of(config) as grid,
        pytest.raises(QueryError, match="scores are not finite"),
    ):
        audit_clients(grid, replace(settings, model=encode(broken), bins=4), 60.0)


def test_a_runs_counts_are_those_of_its_clients_asked_again(small: Small) -> None:
    config = small("rounds=1", "arms=[{name='FedAvg'}, {name='Own', personal=0.1}]")
    play(config)
    run = read_run(config.run_directory)
    for arm in ("FedAvg", "Own"):
        logged, notes = run_tally(run, arm)
        asked = audit_run(config.run_directory, arm, bins=8)
        assert logged.schema.axes[0].levels == ("f", "m")
        assert asked.tally.counts(["sex"]) == logged.counts(["sex"])
        assert asked.tally.scores is not None
        assert "round 1 of 1" in notes[0]


def test_asked_clients_use_the_model_of_the_arm(small: Small) -> None:
    """Also where an arm trains the tower that the configuration freezes."""
    arms = """arms=[
      {name="Head"}, {name="Full", adapt="full"}, {name="LoRA", adapt="lora"},
      {name="Bias", adapt="bias"}, {name="Prompt", adapt="prompt"},
      {name="Untrained", system="zero-shot"},
    ]""".replace("\n", " ")
    rates = "adapt.lr={ full = 0.05, bias = 0.5, lora = 0.5 }"
    config = small(arms, "model=clip", "adapt.method=head", "rounds=1", rates)
    play(config)
    run = read_run(config.run_directory)
    for arm in config.arms:
        logged, _ = run_tally(run, arm.name)
        asked = audit_run(config.run_directory, arm.name)
        assert asked.tally.counts(["sex"]) == logged.counts(["sex"]), arm.name


def test_crossed_groups_are_taken_apart() -> None:
    classes, groups = ("no", "yes"), ("f × old", "f × young", "m × young")
    schema = crossed_schema(classes, groups, ("sex", "age"), ("a",))
    assert [axis.levels for axis in schema.axes] == [("f", "m"), ("old", "young")]
    counts = np.arange(12).reshape(3, 2, 2)
    tally = dense_tally(schema, classes, groups, {"a": counts})
    assert tally.counts(["sex", "age"]).groups == groups
    assert np.array_equal(tally.counts(["sex", "age"]).values, counts)
    assert np.array_equal(tally.counts(["age"]).values[1], counts[1] + counts[2])
    single = crossed_schema(classes, ("a × b", "c"), ("sex",), ("a",))
    assert single.axes[0].levels == ("a × b", "c")
    assert crossed_schema(classes, ("all",), (), ("a",)).axes == ()
    assert crossed_schema(classes, ("r", "b"), (), ("a",)).axes[0].name == "group"


def test_classes_out_of_order_are_put_in_order() -> None:
    schema = crossed_schema(("c", "a", "b"), ("all",), (), ("x",))
    counts = np.arange(9).reshape(1, 3, 3)
    tally = dense_tally(schema, ("c", "a", "b"), ("all",), {"x": counts})
    assert schema.classes == ("a", "b", "c")
    assert tally.counts([]).values[0].tolist() == [[4, 5, 3], [7, 8, 6], [1, 2, 0]]


def test_run_without_a_measured_round_says_so(small: Small, tmp_path: Path) -> None:
    config = small("rounds=1", "arms=[{name='FedAvg'}]")
    play(config)
    (config.run_directory / "rounds.jsonl").write_text("")
    run = read_run(config.run_directory)
    with pytest.raises(ValueError, match="no round whose model was tested"):
        run_tally(run, "FedAvg")
    with pytest.raises(ValueError, match="no arm 'Fed'; there are: FedAvg"):
        run_tally(run, "Fed")


def test_every_arm_of_a_run_is_judged_and_reported(
    small: Small,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    config = small("rounds=1", "arms=[{name='FedAvg'}, {name='Fed + Fair', rule='fairfed'}]")
    play(config)
    options = {
        "data": (str(config.run_directory),),
        "replicates": 0,
        "min_group": 2,
        "junit": str(tmp_path / "junit.xml"),
    }
    assert audit_here(AuditConfig(**options, fail_on=("overall(accuracy) < 0",)))
    for arm in ("fedavg", "fed-fair"):
        assert (config.run_directory / "audit" / arm / "report.json").is_file()
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert len(list(suites.iter("testsuite"))) == 2
    assert len(list(suites.iter("testcase"))) == 2
    chosen = {**options, "arms": ("Fed + Fair",), "ask": True, "bins": 8}
    out = tmp_path / "asked"
    assert not audit_here(AuditConfig(**chosen, out=str(out), fail_on=("overall(accuracy) < 1.1",)))
    assert (out / "report.json").is_file()
    other = tmp_path / "other"
    shutil.copytree(config.run_directory, other)
    both = {**options, "data": (str(config.run_directory), str(other)), "out": str(tmp_path / "b")}
    assert audit_here(AuditConfig(**both))
    for name in (config.run_directory.name, "other"):
        assert (tmp_path / "b" / name / "fed-fair" / "report.json").is_file()
    said = capsys.readouterr().out
    assert "small, Fed + Fair" in said
    assert "were asked about the checkpoint's model" in said
    with pytest.raises(ValueError, match="no arm 'Fed'"):
        audit_here(AuditConfig(**{**options, "arms": ("Fed",)}))
