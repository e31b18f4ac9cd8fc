"""Real sites: the bits of the simulation, a server that cannot read them, what they refuse."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairfed.config import Config, load_config
from fairfed.config.site import load_site
from fairfed.errors import RunError
from fairfed.server import run
from fairfed.sites.collection import StudyReader
from fairfed.system import simulation_of
from semantic.errors import InputError
from tests.fairfed import golden
from tests.fairfed.conftest import CLIENTS
from tests.fairfed.runs import logged, run_of
from tests.fairfed.sites.conftest import Hospitals, play_here, study

Small = Callable[..., Config]


@pytest.fixture
def blind(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """From its call on, this process cannot open anything below the sites' folders."""
    forbidden: list[str] = []

    def refuse(event: str, args: tuple[Any, ...]) -> None:
        if forbidden and event in ("open", "os.listdir", "os.scandir") and args:
            path = args[0]
            if isinstance(path, str | Path) and str(path).startswith(forbidden[0]):
                raise PermissionError(f"{path} belongs to a site")

    sys.addaudithook(refuse)
    yield lambda: forbidden.append(str(tmp_path / "sites"))
    forbidden.clear()


def test_sites_end_with_the_bits_of_the_simulation_that_their_data_are_cut_from(
    small: Small, hospitals: Hospitals, blind: Callable[[], None], tmp_path: Path
) -> None:
    settings = "synthesis.share=false", "data.classes=['bag', 'dress', 'coat']"
    simulated = small(*settings, f"out={tmp_path}/simulated")
    kept = tuple(arm for arm in simulated.arms if not arm.iid)
    simulated = simulated.model_copy(update={"arms": kept})
    run_of(simulated)
    real, sites = study(simulated, tmp_path / "real"), hospitals()
    blind()
    run(real, sites=sites, report=False)
    assert golden.digests(tmp_path / "real") == golden.digests(tmp_path / "simulated")
    assert {c["name"] for row in logged(real) for c in row["clients"]} == set(CLIENTS)
    told = json.loads((tmp_path / "real" / "federation.json").read_text())
    assert told["clients"] == list(CLIENTS)


def test_the_server_cannot_read_a_site_in_that_test(
    hospitals: Hospitals, blind: Callable[[], None], tmp_path: Path
) -> None:
    hospitals()
    blind()
    with pytest.raises(PermissionError, match="belongs to a site"):
        (tmp_path / "sites" / "a" / "site.toml").read_text()


@pytest.mark.parametrize(
    ("extra", "home"),
    [
        ('[policy]\nactions = ["describe", "evaluate"]\n', "policy.actions: the study asks"),
        ("[policy]\nmax_rounds = 1\n", "policy.max_rounds: the study has 2 rounds"),
        ("[policy]\nmax_synthetic = 1\n", "policy.max_synthetic"),
    ],
)
def test_a_site_refuses_at_home_in_words_and_abroad_by_its_kind(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    extra: str,
    home: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = study(small(), tmp_path / "real")
    with pytest.raises(RunError) as refused:
        play_here(real, hospitals(b=extra))
    assert "InputError at client" in str(refused.value)
    assert home not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
    assert home in caplog.text


def test_what_leaves_a_site_is_on_its_ledger(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    plain = [arm for arm in small().arms if arm.name == "FedAvg"]
    real = study(small().model_copy(update={"arms": tuple(plain)}), tmp_path / "real")
    play_here(real, hospitals())
    ledger = (tmp_path / "sites" / "a" / "state" / "ledger.jsonl").read_text()
    lines = [json.loads(line) for line in ledger.splitlines()]
    assert [line["asked"] for line in lines] == [
        "query.describe", "query.describe", "train", "evaluate", "train", "evaluate",
    ]  # fmt: skip
    assert all(line["study"] == real.name for line in lines[1:])
    assert lines[2]["bytes"] > 0
    assert lines[2]["records"]["metrics"]["holds"]["counts"] == 2 * 3 * 3
    assert lines[2]["records"]["arrays"]["kind"] == "arrays"


def test_a_study_that_names_a_place_is_refused(small: Small) -> None:
    told = json.loads(simulation_of(small()).study.to_json())
    told["data"] = {"source": "/etc"}
    with pytest.raises(InputError, match="this site does not take: data: Extra inputs"):
        StudyReader()(json.dumps(told))


def test_the_example_hospitals_train_together(blind: Callable[[], None], tmp_path: Path) -> None:
    folder = tmp_path / "sites"
    runpy.run_path("examples/hospitals/make_hospitals.py")["main"](folder)
    config = load_config(
        folder / "study.toml", ["rounds=1", 'arms=[{name="FedAvg"}]', f"out={tmp_path}/run"]
    )
    sites = [load_site(folder / name / "site.toml") for name in ("north", "south", "west")]
    blind()
    run(config, sites=sites)
    told = json.loads((tmp_path / "run" / "federation.json").read_text())
    assert told["clients"] == ["north", "south", "west"]
    assert told["classes"] == ["Sandal", "Sneaker", "Bag", "Ankle boot"]
    train = told["splits"]["main"]["train"]
    assert all(count == 0 for count in train[2][2])  # west has no bags
    assert all(cell[-1] == sum(cell) for cell in train[0])  # north knows no tint
    assert None in train[1][0]  # south does not say small counts
    (line,) = logged(config)
    assert [client["error"] for client in line["clients"]] == [None] * 3
    assert (tmp_path / "run" / "report.html").is_file()
