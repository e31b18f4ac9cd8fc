"""Which privacy budgets the report of a run names: those that the run spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evaluation import read_run
from evaluation.records import Arm, Run
from evaluation.report.privacy import NOISED, privacy_statement
from fairfed.config import Config, parse_config
from tests.evaluation.fixtures import ARMS, build_run

NO_NOISE = "No noise was added to model updates, losses and counts"
SHARED = "[shared]\nepsilon = 2.5\ncentre = {}\nimage_clients = 2\ntext_clients = 0\n"
PEERS = "[peers]\nepsilon = 1.5\nseeded_noise = {}\n"
ONE_SHOT = "[conditioning]\nepsilon = 3.0\n[[arms]]\nname = 'Once'\nsystem = 'one-shot'\n"
PROTOTYPES = (
    "[conditioning]\nepsilon = 2.0\n"
    "[[arms]]\nname = 'By prototype'\naugment = true\nconditioning = 'prototype'\n"
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("statement")
    return read_run(build_run(folder / "run", rounds=1, clients=2, arms=ARMS[:2], gallery=False))


def _statement(drawn: Run, config: Config) -> str:
    """What the report says of a run of a configuration."""
    arms = tuple(Arm(arm.name, arm.method, "main", arm.augment) for arm in config.arms)
    return " ".join(privacy_statement(replace(drawn, arms=arms, config_text=config.to_toml())))


@pytest.mark.parametrize(
    "text",
    ["", "[[arms]]\nname = 'Fair'\nrule = 'fairfed'\n", SHARED.format("false"),
     PEERS.format("true")],
)  # fmt: skip
def test_a_budget_that_nothing_spends_is_not_named(drawn: Run, text: str) -> None:
    config = parse_config(text, "x.toml") if text else Config()
    assert "epsilon" in config.to_toml()
    said = _statement(drawn, config)
    assert "epsilon" not in said
    assert "ifferential privacy" not in said
    assert NO_NOISE in said


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        (ONE_SHOT, "conditioning.epsilon = 3 and conditioning.delta = 1e-05."),
        (PROTOTYPES, "conditioning.epsilon = 2 and conditioning.delta = 1e-05."),
        (SHARED.format("true"), "shared.epsilon = 2.5 and shared.delta = 1e-05."),
        (PEERS.format("false"), "peers.epsilon = 1.5 and peers.delta = 1e-05."),
    ],
)
def test_a_budget_that_was_spent_is_named_alone(drawn: Run, text: str, budget: str) -> None:
    said = _statement(drawn, parse_config(text, "x.toml"))
    assert f"differential privacy with {budget}" in said
    assert said.count("epsilon") == 1
    assert NO_NOISE in said


def test_every_section_with_a_budget_is_known() -> None:
    """A new one must be told of in the statement."""
    with_budget = {
        name
        for text in (SHARED.format("true"), PEERS.format("false"))
        for name in Config.model_fields
        if "epsilon"
        in getattr(type(getattr(parse_config(text, "x.toml"), name)), "model_fields", {})
    }
    assert with_budget == set(NOISED)
