"""Parts of the user's own, as CONTRIBUTING.md shows them: one of each sort in a run."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from evaluation.results import read_results
from fairfed.cli.reporting import app as reporting
from fairfed.config import Config, parse_config
from fairfed.config.classifiers import MODELS
from fairfed.config.systems import MESSAGES, OWN_SYSTEM
from fairfed.data import load_images
from fairfed.data.tables import load_table
from fairfed.errors import RunError
from fairfed.models import MODEL_NAMES, build_model
from fairfed.server import checked
from fairfed.sites.local_data import load_site_data
from semantic.errors import InputError
from tests.fairfed.conftest import CLIENTS
from tests.fairfed.runs import logged, place_of, run_of
from tests.fairfed.sites.conftest import Hospitals, play_here, study

Small = Callable[..., Config]

GUIDE = Path(__file__).parents[2] / "CONTRIBUTING.md"
RECIPES: dict[str, str] = dict(
    re.findall(r"```python\n# (my_\w+)\.py\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)
)
MISTAKES = """
import pandas as pd
from torch import nn


def rows(data):
    return pd.DataFrame({"age": range(40), "label": ["no", "yes"] * 20})


def features(num_classes, shape):
    return nn.Linear(shape[0], num_classes)


def nothing(*anything):
    return None


def wide(num_classes, shape):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes + 1))


class System:
    pass


