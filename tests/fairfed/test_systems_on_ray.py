"""Every system ends on Ray as it does in process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fairfed.config import Config, parse_config
from fairfed.rounds import checkpoint
from tests.fairfed import configurations
from tests.fairfed.data.tables.loans import loans
from tests.fairfed.on_ray import run_on_ray
from tests.fairfed.runs import logged, run_of
from tests.fairfed.systems.zsl.dataset import write

pytestmark = pytest.mark.ray

TABLE_ARMS = """arms=[{name="FedAvg"}, {name="Reweighed", rule="fairfed", debias="reweighing"},
                {name="FAIR-FATE", rule="fair-fate"}]""".replace("\n", " ")
SETTINGS = {
    "classifier": ("workers=1",),
    "peers": ("rounds=2", "peers.meta=['reptile']"),
    "zsl": ("rounds=2", "zsl.variants=['ska']"),
    "table": (TABLE_ARMS, 'fairness.probe_source="validation"'),
}
"""What is replaced in the small configurations."""

Ends = dict[str, tuple[Path, Path]]


@pytest.fixture(scope="module")
def ends(image_folder: Path, tiny_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """Directories of each system's run, in process and on Ray; Ray starts once for all of them."""
    data = tmp_path_factory.mktemp("data")
    loans().to_csv(data / "people.csv", index=False)
    features = write(data / "xlsa17")

    def configured(engine: str) -> dict[str, Config]:
        folder = tmp_path_factory.mktemp(engine)
        texts = {
            "classifier": configurations.small(folder, image_folder, tiny_pipeline),
            "peers": configurations.peers(folder, image_folder),
            "zsl": configurations.zsl(folder, features),
            "table": configurations.table(folder, data / "people.csv"),
        }
        return {
            name: parse_config(
                text, name, (f"engine={engine}", f"out={folder}/{name}", *SETTINGS[name])
            )
            for name, text in texts.items()
        }

    here, there = configured("inprocess"), configured("ray")
    run_on_ray(there.values(), data)
    return {name: (run_of(here[name]), there[name].run_directory) for name in SETTINGS}


def _models(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """Final weights by checkpoint."""
    return {path.stem: checkpoint.load(path).arrays for path in folder.glob("checkpoints/*.npz")}


def _assert_same_models(ends: tuple[Path, Path], names: set[str], tolerance: float) -> None:
    one, other = map(_models, ends)
    assert set(one) == set(other) == names
    for arm, model in one.items():
        assert set(model) == set(other[arm])
        for name, array in model.items():
            assert np.abs(array - other[arm][name]).max() <= tolerance, (arm, name)


def _a_classifier_ends_with_the_same_weights(ends: Ends) -> None:
    _assert_same_models(ends["classifier"], {"fedavg", "both", "iid"}, 1e-6)
    assert any(np.ptp(value) > 0 for value in _models(ends["classifier"][0])["both"].values())


def _peers_meet_as_in_process(ends: Ends) -> None:
    for mine, other in zip(*map(logged, ends["peers"]), strict=True):
        assert mine.get("structure") == other.get("structure")
        assert mine["links"] == other["links"]
        losses = [[client["loss"] for client in line["clients"]] for line in (mine, other)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def _zero_shot_learning_ends_with_the_same_generator(ends: Ends) -> None:
    _assert_same_models(ends["zsl"], {"fedzsl-ska"}, 1e-5)


def _a_table_has_the_same_columns_and_models(ends: Ends) -> None:
    one, other = (json.loads((run / "columns.json").read_text()) for run in ends["table"])
    assert one == other
    _assert_same_models(ends["table"], {"fedavg", "reweighed", "fair-fate"}, 1e-6)


def test_every_system_ends_as_in_process(ends: Ends) -> None:
    """In one test, for Ray to start once, whichever worker has it."""
    _a_classifier_ends_with_the_same_weights(ends)
    _peers_meet_as_in_process(ends)
    _zero_shot_learning_ends_with_the_same_generator(ends)
    _a_table_has_the_same_columns_and_models(ends)
