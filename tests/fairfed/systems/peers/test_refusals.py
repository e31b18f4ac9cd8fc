"""What peers refuse: settings that compare unequally, other weights, noise that can be undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flwr.app import ArrayRecord, Message

from fairfed.config import Config, load_config, parse_config
from fairfed.server import checked
from fairfed.sites.model_sources import ENCODER
from fairfed.sites.request import STUDY, Request
from fairfed.system import simulated_study
from fairfed.systems.peers import node
from semantic.errors import InputError
from tests.fairfed.asking import request_to

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
        checked(peers(override))


def test_what_acts_in_reptile_alone_goes_with_reptile_alone(peers: Peers) -> None:
    checked(peers("train.proximal=5.0", "train.augmentation=mixup", "peers.meta=['reptile']"))


@pytest.mark.parametrize("own", ["adapt='head'", "adapt='full', from_scratch=true"])
def test_an_arm_adapts_clip_as_peers_do(peers: Peers, own: str) -> None:
    config = peers("model=clip", "adapt.method=bias", f"arms=[{{name='A', {own}}}]")
    with pytest.raises(InputError, match="has adapt"):
        checked(config)


@pytest.mark.parametrize("handler", [node.act, node.adapt])
def test_peers_with_other_weights_of_clip_are_told_so(
    peers: Peers, handler: Callable[[Request], Message]
) -> None:
    config = peers("model=clip", "adapt.method=head", "semantic.attributes=names")
    study = simulated_study(config)
    assert study.told.fingerprints == {ENCODER: study.place.encoder.fingerprint}
    other = study.with_told(study.told.model_copy(update={"fingerprints": {ENCODER: "0" * 64}}))
    asked = {STUDY: other.text, "meta": "reptile", "phase": "hello", "round": 1}
    asked |= {"measuring": False, "taken": False}
    request = request_to(config, 0, asked)
    request.message.content["arrays"] = ArrayRecord(study.place.model().state_dict())
    with pytest.raises(InputError, match="other weights here"):
        handler(request)


def test_noise_that_others_can_subtract_is_refused(peers: Peers) -> None:
    with pytest.raises(InputError, match="whoever knows the seed can subtract the noise"):
        peers("peers.seeded_noise=true")
    config = load_config(None, ["peers.seeded_noise=true"], "ppfm")
    with pytest.raises(InputError, match="peers.seeded_noise"):
        load_config(None, ["peers.seeded_noise=true", "data.source=mine"], "ppfm")
    assert config.peers is not None
    assert config.peers.seeded_noise


@pytest.mark.parametrize(
    ("section", "settings"),
    [("peers", ""), ("specialise", ""), ("heads", ""), ("shared", "text_clients = 0")],
)
def test_a_table_is_refused(section: str, settings: str) -> None:
    text = "rounds = 1\nmodel = 'mlp'\n[data]\nsource = 'adult'\nsensitive = ['sex']\n"
    with pytest.raises(InputError, match=f"'adult' is a table; use images, or drop .{section}"):
        parse_config(f"{text}[{section}]\n{settings}", "table.toml")


def test_sites_with_tables_of_their_own_are_refused() -> None:
    own = "model = 'mlp'\n[federation]\nkind = 'table'\nclasses = ['a', 'b']\n[peers]"
    with pytest.raises(InputError, match="is a table; use images, or drop .peers"):
        parse_config(own, "table.toml")
