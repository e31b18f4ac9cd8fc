"""The one value of which files, terminal and page of a system's run are made."""

import json
from pathlib import Path

import pytest

from evaluation import InputError, read_run, write_report
from evaluation.numbers import called, heading
from evaluation.results import (
    FILE,
    Column,
    Table,
    clients_called,
    markdown,
    read_results,
    system_of,
)
from evaluation.results_run import read_results_run
from tests.evaluation.systems import COUNTED, CURVE, clients, line, results, system_run

ROWS: dict[str, tuple[float | None, float | None]] = {"A": (0.5, 0.123456), "B": (None, 1.0)}


def test_how_cells_are_written() -> None:
    assert Column("", "share").text(0.1234) == "12.3"
    assert Column("", "loss").text(0.1234) == "0.12340"
    assert Column("", "mb", digits=2).text(1.5) == "1.50"
    assert Column("", "count").text(3) == "3"
    assert Column("", "share").text(None) == "–"
    assert Column("", "share").text(float("nan")) == "–"
    assert Column("", "share").text((0.5, 0.012)) == "50.0 ± 1.2"
    assert Column("", "share").text((0.5, None)) == "50.0"
    assert Column("", "text").text("north") == "north"


def test_columns_of_text_name_the_rows() -> None:
    table = Table((Column("a", "text"), Column("b", "text"), Column("c")), ())
    assert table.left == 2
    assert Table((Column("a", "text"),), ()).left == 1


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = results(
        ROWS, about=("One",), warnings=("Two",), remarks=("Three",), curves=(CURVE,),
        clients=clients(), counts=COUNTED, privacy=("Four",),
    )  # fmt: skip
    path = system_run(tmp_path / "run", made)
    assert read_results(path) == made
    content = json.loads((path / FILE).read_text())
    assert content["name"] == "demo"  # the system's own fields stand beside


def test_the_text(tmp_path: Path) -> None:
    made = results(ROWS, about=("One",), warnings=("Two",), remarks=("Three | four",))
    assert markdown(made).splitlines() == [
        "# demo: 4 peers, seed 0",
        "",
        "- One",
        "- **Two**",
        "",
        "| method | accuracy | loss | s |",
        "|---|---:|---:|---:|",
        "| A | 50.0 | 0.12346 | 1 |",
        "| B | – | 1.00000 | 1 |",
        "",
        "- Three | four",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "demo"}', "earlier version"),
        ("{oops", "is no file of results"),
        ("[]", "is no file of results"),
        ('{"report": {"name": 3}}', r"field 'report\.name'"),
    ],
)
def test_damaged_results_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = system_run(tmp_path / "run", results(ROWS))
    (path / FILE).write_text(text)
    with pytest.raises(InputError, match=said):
        read_results(path)


def test_a_run_under_way_has_none_yet(tmp_path: Path) -> None:
    path = system_run(tmp_path / "run", None, [line("A", 1)])
    with pytest.raises(InputError, match="has no results yet"):
        read_results(path)


def test_the_configuration_tells_the_system(tmp_path: Path) -> None:
    assert system_of(system_run(tmp_path / "run", None, system="zsl")) == "zsl"
    assert system_of(tmp_path) is None
    with pytest.raises(InputError, match=r"a run of \[zsl\] compares no arms"):
        read_run(tmp_path / "run")


def test_clients_have_the_names_of_the_federation_or_of_the_log(tmp_path: Path) -> None:
    rounds = [line("A", 1)]
    assert clients_called(tmp_path, rounds) == {0: "north", 1: "south"}
    (tmp_path / "federation.json").write_text('{"clients": ["east"]}')
    assert clients_called(tmp_path, rounds) == {0: "east", 1: "south"}
    assert [called("north"), called(3), called("3")] == ["north", "client 3", "client 3"]
    assert [heading("north"), heading("3")] == ["north", "Client 3"]


def test_the_page_of_a_finished_run(tmp_path: Path) -> None:
    made = results(
        ROWS, about=("Who holds <what>",), warnings=("Beware",), curves=(CURVE,),
        clients=clients(), privacy=("Every client sent updates.",),
    )  # fmt: skip
    path = system_run(tmp_path / "run", made, [line("A", n) for n in (1, 2, 3)])
    page = write_report(path).read_text("utf-8")
    assert "Who holds &lt;what&gt;" in page
    assert '<p class="alarm" role="alert">Beware</p>' in page
    for section in ("Results", "Learning", "Clients", "Communication and computation", "Failures"):
        assert f"<h2>{section}</h2>" in page
    assert '<th scope="row">north</th>' in page
    assert '<th scope="row">client 2</th>' in page
    assert "Client 0" not in page
    assert "client 0" not in page
    assert "3 client replies were errors" in page
    assert "<td>south</td><td>out of memory</td>" in page
    data = json.loads((path / "report.json").read_text())
    assert data["costs"]["rows"][0][6:8] == [4.5, 1.5]
    assert data["results"]["tables"][0]["rows"][1] == ["B", None, 1.0, 1.0]


def test_the_page_of_a_run_under_way(tmp_path: Path) -> None:
    path = system_run(tmp_path / "run", None, [line("A", 1)])
    page = write_report(path).read_text("utf-8")
    assert "The run is under way: its results come when it ends." in page
    assert "<h2>Results</h2>" not in page
    assert read_results_run(path).rounds == 3
    empty = system_run(tmp_path / "empty", None)
    assert "no round is over" in write_report(empty).read_text("utf-8")


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = system_run(tmp_path / "run", results(ROWS), [line("A", 1), line("A", 3)])
    with pytest.raises(InputError, match=r"rounds\.jsonl line 2: arm 'A' has round 3"):
        write_report(path)
