"""What leaves a site, and what it does not do."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.config import parse_config
from fairfed.config.site import SitePolicy
from fairfed.config.systems import ACTIONS
from fairfed.config.table import TableConfig
from fairfed.sites.policy import (
    UNSAID,
    WHAT_LEAVES,
    asked_for,
    refusals,
    said_counts,
    summarised,
)
from semantic.errors import InputError

STUDY = parse_config(
    'rounds = 20\n[[arms]]\nname = "a"\n[[arms]]\nname = "b"\naugment = true', "study"
)


def test_small_counts_are_not_said_where_they_are_to_be_suppressed() -> None:
    counts = np.array([[0, 1, 4], [5, 6, 100]])
    assert said_counts(counts, SitePolicy()).tolist() == counts.tolist()
    hidden = said_counts(counts, SitePolicy(counts="suppress", min_count=5))
    assert hidden.tolist() == [[0, UNSAID, UNSAID], [5, 6, 100]]


def test_a_study_asks_for_what_its_arms_need() -> None:
    assert asked_for(STUDY) == ("describe", "train", "evaluate", "synthesise")
    one_shot = parse_config('[[arms]]\nname = "a"\nsystem = "one-shot"', "study")
    assert asked_for(one_shot) == ("describe", "train", "evaluate", "release")
    peers = parse_config("model = 'clip-head'\n[peers]", "study")
    assert asked_for(peers) == ("describe", "train", "evaluate", "release")
    heads = parse_config("rounds = 1\n[heads]", "study")
    assert asked_for(heads) == ("sums", "evaluate")
    assert WHAT_LEAVES.keys() == set(ACTIONS)


def test_a_column_is_summed_up_over_no_fewer_rows_than_a_count_needs() -> None:
    schema = TableConfig(min_count=3)
    assert summarised(schema, SitePolicy()).min_count == 3
    assert summarised(schema, SitePolicy(counts="suppress", min_count=7)).min_count == 7
    assert summarised(schema, SitePolicy(counts="suppress", min_count=2)).min_count == 3


def test_noise_that_all_know_is_refused() -> None:
    seeded = parse_config("model = 'clip-head'\n[peers]\nseeded_noise = true", "study")
    (refused,) = refusals(SitePolicy(), seeded, 0)
    assert refused.startswith("peers.seeded_noise")
    labels = "[federation]\nclasses = ['a', 'b']\n[peers]\nseeded_noise = true"
    with pytest.raises(InputError, match="peers.seeded_noise: .* with sites' own data leave it"):
        parse_config(labels, "study")


def test_what_goes_beyond_the_policy_is_named() -> None:
    assert not list(refusals(SitePolicy(max_rounds=20, max_synthetic=7), STUDY, 7))
    strict = SitePolicy(actions=("describe", "train", "evaluate"), max_rounds=19, max_synthetic=7)
    assert list(refusals(strict, STUDY, 8)) == [
        "policy.actions: the study asks for 'synthesise' (how many images were wanted, made and "
        "rejected in each cell, and in a word whether the generator knows each class and column, "
        "never the images)",
        "policy.max_rounds: the study has 20 rounds, allowed are 19",
        "policy.max_synthetic: the study would have up to 8 images made, allowed are 7",
    ]


def test_code_that_a_study_names_is_run_only_if_the_policy_has_it() -> None:
    named = parse_config('model = "m:net"\nsystem = "s:mine"', "study")
    refused = list(refusals(SitePolicy(own_code=("m:net", "m:other")), named, 0))
    assert refused == [
        "policy.own_code: the study's system is 's:mine', code of its own that this site would run"
    ]
    assert not list(refusals(SitePolicy(own_code=("s:mine", "m:net")), named, 0))
