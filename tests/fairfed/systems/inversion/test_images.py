"""Parts of Fed-ZDAC and Fed-ZDAS: what may be inverted, and a client's images."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from flwr.app import Context, RecordDict
from torch import nn

from fairfed.config import Config, load_config
from fairfed.models import build_model
from fairfed.sites.request import split_of
from fairfed.sites.training_set import TrainingSet
from fairfed.systems.classifier.build import check_arms
from fairfed.systems.inversion import images as images_module
from fairfed.systems.inversion.images import (
    Inverter,
    make_images,
    require_batch_norm,
    with_inverted,
)
from semantic.errors import InputError
from tests.fairfed.runs import place_of, site_of

Small = Callable[..., Config]
QUICK = ("inversion.steps=2", "inversion.per_class=4", "inversion.company=2", "inversion.start=2")
CLIENT, SERVER = (f'arms=[{{name="Z", inversion="{at}"}}]' for at in ("client", "server"))


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is a new process."""
    monkeypatch.setattr(images_module, "_made", images_module._Made())


@pytest.fixture
def model() -> nn.Module:
    return build_model("cnn-bn", 3, 16, seed=3)


# refusals


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (('arms=[{name="A", inversion="client", augment=true}]',), "'A': augment = true and inv"),
        (
            (SERVER, "inversion.start=2", "data.source=rows.csv", "model=mlp"),
            "'Z' inverts a model into images, but data.source 'rows.csv' is a table",
        ),
        (('arms=[{name="A", inversion="client", system="local"}]',), "does not go with inversion"),
        (("inversion.start=1",), "inversion.start"),
        (('arms=[{name="A", inversion="clients"}]',), "inversion"),
    ],
)
def test_what_makes_no_sense_is_refused(
    small: Small, settings: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        small(*settings)


@pytest.mark.parametrize("arm", [CLIENT, SERVER])
def test_a_model_without_batch_norm_is_refused_before_training(small: Small, arm: str) -> None:
    config = small("model=cnn-gn", arm, "inversion.start=2")
    with pytest.raises(InputError, match=r"arm 'Z': .*'cnn-gn' has none.*GroupNorm"):
        check_arms(config, place_of(config))


def test_batch_norm_must_keep_statistics(model: nn.Module) -> None:
    require_batch_norm(model, "cnn-bn", "client")
    without = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.LayerNorm(4))
    with pytest.raises(InputError, match="normalises by: BatchNorm2d, LayerNorm"):
        require_batch_norm(without, "other", "client")
    with pytest.raises(InputError, match="normalises by: nothing"):
        require_batch_norm(nn.Linear(2, 2), "other", "server")


# images


def test_clients_of_one_process_share_what_they_make_alike(small: Small, model: nn.Module) -> None:
    place = place_of(small(CLIENT, *QUICK))
    first, fresh = make_images(place, model, 3, [0, 2], "round 2")
    again, more = make_images(place, model, 3, [2, 1], "round 2")
    assert (fresh, more) == (8, 4)
    assert first[2].shape == (4, 16, 16, 3)
    assert np.array_equal(first[2], again[2])
    assert len(np.unique(first[2].reshape(4, -1), axis=0)) == 4
    more_of_it = small(CLIENT, *QUICK, "inversion.per_class=6")
    assert len(make_images(place_of(more_of_it), model, 3, [2], "round 2")[0][2]) == 6
    later, fresh = make_images(place, model, 3, [2], "round 3")
    assert fresh == 4
    assert not np.array_equal(later[2], first[2])
    other, _ = make_images(place, build_model("cnn-bn", 3, 16, seed=4), 3, [2], "round 2")
    assert not np.array_equal(other[2], first[2])


def test_an_inverter_asks_only_about_the_classes_that_a_model_knows(
    small: Small, model: nn.Module
) -> None:
    """What the logits of other classes say changes nothing, and those classes give no images."""
    place = place_of(small(SERVER, *QUICK))
    spoilt = build_model("cnn-bn", 3, 16, seed=3)
    with torch.no_grad():
        spoilt.get_submodule("head").bias[1] += 50.0  # type: ignore[index, operator]
    one, other = (Inverter(place, m, [0, 2]) for m in (model, spoilt))
    assert np.array_equal(one.images(2, "x"), other.images(2, "x"))
    with pytest.raises(KeyError):
        one.images(1, "x")


# a client


def _joined(
    config: Config, client: int, number: int, model: nn.Module, context: Context | None = None
) -> tuple[TrainingSet, dict[str, Any]]:
    arm = config.arms[0]
    site = site_of(config, client, split_of(arm))
    context = context or Context(1, 1, {}, RecordDict(), {})
    return with_inverted(context, site, arm, number, model, site.training_set(arm))


