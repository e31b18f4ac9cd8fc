"""Whole runs under masks: the models of plain ones, and no message that holds a site's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from evaluation import read_run
from evaluation.report.privacy import privacy_statement
from fairfed.config import Config, parse_config
from fairfed.rounds import checkpoint
from fairfed.rounds.arrays import Model
from fairfed.server import checked
from semantic.errors import InputError
from tests.fairfed.runs import logged, people, play

SECURE = "privacy.secure_sum=true"


def _models(config: Config) -> dict[str, Model]:
    paths = sorted((config.run_directory / "checkpoints").glob("*.npz"))
    return {path.stem: dict(checkpoint.load(path).arrays) for path in paths}


def _near(one: dict[str, Model], other: dict[str, Model]) -> bool:
    assert one.keys() == other.keys()
    pairs = ((one[arm][name], other[arm][name]) for arm in one for name in one[arm])
    return all(np.allclose(a, b, rtol=0, atol=1e-6) for a, b in pairs)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A finished run without masks."""
    config = people(tmp_path_factory.mktemp("plain"))
    play(config)
    return config


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, list[Message]]:
    """The same with masks, and every reply in it."""
    config = people(tmp_path_factory.mktemp("secure"), SECURE)
    return config, play(config, wire=True)


def test_the_models_are_those_of_a_plain_run(
    plain: Config, secure: tuple[Config, list[Message]]
) -> None:
    assert _near(_models(plain), _models(secure[0]))
    for one, other in zip(logged(plain), logged(secure[0]), strict=True):
        weights = [[row["weight"] for row in line["clients"]] for line in (one, other)]
        assert np.allclose(*weights, atol=1e-6)


def test_no_reply_holds_a_model(secure: tuple[Config, list[Message]]) -> None:
    kinds: dict[str, int] = {}
    for reply in secure[1]:
        kind = reply.metadata.message_type
        kinds[kind] = kinds.get(kind, 0) + 1
        arrays = [a for record in reply.content.array_records.values() for a in record.values()]
        assert bool(arrays) == (kind == "query.mask")
        assert all(array.dtype == "uint64" for array in arrays)
    assert kinds["train"] == kinds["query.share"] == kinds["query.mask"] == kinds["query.open"]


def test_the_report_says_what_the_server_learnt(secure: tuple[Config, list[Message]]) -> None:
    said = " ".join(privacy_statement(read_run(secure[0].run_directory)))
    assert "model updates under masks that cancel in the sum over all clients" in said
    assert "client by client, but for the updates" in said


def _dropping(kind: str, client: int, number: int) -> Any:
    def drop(request: Message, partition: int) -> str | None:
        sent = request.content.config_records["config"]
        lost = request.metadata.message_type == kind and partition == client
        return "out of order" if lost and sent.get("round") == number else None

    return drop


@pytest.mark.parametrize("kind", ["query.share", "query.mask", "query.open"])
def test_a_site_that_is_lost_on_the_way_costs_its_summand_alone(tmp_path: Path, kind: str) -> None:
    few = "arms=[{name='FedAvg'}]", "rounds=1"
    lost = people(tmp_path / "lost", SECURE, "privacy.threshold=0.5", *few)
    play(lost, drop=_dropping(kind, 1, 1))
    without = people(tmp_path / "without", *few)
    # Its weights are known when the opening begins, so that one lost there is still in the sum.
    play(without, drop=None if kind == "query.open" else _dropping("train", 1, 1))
    assert _near(_models(lost), _models(without))
    (line,) = logged(lost)
    assert line["clients"][1]["error"] == "sum: out of order"
    assert (line["clients"][1]["weight"] > 0) == (kind == "query.open")


def test_with_too_few_left_the_old_model_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = people(tmp_path, SECURE, "arms=[{name='FedAvg'}]")
    play(config, drop=_dropping("query.mask", 1, 1))
    first, second = logged(config)
    n = len(first["clients"])
    assert f"round 1: no sum: {n - 1} of {n} sites are left, and {n} must be" in caplog.text
    assert all(row["weight"] == 0 for row in first["clients"])
    assert sum(row["weight"] for row in second["clients"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("rule='fedmgda'", "rule 'fedmgda' reads the clients' models one by one"),
        ("aggregator='median'", "aggregator 'median' reads the clients' models one by one"),
        ("control_variates=true", "has control_variates, which needs what each client sends"),
    ],
)
def test_what_needs_each_model_is_refused(tmp_path: Path, override: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        checked(people(tmp_path, SECURE, f"arms=[{{name='A', {override}}}]"))


def test_a_system_that_cannot_be_summed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"privacy.secure_sum: is of classifiers and of \[heads\]"):
        parse_config("[zsl]\n[privacy]\nsecure_sum = true\n", "zsl.toml")
