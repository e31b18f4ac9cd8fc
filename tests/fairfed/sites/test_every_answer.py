"""Every answer of a site, to whatever message, has its line, which tells of every record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from evaluation import write_report
from fairfed.client import client_app
from fairfed.config import Config
from fairfed.config.site import SiteConfig
from fairfed.config.systems import MESSAGES
from fairfed.engines.inprocess import InProcessGrid
from fairfed.errors import PublicInputError
from fairfed.sites.ledger import Ledger
from fairfed.sites.ledger_reading import totals, verified
from fairfed.sites.local import LocalSites
from fairfed.sites.receipts import digest_of
from fairfed.sites.request import Request
from fairfed.sites.study import study_of
from tests.fairfed.sites.conftest import Hospitals, play_here, study
from tests.fairfed.sites.test_what_leaves import SUPPRESS, asked, lines

Small = Callable[..., Config]


def answer(request: Request) -> Message:
    """An answer with a record of every kind."""
    other = MetricRecord({"train-cells": [3, -1, -1], "shares": [0.5]})
    arrays = ArrayRecord({"w": Array(np.zeros(3, np.float32)), "b": Array(np.zeros(2))})
    who = ConfigRecord({"name": "a", "warnings": []})
    return request.reply({"n": 1, "counts": [4, 5]}, other=other, arrays=arrays, who=who)


def refuse(request: Request) -> Message:
    raise PublicInputError("lower curation.margin")


def every_message(site: SiteConfig, config: Config) -> list[Message]:
    told = study_of(config, None)
    sent = {**told.request(told.told.arms[0]), "round": 1}
    with InProcessGrid(client_app(LocalSites([site])), 1) as grid:
        node = next(iter(grid.get_node_ids()))
        return [
            reply
            for kind in MESSAGES
            for reply in grid.send_and_receive(
                [Message(RecordDict({"config": ConfigRecord(sent)}), node, kind)]
            )
        ]


@pytest.mark.parametrize("handler", [answer, refuse])
def test_each_message_type_has_its_line(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    handler: Callable[[Request], Message],
) -> None:
    for place, _ in MESSAGES.values():
        monkeypatch.setattr(place.replace(":", "."), handler)
    site = hospitals()[0]
    replies = every_message(site, study(small(), tmp_path / "real"))
    found = lines(site)
    assert [(line["asked"], line["action"]) for line in found] == [
        (kind, action) for kind, (_, action) in MESSAGES.items()
    ]
    for line, reply in zip(found, replies, strict=True):
        if handler is refuse:
            assert line["error"] == "lower curation.margin"
            continue
        assert line["digest"] == digest_of(reply.content)
        assert line["records"].keys() == reply.content.keys()
        assert line["counts"] == {"said": 3, "suppressed": 2}
        holds = {name: record["holds"] for name, record in line["records"].items()}
        assert holds == {
            "metrics": {"partition-id": 1, "n": 1, "counts": 2},
            "other": {"train-cells": 3, "shares": 1},
            "arrays": 2,
            "who": {"name": 1, "warnings": 0},
        }
        assert line["bytes"] > line["records"]["arrays"]["bytes"] > 28


def test_what_a_release_spends_is_in_the_ledger_and_counted_once_a_draw(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    arms = 'arms=[{name="Once", system="one-shot", augment=false}]'
    real = study(small(arms, "conditioning.epsilon=3.0"), tmp_path / "real")
    site = hospitals()[0]
    for _ in range(2):  # drawn once, and sent again
        asked(site, real, "Once", ("query.release", {}))
    noised = {"bins": 0, "clients": 3, "min-cell": 0, "epsilon": 0.5}
    for _ in range(2):  # an audit draws anew
        (reply,) = asked(site, real, "Once", ("query.audit", noised))
        assert not reply.has_error(), reply.error
    spent = [(line["release"]["epsilon"], line["release"]["delta"]) for line in lines(site)]
    assert spent == [(3.0, 1e-5)] * 2 + [(0.5, 0.0)] * 2
    (total,) = totals(lines(site))
    assert total.epsilon == pytest.approx(3.0 + 2 * 0.5)
    assert total.delta == pytest.approx(1e-5)


def test_description_steering_closed_loop_and_report_live_with_counts_that_are_not_said(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    arms = (
        'arms=[{name="FedAvg"}, {name="Fair", rule="fairfed"}, '
        '{name="Loop", augment=true, replan=1}]'
    )
    real = study(small(arms), tmp_path / "real")
    sites = hospitals(**dict.fromkeys("abc", SUPPRESS))
    play_here(real, sites)
    out = tmp_path / "real"
    told = json.loads((out / "federation.json").read_text())
    splits = told["splits"]["main"]
    hidden = json.dumps(splits).count("null")
    assert hidden
    held = np.array(splits["train"], float)  # None is nan
    rounds = [json.loads(line) for line in (out / "rounds.jsonl").read_text().splitlines()]
    assert {row["arm"] for row in rounds} == {"FedAvg", "Fair", "Loop"}
    for row in rounds:
        assert [client["error"] for client in row["clients"]] == [None] * 3
        assert all(np.isfinite(client["weight"]) for client in row["clients"])
    looped = [row["loop"] for row in rounds if row.get("loop")]
    assert looped
    nowhere = ~(held > 0).any(axis=0)
    assert nowhere.any()
    lower = np.array(looped[0]["lower"], float)
    assert (lower[nowhere] == 0).all()  # of which nobody says a row
    write_report(out)
    page = (out / "report.html").read_text()
    assert f"Clients did not say {hidden} of their numbers of images" in page
    for site in sites:
        ledger = Ledger(Path(site.state.directory))
        assert verified(ledger, site.name, None).wrong == ""
        trained = [line for line in lines(site) if line["asked"] == "train"]
        assert all(sum(line["unsaid"].values()) for line in trained)
        (described,) = (line for line in lines(site) if line["counts"]["suppressed"])
        assert described["asked"] == "query.describe"
