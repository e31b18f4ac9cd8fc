"""Golden runs of classifiers, and that a golden file notices what it should."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairfed.config import Config
from fairfed.systems.inversion.images import _Made
from tests.fairfed import golden
from tests.fairfed.runs import run_of

Small = Callable[..., Config]
QUICK = ("inversion.steps=2", "inversion.per_class=4", "inversion.company=2", "inversion.start=2")


def test_classifier_with_augmentation_and_steering(finished_small: Config) -> None:
    golden.check_golden("classifier", finished_small.run_directory)


def test_clients_that_condition_on_attributes(small: Small, described: str) -> None:
    arm = '{name="By attributes", augment=true, conditioning="attributes"}'
    golden.check_golden("attributes", run_of(small(f"arms=[{arm}]", described)))


def test_a_network_of_torchvision(small: Small) -> None:
    how = ("model=resnet18", "data.image_size=64", "rounds=1", "train.optimizer=adamw")
    arm = 'arms=[{name="ResNet-18"}]'
    golden.check_golden("resnet18", run_of(small(*how, "train.lr=0.0003", arm)))


@pytest.mark.parametrize("where", ["client", "server"])
def test_inversion(small: Small, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Images that another test has made of the same models would count as found.
    monkeypatch.setattr("fairfed.systems.inversion.images._made", _Made())
    arm = f'arms=[{{name="Inverted", inversion="{where}"}}]'
    config = small("model=cnn-bn", arm, *QUICK)
    golden.check_golden(f"inversion-{where}", run_of(config))


def test_a_changed_learning_rate_turns_red(small: Small) -> None:
    found = golden.figures(run_of(small("train.lr=0.045")))
    with pytest.raises(AssertionError, match="FedAvg 1"):
        golden.compare(golden.kept_figures("classifier"), found)


def test_a_vanished_or_moved_number_turns_red() -> None:
    kept = {"a": [1.0, 2000.0], "b": [0.5]}
    golden.compare(kept, {"a": [1.5, 2000.0], "b": [0.5]})
    for other in ({"a": [1.0, 2000.0]}, {"a": [1.0, 2003.0], "b": [0.5]}, {"a": [1.0], "b": [0.5]}):
        with pytest.raises(AssertionError):
            golden.compare(kept, other)
