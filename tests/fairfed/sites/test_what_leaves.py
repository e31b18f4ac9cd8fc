"""What a server can find out of a site, or have it do, beyond what the site's policy allows."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fairfed.client import client_app
from fairfed.config import Config, parse_config
from fairfed.config.site import SiteConfig
from fairfed.engines.inprocess import InProcessGrid
from fairfed.errors import RunError
from fairfed.server import run
from fairfed.sites.local import LocalSites
from fairfed.sites.study import study_of
from tests.fairfed import golden
from tests.fairfed.conftest import CLIENTS
from tests.fairfed.runs import killed
from tests.fairfed.sites.conftest import Hospitals, play_here, study

Small = Callable[..., Config]
SUPPRESS = '[policy]\ncounts = "suppress"\nmin_count = 5\n'


def asked(
    site: SiteConfig, config: Config, arm: str, *messages: tuple[str, dict[str, Any]]
) -> list[Message]:
    """A site's replies to messages about an arm, sent by hand."""
    told = study_of(config, None)
    chosen = next(own for own in config.arms if own.name == arm)
    model = ArrayRecord(told.place.model(chosen).state_dict())
    with InProcessGrid(client_app(LocalSites([site])), 1) as grid:
        replies = []
        for kind, sent in messages:
            content = {
                "config": ConfigRecord({**told.request(chosen), "round": 1, **sent}),
                "arrays": model,
            }
            request = Message(RecordDict(content), next(iter(grid.get_node_ids())), kind)
            replies += grid.send_and_receive([request])
    return replies