def test_a_single_class_is_told_from_all_others(small: Small, model: nn.Module) -> None:
    """With one logit alone the cross-entropy would be 0 whatever the model says of the class."""
    place = place_of(small(*QUICK))
    other = copy.deepcopy(model)
    with torch.no_grad():
        head = [layer for layer in other.modules() if isinstance(layer, nn.Linear)][-1]
        head.weight[1] = -head.weight[1] + 1
    one, two = (Inverter(place, m, [1]).images(1, "here") for m in (model, other))
    assert (one != two).any()
    own = images_module._Known(model.eval(), [1])
    inputs, labels = torch.rand(5, 3, 16, 16), torch.ones(5, dtype=torch.int64)
    with torch.no_grad():
        torch.testing.assert_close(
            F.cross_entropy(own(inputs), labels * 0),
            F.cross_entropy(model(inputs), labels),
        )


def test_a_client_adds_images_of_the_classes_that_it_lacks(small: Small, model: nn.Module) -> None:
    config = small(CLIENT, *QUICK)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    own, cost = _joined(config, 0, 2, model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (own.n_real, own.n_synthetic, own.size) == (24, 4, 28)
    real, lacking = own.labels[:24].unique().tolist(), own.labels[24:].unique().tolist()
    assert sorted(real + lacking) == [0, 1, 2]
    assert own.groups[24:].tolist() == [1, 0, 1, 0]  # no group gains by them
    assert own.weights is not None
    by_class = [own.weights[own.labels == label].sum().item() for label in range(3)]
    assert by_class == pytest.approx([1 / 3] * 3)
    assert own.inputs.shape == (28, 16, 16, 3)
    assert own.inputs.dtype == torch.uint8
    assert {name: cost[name] for name in ("generated", "reused")} == {"generated": 4, "reused": 0}
    assert cost["inversion-seconds"] > 0
    early, nothing = _joined(config, 0, 1, model)
    assert (early.n_synthetic, nothing) == (0, {})


def test_a_client_that_lacks_no_class_inverts_nothing(small: Small, model: nn.Module) -> None:
    config = small('arms=[{name="Z", inversion="client", iid=true}]', *QUICK)
    own, cost = _joined(config, 0, 5, model)
    assert (own.n_synthetic, cost) == (0, {})


def test_images_are_kept_until_the_next_period(small: Small, model: nn.Module) -> None:
    config = small(CLIENT, *QUICK, "inversion.every=2")
    context = Context(1, 1, {}, RecordDict(), {})
    first, cost = _joined(config, 0, 2, model, context)
    moved = build_model("cnn-bn", 3, 16, seed=9)
    kept, nothing = _joined(config, 0, 3, moved, context)
    assert cost["generated"] == 4
    assert nothing == {}
    assert torch.equal(first.inputs, kept.inputs)
    anew, cost = _joined(config, 0, 4, moved, context)
    assert cost["generated"] == 4
    assert not torch.equal(anew.inputs, kept.inputs)
    late, cost = _joined(config, 0, 3, moved)  # one that was not drawn in round 2 makes its own
    assert cost["generated"] == 4
    assert not torch.equal(late.inputs, first.inputs)


def test_without_sharing_every_client_has_its_own(small: Small, model: nn.Module) -> None:
    def made(*settings: str) -> list[torch.Tensor]:
        config = small(CLIENT, *QUICK, "partition.name=pathological", "partition.clients=3",
                       "partition.options={num_classes_per_partition=1}", *settings)  # fmt: skip
        sets = [_joined(config, client, 2, model)[0] for client in range(3)]
        rows = [own.inputs[own.n_real :][own.labels[own.n_real :] == c] for c in range(3)
                for own in sets if (own.labels[own.n_real :] == c).any()]  # fmt: skip
        assert [len(row) for row in rows] == [4] * 6  # each class is lacked by two clients
        return rows

    alike = made()
    assert all(torch.equal(alike[i], alike[i + 1]) for i in (0, 2, 4))
    apart = made("inversion.share=false")
    assert not any(torch.equal(apart[i], apart[i + 1]) for i in (0, 2, 4))


# presets


@pytest.mark.parametrize(("preset", "at"), [("fed-zdac", "client"), ("fed-zdas", "server")])
def test_presets_compare_the_system_with_plain_averaging(preset: str, at: str) -> None:
    config = load_config(None, (), preset)
    assert [arm.inversion for arm in config.arms] == [None, at]
    assert config.arms[1].method == f"fedavg, inversion at the {at}"
    check_arms(config, place_of(config))
