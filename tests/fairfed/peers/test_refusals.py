"""What peers refuse: settings that compare unequally, other weights, noise that can be undone."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from flwr.app import ConfigRecord, Context, RecordDict

from fairfed.adapting import classifier
from fairfed.config import Config, load_config
from fairfed.errors import PublicInputError
from fairfed.experiment import check
from semantic.errors import InputError
from tests.fairfed.runs import play

Peers = Callable[..., Config]


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("peers.unseen=5", "leaves 1 to take part"),
        ("fraction=0.5", "every peer takes part in every round"),
        ("arms=[{name='A', augment=true}]", "has augment"),
        ("arms=[{name='A', iid=true}]", "has iid"),
        ("arms=[{name='A', system='local'}]", "has system"),
        ("arms=[{name='ppfm reptile'}]", "give the arm another name"),
        ("arms=[{name='A', proximal=0.0}]", "has proximal"),
        ("arms=[{name='A', augmentation='mixup'}]", "has augmentation"),
        ("arms=[{name='A', debias='reweighing'}]", "has debias"),
        ("arms=[{name='A', personal=0.0}]", "has personal"),
        ("train.debias=reweighing", "train.debias = 'reweighing' acts in arms"),
        ("train.proximal=5.0", "train.proximal acts in the local training"),
        ("train.augmentation=mixup", "train.augmentation acts in the local training"),
    ],
)
def test_what_makes_no_sense_is_refused(peers: Peers, override: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        check(peers(override))


def test_what_acts_in_reptile_alone_goes_with_reptile_alone(peers: Peers) -> None:
    check(peers("train.proximal=5.0", "train.augmentation=mixup", "peers.meta=['reptile']"))


@pytest.mark.parametrize("own", ["adapt='head'", "adapt='full', from_scratch=true"])
def test_an_arm_adapts_clip_as_peers_do(peers: Peers, own: str) -> None:
    config = peers("model=clip", "adapt.method=bias", f"arms=[{{name='A', {own}}}]")
    with pytest.raises(InputError, match="has adapt"):
        check(config)


@pytest.mark.parametrize("action", ["act", "adapt"])
def test_peers_with_other_weights_of_clip_are_told_so(peers: Peers, action: str) -> None:
    from fairfed.peers import node

    toml = peers("model=clip", "adapt.method=head").to_toml()
    asked = ConfigRecord({"toml": toml, "meta": "reptile", "round": 1, "encoder": "0123456789abcd"})
    message = SimpleNamespace(content=RecordDict({"config": asked}))
    context = Context(0, 1, {"partition-id": 0, "num-partitions": 6}, RecordDict(), {})
    with pytest.raises(PublicInputError, match="other weights here"):
        getattr(node, action)(message, context)


def test_everybody_is_told_which_weights_of_clip_the_models_go_with(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(classifier, "require_same", lambda config, own: asked.append(own))
    own = "model=clip", "adapt.method=head", "semantic.attributes=names", "peers.meta=['fomaml']"
    config = peers(*own, "rounds=1")
    play(config)
    # six peers in seven phases, five clients that train and are tested, one unseen
    assert len(asked) == 6 * 7 + 2 * 5 + 1
    assert set(asked) == set(classifier.identity(config).values())


def test_noise_that_others_can_subtract_is_refused(peers: Peers) -> None:
    with pytest.raises(InputError, match="whoever knows the seed can subtract the noise"):
        peers("peers.seeded_noise=true")
    config = load_config(None, ["peers.seeded_noise=true"], "ppfm")
    with pytest.raises(InputError, match="peers.seeded_noise"):
        load_config(None, ["peers.seeded_noise=true", "data.source=mine"], "ppfm")
    assert config.peers is not None
    assert config.peers.seeded_noise


def test_a_table_is_refused(peers: Peers) -> None:
    config = peers("data.source=adult", "model=mlp", "data.sensitive=['sex']")
    with pytest.raises(InputError, match="is a table"):
        check(config)
