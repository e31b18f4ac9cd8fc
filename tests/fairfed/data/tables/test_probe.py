"""The rows that the server keeps of a table, and arms that are steered by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from evaluation import get_metric
from fairfed.config import Config, parse_config
from fairfed.data.tables import load_rows
from fairfed.data.tables.table import FeatureTable
from fairfed.server import checked
from fairfed.system import simulated_study
from fairfed.systems.classifier.probe import server_probe, validation_rows
from semantic.errors import InputError
from tests.fairfed.runs import logged, play

Tabular = Callable[..., Config]

SERVER = 'fairness.probe_source="validation"'
VALIDATED = "data.table.measure=validation"


def test_the_server_has_fair_fates_validation_rows(
    load: Callable[..., FeatureTable], people: pd.DataFrame
) -> None:
    _, rest = train_test_split(np.arange(len(people)), test_size=0.4, random_state=10)
    _, validation = train_test_split(rest, test_size=0.5, random_state=10)
    table = load("data.table.split_seed=10", SERVER)
    assert set(np.flatnonzero(table.server)) == set(validation)
    assert not (table.server & table.measured).any()
    assert (table.measured == load("data.table.split_seed=10").measured).all()
    assert not load("data.table.split_seed=10").server.any()


def test_what_steers_does_not_choose(load: Callable[..., FeatureTable]) -> None:
    whole, halved = load(VALIDATED), load(VALIDATED, SERVER)
    assert halved.server.sum() == halved.measured.sum() == 24
    assert ((halved.server | halved.measured) == whole.measured).all()
    assert (load(VALIDATED, SERVER).server == halved.server).all()
    assert (halved.test == whole.test).all()


def test_no_client_has_a_row_of_the_server(tabular: Tabular) -> None:
    for measure in ("test", "validation"):
        data = load_rows(tabular(f"data.table.measure={measure}", SERVER))
        server = np.flatnonzero(data.table.server)
        assert server.size
        assert not np.isin(server, np.concatenate([*data.train, *data.test])).any()


def test_the_probe_counts_predictions_on_the_servers_rows(tabular: Tabular) -> None:
    known = (
        'data.table.numeric=["income"]', "data.table.categorical=[]",
        "data.table.moments={income=[30, 10]}",
    )  # fmt: skip
    config = tabular(*known, SERVER, "model=logistic")
    table, study = load_rows(config).table, simulated_study(config)
    arrays = {name: a.numpy() for name, a in study.place.model().state_dict().items()}
    (weight,) = (name for name, array in arrays.items() if array.ndim == 2)
    arrays[weight][:] = 1.0  # says yes above an income of 30
    counts = server_probe(study)(arrays)
    expected = np.zeros((2, 2, 2), np.int64)
    for row in np.flatnonzero(table.server):
        said = int(table.features["income"].iloc[row] > 30)
        expected[table.groups[row], table.labels[row], said] += 1
    assert np.array_equal(counts, expected)
    assert validation_rows(study)[1].tolist() == np.flatnonzero(table.server).tolist()


def test_a_table_is_steered_by_the_configuration_alone(tabular: Tabular) -> None:
    arms = """arms=[{name="FAIR-FATE", rule="fair-fate"},
                    {name="Probe", rule="fairfed", signal="probe", options={beta=1}}]"""
    config = tabular(arms.replace("\n", " "), SERVER)
    rows = _run(config)
    assert len(rows) == 4
    for row in rows:
        assert sum(np.sum(client["test_counts"]) for client in row["clients"]) == 48
        assert all(0 <= client["signal"] <= 1 for client in row["clients"])
    weights = [[client["weight"] for client in row["clients"]] for row in rows]
    n = np.array([client["n_real"] for client in rows[0]["clients"]])
    assert all(w != pytest.approx(n / n.sum()) for w in weights)


def test_the_logged_signal_is_the_metric_on_the_servers_rows(tabular: Tabular) -> None:
    from fairfed.rounds import checkpoint

    columns = {"data.table.numeric": '["income"]', "data.table.categorical": "[]",
               "data.table.moments": "{income=[30, 10]}"}  # fmt: skip
    known = [f"{name}={value}" for name, value in columns.items()]
    # One client: the model that it trained is the next global one.
    one = ("partition.name=iid", "partition.clients=1")
    arms = 'arms=[{name="P", rule="fairfed", signal="probe"}]'
    config = tabular(*known, *one, arms, SERVER, "model=logistic", "rounds=1")
    (row,) = _run(config)
    trained = checkpoint.load(config.run_directory / "checkpoints" / "p.npz").arrays
    counts = server_probe(simulated_study(config))(trained)
    expected = get_metric("equalized_odds_difference")(counts)
    assert row["clients"][0]["signal"] == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), "rule 'fair-fate' .* synthetic images, .* set fairness.probe_source = 'validation'"),
        (("fairness.probe=5",), "synthetic images, which a table has not"),
        ((SERVER, "data.table.validation=0"), "set data.table.validation above 0"),
        ((SERVER, "data.table.validation=0.003"), "is undefined on the server's 1 validation rows"),
        (
            (SERVER, "data.table.validation=0.001", VALIDATED),
            "too few rows to divide into training, test and validation",
        ),
    ],
)
def test_a_table_without_rows_for_the_server_is_refused(
    tabular: Tabular, overrides: tuple[str, ...], message: str
) -> None:
    config = tabular('arms=[{name="A", rule="fair-fate"}]', *overrides)
    with pytest.raises(InputError, match=message):
        checked(config)


def test_images_have_no_validation_rows() -> None:
    config = parse_config('arms = [{ name = "A", signal = "probe" }]', "x", [SERVER])
    with pytest.raises(InputError, match="arm 'A': .* of a table, and the data are images"):
        checked(config)


def _run(config: Config) -> list[dict[str, Any]]:
    """The lines of the log."""
    checked(config)
    play(config)
    return logged(config)
