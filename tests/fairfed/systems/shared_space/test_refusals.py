"""Settings of a shared space that make no sense are refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairfed.config import Config, parse_config
from fairfed.errors import PublicInputError
from fairfed.server import checked
from fairfed.systems.shared_space.sites import shared_site
from semantic.errors import InputError
from tests.fairfed.asking import request_to

Small = Callable[..., Config]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("arms=[{name='A'}]", "has no arms"),
        ("shared.missing=['bag', 'unicorn']", "shared.missing: there is no class 'unicorn'"),
        ("shared.classes_per_client=3", "images are there of 2 classes only"),
        ("arrival={class_name='coat', round=2}", "is in shared.missing, too"),
        ("arrival={class_name='bag', round=3}", "arrival.round is 3 of 3 rounds"),
        ("semantic.attributes=names", "no attribute of at least 0.5"),
        ("model=clip-head", "model: a run with .* 'clip-head' has no effect; leave model out"),
        ("partition.clients=3", "partition.clients: a run with .* 3 has no effect"),
        ("partition.options={alpha=0.1}", "partition.options: a run with"),
        ("train.proximal=0.1", "train.proximal: a run with"),
        ("train.debias=reweighing", "train.debias: a run with"),
        ("train.augmentation=mixup", "train.augmentation: a run with"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    small_shared: Small, setting: str, message: str
) -> None:
    config = small_shared(setting)
    with pytest.raises(InputError, match=message):
        checked(config)
    assert not config.run_directory.exists()


def test_clients_that_hold_nothing_are_told_so(small_shared: Small) -> None:
    with pytest.raises(PublicInputError, match="client 4 holds nothing: .* among 4 clients"):
        shared_site(request_to(small_shared(), 4, {}))
    with pytest.raises(PublicInputError, match=r"\[shared\] needs the data of all sites"):
        shared_site(request_to(small_shared(), 1, {}, simulated=False))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[shared]\nmissing = []", "clients with captions alone hold those of the missing"),
        ("[shared]\nimage_clients = 0\nboth_clients = 0\ntext_clients = 0", "no client has images"),
        ("[arrival]\nclass_name = 'Bag'\nround = 2", r"add a section \[shared\]"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(text, "shared.toml")
