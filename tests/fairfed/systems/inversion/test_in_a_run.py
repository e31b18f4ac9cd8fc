"""Fed-ZDAC and Fed-ZDAS in whole runs of the real apps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairfed.config import Arm, Config
from fairfed.engines.private import records_to_bytes
from fairfed.rounds import checkpoint
from fairfed.server import LogWatcher
from fairfed.system import simulation_of
from fairfed.systems.inversion import images as images_module
from tests.fairfed import runs
from tests.fairfed.runs import killed, logged, play

Small = Callable[..., Config]
QUICK = ("inversion.steps=2", "inversion.per_class=4", "inversion.company=2", "inversion.start=2")
BOTH = """arms=[{name="FedAvg"}, {name="C", inversion="client", rule="afl", debias="reweighing"},
 {name="S", inversion="server"}]""".replace("\n", "")


def new_process() -> None:
    runs.new_process()
    images_module._made = images_module._Made()


class Interrupt(LogWatcher):
    """Ctrl-C in an arm before a round is safe on disk."""

    def __init__(self, arm: str, number: int) -> None:
        self.at = arm, number

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if (arm.name, row["round"]) == self.at:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def _fresh() -> None:
    new_process()


def test_a_run_logs_costs_and_leaves_the_clients_weights_to_real_rows(small: Small) -> None:
    config = small(BOTH, *QUICK, "rounds=4", "inversion.every=2")
    play(config)
    lines = logged(config)
    plain, at_clients, at_server = (lines[i : i + 4] for i in (0, 4, 8))
    assert not any("inversion" in line for line in plain)
    made = {"at": "client", "generated": 12, "reused": 0}
    assert [line.get("inversion") for line in at_clients] == [None, made, None, made]
    held = [{client["n_synthetic"] for client in line["clients"]} for line in at_clients]
    assert held == [{0}, {4}, {4}, {4}]
    assert {c["n_real"] for line in lines for c in line["clients"]} == {24}
    tuned = [line.get("inversion") for line in at_server]
    assert [entry and (entry["generated"], entry["pool"]) for entry in tuned] == [
        None, (24, 24), (0, 24), (24, 48),
    ]  # fmt: skip
    # before the start, and as far as clients go, Fed-ZDAS is FedAvg
    assert at_server[0]["clients"] == plain[0]["clients"]
    trained = [[(c["loss"], c["weight"], c["n_synthetic"]) for c in line[1]["clients"]]
               for line in (plain, at_server)]  # fmt: skip
    assert trained[0] == trained[1]
    assert at_server[1]["clients"] != plain[1]["clients"]
    assert (config.run_directory / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("arm", ["client", "server"])
def test_workers_and_interruptions_change_nothing(small: Small, tmp_path: Any, arm: str) -> None:
    settings = (f'arms=[{{name="Z", inversion="{arm}"}}]', *QUICK, "rounds=5", "inversion.every=2",
                "fraction=0.67")  # fmt: skip
    whole = small(*settings, f"out={tmp_path}/whole")
    play(whole, workers=1)
    for number in (3, 4):  # with images of a round before it, and where new ones are made
        new_process()
        cut = small(*settings, f"out={tmp_path}/cut{number}")
        with pytest.raises(KeyboardInterrupt):
            play(cut, Interrupt("Z", number), workers=3, wire=True)
        new_process()
        play(cut, workers=3, wire=True)
        assert logged(cut) == logged(whole)
        ends = [checkpoint.load(c.run_directory / "checkpoints" / "z.npz") for c in (whole, cut)]
        for one, other in ((ends[0].arrays, ends[1].arrays), (ends[0].strategy, ends[1].strategy)):
            assert list(one) == list(other)
            assert all(np.array_equal(one[name], other[name]) for name in one)
        assert bool(ends[1].strategy) == (arm == "server")


def test_a_killed_run_makes_its_images_anew_and_ends_the_same(small: Small, tmp_path: Path) -> None:
    settings = ('arms=[{name="C", inversion="client"}]', *QUICK, "rounds=3", "inversion.every=2")
    whole, cut = (small(*settings, f"out={tmp_path}/{name}") for name in ("whole", "cut"))
    killed(cut, 3, tmp_path)
    new_process()
    play(cut)
    new_process()
    play(whole)
    assert logged(cut) == logged(whole)


def test_no_message_holds_an_image(small: Small) -> None:
    config = small('arms=[{name="C", inversion="client"}]', *QUICK, "inversion.every=2")
    replies = play(config)
    sent = b"".join(records_to_bytes(reply.content) for reply in replies)
    made = [image for _, place in images_module._made._images.values() for image in place[0]]
    real = simulation_of(config).images.table.images
    assert len(made) == 12
    assert not any(image.tobytes()[:64] in sent for image in (*made, *real))
    trained = [r for r in replies if "n-synthetic" in r.content.metric_records["metrics"]]
    assert len(trained) == 6
    for reply in trained:
        assert set(reply.content) == {"arrays", "metrics"}
        metrics = dict(reply.content.metric_records["metrics"])
        numbers = {name: value for name, value in metrics.items() if name != "counts"}
        cost = {"generated", "reused", "inversion-seconds"} if metrics["n-synthetic"] else set()
        assert set(numbers) == {"partition-id", "loss", "n-real", "n-synthetic", "seconds"} | cost
        assert all(isinstance(value, int | float) for value in numbers.values())
