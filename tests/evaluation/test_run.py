"""Reading a run directory: finished, under way, malformed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import InputError, read_run
from evaluation.run import read_rounds
from tests.evaluation.fixtures import TINTS, build_run

SMALL = [{"name": "FedAvg", "rule": "fedavg"}, {"name": "FairFed", "rule": "fairfed"}]


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return build_run(tmp_path / "run", clients=3, rounds=2, arms=SMALL)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_line(run_dir: Path, line: int, **changes: Any) -> None:
    path = run_dir / "rounds.jsonl"
    lines = path.read_text().splitlines()
    lines[line] = json.dumps({**json.loads(lines[line]), **changes})
    path.write_text("\n".join(lines) + "\n")


def test_a_finished_run(tmp_path: Path) -> None:
    run = read_run(build_run(tmp_path / "run"))
    assert (run.name, run.seed, run.rounds, run.engine) == ("demo", 7, 12, "inprocess")
    assert [len(rounds) for rounds in run.history.values()] == [12] * 5
    assert run.splits["main"].train.shape == (10, 10, 4)
    assert run.groups == TINTS
    assert run.has_groups
    assert run.baseline is run.arms[0]
    assert run.arms[4].reference
    failed = run.history["FedAvg + synthetic"][4].clients[7]
    assert failed.error == "ValueError: the client ran out of memory"
    assert failed.test_counts is None
    pooled = run.history["FedAvg"][0].pooled()
    assert pooled is not None
    assert pooled.sum() == run.splits["main"].test.sum()
    assert run.synthesis is not None
    assert run.synthesis.clients[0].requested.shape == (10, 4)
    assert run.gallery[0].synthetic[0].file.is_file()
    assert "labels_per_client = 2" in run.config_text
    assert run.notes == ()


def test_a_run_without_rounds_or_synthesis(run_dir: Path) -> None:
    (run_dir / "rounds.jsonl").unlink()
    run = read_run(run_dir)
    assert run.history == {"FedAvg": (), "FairFed": ()}
    assert run.notes == ("rounds.jsonl does not exist yet: no round is over.",)
    assert run.synthesis is None
    assert run.gallery == ()
    assert run.final_round(run.arms[0]) is None


def test_a_line_that_is_being_written_is_left_out(run_dir: Path) -> None:
    path = run_dir / "rounds.jsonl"
    text = path.read_text()
    path.write_text(text[: len(text) - 40])
    run = read_run(run_dir)
    assert len(run.history["FedAvg"]) == 2
    assert len(run.history["FairFed"]) == 1
    assert run.notes == (
        "rounds.jsonl line 4 is cut short and was left out: the run is under way.",
    )


def test_a_broken_line_before_the_last_is_an_error(run_dir: Path) -> None:
    path = run_dir / "rounds.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "{oops\n" + lines[1])
    with pytest.raises(InputError, match=r"rounds\.jsonl line 2: is no JSON"):
        read_run(run_dir)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arm": "Other"}, r"line 2: field 'arm': expected one of"),
        ({"round": 5}, r"line 2: arm 'FedAvg' has round 5, expected round 2"),
        ({"round": "2"}, r"line 2: field 'round': expected an integer, got 2"),
        ({"clients": 3}, r"line 2: field 'clients': expected a list"),
        (
            {"clients": [{"client": 3}]},
            r"clients\[0\]: field 'client': expected an index in 0\.\.2",
        ),
        ({"clients": [{"client": 0}, {"client": 0}]}, r"expected each client once"),
        ({"clients": [{"client": 0, "weight": "x"}]}, r"field 'weight': expected a number"),
        ({"clients": [{"client": 0, "n_real": True}]}, r"field 'n_real': expected an integer"),
        ({"clients": [{"client": 0, "test_counts": [[1]]}]}, r"counts of shape \[4, 10, 10\]"),
        ({"clients": [{"client": 0, "test_counts": [[1], [1, 2]]}]}, r"got ragged lists"),
    ],
)
def test_a_wrong_round_names_line_and_field(
    run_dir: Path, changes: dict[str, Any], message: str
) -> None:
    edit_line(run_dir, 1, **changes)
    with pytest.raises(InputError, match=message):
        read_run(run_dir)


def test_null_is_as_if_nothing_was_said(run_dir: Path) -> None:
    given = {"client": 0, "error": None, "n_real": None, "seconds": None, "loss": float("nan")}
    edit_line(run_dir, 1, clients=[given], seconds=None, more="a later version's")
    line = read_run(run_dir).history["FedAvg"][1]
    (client,) = line.clients
    assert (line.seconds, client.seconds, client.n_real, client.weight) == (0, 0, 0, None)
    assert client.loss is not None
    assert np.isnan(client.loss)


def test_rounds_are_read_without_a_plan(run_dir: Path) -> None:
    """Of other systems: the lines alone say which arms there are, and no counts are read."""
    far = {"client": 7, "name": "north", "test_counts": 3}
    edit_line(run_dir, 1, arm="Other", round=1, clients=[far])
    history, notes = read_rounds(run_dir / "rounds.jsonl", None, None)
    assert notes == ()
    assert list(history) == ["FedAvg", "Other", "FairFed"]
    (client,) = history["Other"][0].clients
    assert (client.client, client.name, client.test_counts) == (7, "north", None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": []}, r"federation\.json: field 'classes': expected a list of names"),
        ({"groups": ["a", "a"]}, r"field 'groups': expected names that are unique"),
        ({"arms": []}, r"field 'arms': expected at least one arm"),
        ({"arms": [*SMALL, {"name": "x"}]}, r"arms\[0\]: field 'split' is missing"),
        ({"arms": [{**SMALL[0], "split": "no"}]}, r"field 'split': expected one of"),
        ({"arms": [{**SMALL[0], "split": "main"}] * 2}, r"a name no other arm has"),
        ({"arms": [{**SMALL[0], "split": "main", "augment": 1}]}, r"expected true or false"),
        ({"splits": {"main": {"train": [[1]], "test": []}}}, r"splits\.main: field 'train'"),
        ({"seed": None}, r"field 'seed': expected an integer, got null"),
    ],
)
def test_a_wrong_federation_names_the_field(
    run_dir: Path, changes: dict[str, Any], message: str
) -> None:
    edit(run_dir / "federation.json", **changes)
    with pytest.raises(InputError, match=message):
        read_run(run_dir)


def test_missing_files_are_named(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: is no directory"):
        read_run(tmp_path / "nowhere")
    (run_dir / "config.toml").unlink()
    with pytest.raises(InputError, match=r"config\.toml: cannot be read"):
        read_run(run_dir)
    (run_dir / "federation.json").write_text("{\n\nx")
    with pytest.raises(InputError, match=r"federation\.json line 3: is no JSON"):
        read_run(run_dir)
    (run_dir / "federation.json").write_text("[]")
    with pytest.raises(InputError, match="expected an object, got list"):
        read_run(run_dir)
    (run_dir / "federation.json").unlink()
    with pytest.raises(InputError, match=r"federation\.json: cannot be read"):
        read_run(run_dir)


def test_what_generators_know_is_said_and_what_not_is_a_warning(run_dir: Path) -> None:
    (run_dir / "synthetic").mkdir()
    cells = np.zeros((10, 4), int).tolist()
    own: list[dict[str, str]] = [
        {"Bag": "knows", "Coat": "knows partly", "tint": "knows"},
        {"Bag": "knows", "Coat": "does not know"},
        {},
    ]
    clients = [
        {"client": i, "requested": cells, "accepted": cells, "rejected": {}, "known": known}
        for i, known in enumerate(own)
    ]
    (run_dir / "synthetic" / "clients.json").write_text(json.dumps({"clients": clients}))
    run = read_run(run_dir)
    assert "The generator knows: Bag, tint." in run.notes
    assert "The generator knows partly: Coat (at 0)." in run.notes
    (warning,) = run.warnings
    assert warning.startswith("The generator does not know: Coat (at 1). ")


def test_wrong_synthesis_and_gallery(run_dir: Path) -> None:
    folder = run_dir / "synthetic"
    folder.mkdir()
    client = {"client": 0, "requested": np.zeros((10, 4), int).tolist(), "rejected": {}}
    (folder / "clients.json").write_text(json.dumps({"clients": [client]}))
    with pytest.raises(
        InputError, match=r"clients\.json, clients\[0\]: field 'accepted' is missing"
    ):
        read_run(run_dir)
    (folder / "clients.json").unlink()
    cell = {"class": "Hat", "group": "red", "real": [], "synthetic": []}
    (folder / "gallery.json").write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(InputError, match="field 'class': expected one of"):
        read_run(run_dir)
    cell = {"class": "Bag", "group": "red", "real": ["../../secret.png"], "synthetic": []}
    (folder / "gallery.json").write_text(json.dumps({"cells": [cell]}))
    with pytest.raises(InputError, match="lies outside the run directory"):
        read_run(run_dir)
