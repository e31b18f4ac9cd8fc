"""What the report of a run says of fronts, costs, privacy, and a run that is watched."""

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import read_run, summarise, write_report
from evaluation.report.build import write_report as write
from evaluation.report.costs import costs, pareto
from evaluation.report.privacy import privacy_statement
from tests.evaluation.fixtures import ARMS, build_run


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fronts")
    return build_run(folder / "run", rounds=2, clients=3, arms=ARMS[:3])


def test_the_front_is_what_nothing_beats() -> None:
    places = {
        "even": (0.01, 0.7), "good": (0.1, 0.9), "beaten": (0.1, 0.8), "twin": (0.01, 0.7),
        "middle": (0.05, 0.8),
    }  # fmt: skip
    assert pareto(places) == ["even", "good", "twin", "middle"]
    assert pareto({"alone": (0.3, 0.1)}) == ["alone"]
    assert pareto({}) == []


def test_costs_are_sums_over_clients_and_rounds(path: Path) -> None:
    run = read_run(path)
    synthesis = {arm.name: arm.synthesis_seconds for arm in summarise(run, replicates=1)}
    found = costs(run.history, synthesis)
    assert [row[0] for row in found.rows] == [arm.name for arm in run.arms]
    first, third = (
        dict(zip((column.title for column in found.columns), row, strict=True))
        for row in (found.rows[0], found.rows[2])
    )
    entries = [entry for item in run.history["FedAvg"] for entry in item.clients]
    assert first["At clients"] == pytest.approx(sum(e.seconds for e in entries))
    assert first["Slowest client in a round, s"] == max(e.seconds for e in entries)
    up, down = (sum(getattr(e, way) for e in entries) / 1e6 for way in ("bytes_up", "bytes_down"))
    assert (first["MB up"], first["MB down"]) == pytest.approx((up, down))
    assert up == pytest.approx(2 * 3 * 0.438)
    assert first["MB per round"] == pytest.approx((up + down) / 2)
    assert first["Synthesis took"] is None
    assert third["Synthesis took"] == synthesis[third["Arm"]] > 0


def test_privacy_says_what_left_and_what_was_not_done(path: Path) -> None:
    run = read_run(path)
    text = " ".join(privacy_statement(run))
    assert "sent model updates" in text
    assert "how the model classifies its training and its test images" in text
    assert "Arms with the rule fairfed weigh" in text
    assert "shows real test images" in text
    assert "No noise was added to model updates" in text
    assert "columns" not in text
    other = replace(run, config_text="[privacy]\nepsilon = 2.0\ndelta = 1e-5\n", gallery=())
    text = " ".join(privacy_statement(other))
    assert "epsilon" not in text
    assert "shows real" not in text


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (("fedavg", "fedavg, adapt full", "fedavg, scaffold"), ""),
        (("fedavg, one-shot", "local", "centralised", "zero-shot", "synthetic"), ""),
        (("fedavg", "fairfed, adapt full", "fairfed", "qffl, ditto"), "fairfed or qffl"),
    ],
)
def test_privacy_names_the_rules_alone(path: Path, rules: tuple[str, ...], said: str) -> None:
    run = read_run(path)
    arms = tuple(replace(run.arms[0], name=str(i), rule=rule) for i, rule in enumerate(rules))
    text = " ".join(privacy_statement(replace(run, arms=arms)))
    assert (f"Arms with the rule {said} weigh" in text) if said else ("the rule" not in text)


def test_privacy_says_what_no_model_left(path: Path, tmp_path: Path) -> None:
    run = read_run(path)
    arms = tuple(replace(run.arms[0], name=rule, rule=rule) for rule in ("local", "zero-shot"))
    assert "Every client sent its mean losses" in privacy_statement(replace(run, arms=arms))[0]
    (tmp_path / "columns.json").write_text("{}")
    (tmp_path / "federation.json").write_text("{}")
    text = " ".join(privacy_statement(replace(run, path=tmp_path, unit="rows")))
    assert "frequent categories of its training rows" in text


def test_the_page_loads_itself_only_where_it_is_watched(path: Path) -> None:
    html = write_report(path).read_text("utf-8")
    assert 'http-equiv="refresh"' not in html
    for name in ("front", "cost", "privacy"):
        assert f'<section id="{name}">' in html
        assert f'href="#{name}"' in html
    watched = write(path, refresh=7).read_text("utf-8")
    assert '<meta http-equiv="refresh" content="7">' in watched
    assert "being watched" in watched