started = System()
"""
OWN_MODEL, OWN_SYSTEM_NAME = "my_model:two_layers", "my_system:brightness"
PLAIN = 'arms=[{name="FedAvg"}]'
INVERTED = 'arms=[{name="I", inversion="server"}]', "inversion.start=2"


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipes, each in a module that Python finds."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in {**RECIPES, "my_mistakes": MISTAKES}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def archive(image_folder: Path, tmp_path: Path) -> str:
    """Settings of the small federation's images in one file that only `my_source` reads."""
    with (image_folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = np.stack([np.asarray(Image.open(image_folder / row["file_name"])) for row in rows])
    columns = {name: [row[name] for row in rows] for name in ("label", "sex", "site", "split")}
    np.savez(
        tmp_path / "pictures.npz", images=images, **{k: np.array(v) for k, v in columns.items()}
    )
    return f'data.source="my_source:archive" data.directory="{tmp_path}"'


def test_the_guide_shows_one_of_each() -> None:
    assert RECIPES.keys() == {"my_rule", "my_generator", "my_source", "my_model", "my_system"}


def test_a_run_with_a_source_a_classifier_a_rule_and_a_generator_of_ones_own(
    small: Small, archive: str
) -> None:
    arm = '{name="Own", rule="my_rule:Cautious", signal="loss", augment=true}'
    config = small(
        *archive.split(), f"model={OWN_MODEL}", "generator.model=my_generator:Stripes",
        f"arms=[{arm}]",
    )  # fmt: skip
    checked(config)
    folder = run_of(config)
    last = logged(config)[-1]
    assert last["round"] == 2
    assert [client["weight"] for client in last["clients"]] == pytest.approx([1 / 3] * 3)
    made = json.loads((folder / "synthetic" / "clients.json").read_text())
    assert made["generated"] > 0
    assert (folder / "report.html").is_file()


def test_a_source_of_ones_own_gives_what_the_folder_gives(small: Small, archive: str) -> None:
    own, folder = load_images(small(*archive.split())), load_images(small())
    assert np.array_equal(own.images, folder.images)
    assert (own.classes, own.clients) == (folder.classes, folder.clients)
    assert np.array_equal(own.test, folder.test)


def test_a_source_of_ones_own_at_a_site(
    small: Small, archive: str, hospitals: Hospitals, tmp_path: Path
) -> None:
    site = hospitals()[0]
    own = {"source": "my_source:archive", "directory": str(tmp_path), "label": "label"}
    data = site.data.model_copy(update={**own, "labels": {}, "sensitive": {"sex": "sex"}})
    labels = study(small(PLAIN), tmp_path / "real").federation
    assert labels is not None
    table, report = load_site_data(site.model_copy(update={"data": data}), labels, 0)
    assert (len(table), report.read) == (96, 96)


def test_a_table_and_its_classifier_of_ones_own(tmp_path: Path) -> None:
    text = f"""
out = "{tmp_path}/run"
rounds = 1
model = "my_mistakes:features"
[data]
source = "my_mistakes:rows"
kind = "table"
sensitive = []
[partition]
name = "iid"
clients = 2
[[arms]]
name = "FedAvg"
"""
    config = parse_config(text, "table.toml")
    assert list(load_table(config).features.columns) == ["age"]
    checked(config)
    run_of(config)
    assert len(logged(config)) == 1


def test_a_classifier_of_ones_own_is_seeded(small: Small) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_model(OWN_MODEL, 3, 16, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    again = build_model(OWN_MODEL, 3, 16, seed=5).state_dict()
    other = build_model(OWN_MODEL, 3, 16, seed=6).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["1.weight"], other["1.weight"])
    place = place_of(small(f"model={OWN_MODEL}"))
    one, two = place.model(), place.model()
    torch.nn.init.zeros_(one[1].weight)  # type: ignore[index]
    assert two[1].weight.any()  # type: ignore[index]


def test_a_system_of_ones_own_and_its_report(small: Small) -> None:
    config = small(PLAIN, f"system={OWN_SYSTEM_NAME}")
    checked(config)
    folder = run_of(config)
    (table,) = read_results(folder).tables
    assert [name for name, _ in table.rows] == list(CLIENTS)
    assert all(0 < float(str(value)) < 255 for _, value in table.rows)
    (folder / "report.html").unlink()
    answer = CliRunner().invoke(reporting, [str(folder)])
    assert answer.exit_code == 0, answer.output
    assert "brightness" in answer.output
    assert "brightness" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["data.source=no_such:rows"], "data.source 'no_such:rows': No module named 'no_such'"),
        (["data.source=my_source:rows"], "module 'my_source' has no function 'rows'"),
        (["data.source=my_source:InputError.x"], "no directory 'my_source:InputError.x'"),
        (["data.source=my_mistakes:started"], "it is no function, but <my_mistakes"),
        (["data.source=my_mistakes:nothing"], "'my_mistakes:nothing' returned builtins.NoneType"),
        (["data.source=my_mistakes:rows"], r"returned pandas.*DataFrame, and Records is needed"),
        (["data.source=my_source:archive"], "pictures.npz: no such file"),
        (["model=my_model:three_layers"], "model 'my_model:three_layers': module 'my_model' has"),
        (["model=my_mistakes:nothing"], "returned NoneType, and a torch.nn.Module is needed"),
        (["model=my_mistakes:wide"], r"makes shape \(2, 4\), and logits of shape \(2, 3\)"),
        (
            [f"model={OWN_MODEL}", 'arms=[{name="I", inversion="server"}]', "inversion.start=2"],
            "BatchNorm",
        ),
        (["system=my_system:Brightness"], "it is a class; name an object of it"),
        (["system=my_mistakes:started"], "it lacks SITES, check, run, handlers"),
    ],
)
def test_what_is_no_such_part_is_refused_before_the_run(
    small: Small, settings: list[str], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        checked(small(*([PLAIN]), *settings))


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("system=brightness", "system: expected an object of your own as 'module:object', got"),
        ("system=a:b shared.text_clients=0", "system: a run is of one kind"),
        ("data.kind=table", "data: kind is 'table', but source .* gives 'images'; leave kind out"),
    ],
)
def test_a_configuration_that_names_it_wrongly(small: Small, setting: str, text: str) -> None:
    with pytest.raises(InputError, match=text):
        small(*setting.split())


@pytest.mark.parametrize("allowed", [True, False])
def test_a_site_runs_a_studys_own_model_only_if_its_policy_says_so(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    allowed: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = study(small(PLAIN, f"model={OWN_MODEL}"), tmp_path / "real")
    leave = f'[policy]\nown_code = ["{OWN_MODEL}"]\n'
    sites = hospitals(**{name: leave for name in CLIENTS if allowed or name != "b"})
    if allowed:
        play_here(real, sites)
        assert len(logged(real)) == 2
        return
    with pytest.raises(RunError) as refused:
        play_here(real, sites)
    assert "InputError at client" in str(refused.value)
    assert f"policy.own_code: the study's model is '{OWN_MODEL}', code of its own" in caplog.text


def test_every_message_of_a_system_of_ones_own_asks_for_leave() -> None:
    assert {name: MESSAGES[name].action for name in OWN_SYSTEM} == {
        "query.own": "train", "train.own": "train", "evaluate.own": "evaluate",
    }  # fmt: skip


def test_a_configuration_knows_the_models_that_there_are() -> None:
    assert set(MODELS) == {*MODEL_NAMES, "clip"}