def lines(site: SiteConfig) -> list[dict[str, Any]]:
    """A site's ledger."""
    text = (Path(site.state.directory) / "ledger.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def without_one(site: SiteConfig, split: str) -> None:
    """Take a row away from one of the site's small cells, and what it kept of the study."""
    path = Path(site.data.source) / "metadata.csv"
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    rows.remove(next(row for row in rows if row[1:] == ["DRESS", "m", split]))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    shutil.rmtree(site.state.directory)


def counted(site: SiteConfig, config: Config) -> list[Any]:
    """All numbers that a site says in a round, but losses and times."""
    replies = asked(
        site, config, "Both",
        ("query.describe", {}), ("query.augment", {}), ("train", {}), ("evaluate", {}),
        ("query.audit", {"bins": 4, "clients": 3}),
    )  # fmt: skip
    assert not any(reply.has_error() for reply in replies), [r.error for r in replies]
    unlike = {"loss", "seconds"}
    numbers = [
        {k: v for k, v in reply.content.metric_records["metrics"].items() if k not in unlike}
        for reply in replies
    ]
    who = dict(replies[0].content.config_records["who"])
    return [*numbers, who, replies[-1].content.config_records["counts"]["file"]]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("policy", ["", SUPPRESS])
def test_a_count_that_is_not_said_follows_from_nothing_that_is(
    small: Small, hospitals: Hospitals, tmp_path: Path, policy: str, split: str
) -> None:
    real = study(small("synthesis.share=false"), tmp_path / "real")
    site = hospitals(a=policy)[0]
    before = counted(site, real)
    without_one(site, split)
    assert (counted(site, real) == before) == bool(policy)


def test_what_is_said_of_the_other_cells_stays_as_it_is(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    real = study(small(), tmp_path / "real")
    exact = asked(hospitals()[0], real, "FedAvg", ("train", {}))
    said = asked(hospitals(a=SUPPRESS)[0], real, "FedAvg", ("train", {}))
    (all_rows, some) = (
        np.reshape(one[0].content.metric_records["metrics"]["counts"], (-1, 3, 3))  # type: ignore[arg-type]
        for one in (exact, said)
    )
    assert np.array_equal(some[0], all_rows[0])  # 8 rows of women in each class
    assert all_rows[1].any()  # and 4 of men
    assert not some[1].any()
    assert [one[0].content.metric_records["metrics"]["n-real"] for one in (exact, said)] == [24, 16]


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        ("max_synthetic = 20", {}),
        ("max_synthetic = 300", {"extra-cells": [99] * 6, "new-cells": [99] * 6}),
        ("max_rounds = 2", {"round": 3}),
    ],
)
def test_training_asks_for_no_more_than_the_study_may(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    policy: str,
    sent: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    real = study(small(), tmp_path / "real")
    site = hospitals(a=f"[policy]\n{policy}\n")[0]
    (reply,) = asked(site, real, "Both", ("train", sent))
    assert "InputError at client 0" in reply.error.reason
    assert f"policy.{policy.split()[0]}" in caplog.text
    assert not (Path(site.state.directory) / "synthetic").exists()


def test_nothing_is_downloaded_that_the_policy_does_not_allow(
    small: Small, hospitals: Hospitals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = hospitals()[0]
    hub = site.data.model_copy(update={"source": "hf:nobody/skin"})
    real = study(small(), tmp_path / "real")
    (reply,) = asked(site.model_copy(update={"data": hub}), real, "FedAvg", ("query.describe", {}))
    assert "InputError at client 0" in reply.error.reason
    assert "data.source: 'nobody/skin' is not on this disk" in caplog.text


def test_errors_are_on_the_ledger_by_their_kind(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    site = hospitals(a='[policy]\nactions = ["describe"]\n')[0]
    real = study(small(), tmp_path / "real")
    asked(site, real, "FedAvg", ("train", {}), ("evaluate", {"study": "{}"}))
    assert [(line["asked"], line["error"]) for line in lines(site)] == [
        ("train", "InputError"), ("evaluate", "InputError"),
    ]  # fmt: skip
    assert [line["study"] for line in lines(site)] == [real.name, None]


def test_nothing_leaves_that_the_ledger_cannot_say(
    small: Small, hospitals: Hospitals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = hospitals()[0]
    Path(site.state.directory).write_text("a file where the directory shall be")
    with pytest.raises(RunError, match="StoreError at client 0") as refused:
        play_here(study(small(), tmp_path / "real"), [site, *hospitals()[1:]])
    assert str(tmp_path) not in str(refused.value)
    assert f"{site.state.directory}/ledger.jsonl cannot be written" in caplog.text


def test_a_release_is_drawn_once_whatever_the_server_forgets(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    text = study(small(), tmp_path / "real").to_toml()
    arms = ['arms=[{name="Once", system="one-shot", augment=false}]']
    once = parse_config(text, "study", arms)
    site = hospitals()[0]
    (first,), (second,) = (asked(site, once, "Once", ("query.release", {})) for _ in range(2))
    assert not first.has_error()
    sums = [r.content.array_records["arrays"]["sums"].numpy() for r in (first, second)]
    assert np.array_equal(*sums)


def test_studies_with_one_name_in_a_file_system_are_two(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    site, plain = hospitals()[0], study(small(), tmp_path / "real")
    for name in ("../../心", "肺" * 300):
        other = plain.model_copy(update={"name": name})
        (reply,) = asked(site, other, "FedAvg", ("query.describe", {}))
        assert not reply.has_error()
    kept = Path(site.state.directory) / "studies"
    assert len(list(kept.iterdir())) == 2
    assert all((folder / "data.json").is_file() for folder in kept.iterdir())


def test_a_killed_server_goes_on_with_real_sites_to_the_same_bits(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    fedavg = small().model_copy(update={"arms": small().arms[:1]})
    whole, cut = (study(fedavg, tmp_path / name) for name in ("whole", "cut"))
    sites = hospitals(a="[policy]\nmax_rounds = 2\n")  # which a round that is repeated keeps
    run(whole, sites=sites, report=False)
    killed(cut, 2, tmp_path, sites)
    run(cut, sites=sites, report=False)
    assert golden.digests(tmp_path / "cut") == golden.digests(tmp_path / "whole")
    assert len(lines(sites[0])) > len(CLIENTS)
