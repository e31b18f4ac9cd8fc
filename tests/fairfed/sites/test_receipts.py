"""What the coordinator signs of the answers that it got, and what a site makes of it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fairfed.config import Config
from fairfed.config.site import SiteConfig, SiteCoordinator
from fairfed.engines.private import records_from_bytes, records_to_bytes
from fairfed.sites.ledger import Ledger
from fairfed.sites.ledger_reading import Verified, verified
from fairfed.sites.receipts import (
    Receipts,
    digest_of,
    public_text,
    sign,
    signing_key,
    to_note,
    verify,
)
from semantic.errors import InputError
from tests.fairfed.sites.conftest import Hospitals, study
from tests.fairfed.sites.test_what_leaves import asked, lines

Small = Callable[..., Config]


def content(value: float = 1.5, **more: Any) -> RecordDict:
    return RecordDict(
        {
            "metrics": MetricRecord({"loss": value, "counts": [1, 2], **more}),
            "who": ConfigRecord({"name": "north", "warnings": []}),
            "arrays": ArrayRecord(
                {"w": Array(np.arange(6.0).reshape(2, 3)), "b": Array(np.ones(2))}
            ),
        }
    )


def test_a_digest_is_the_same_where_it_is_sent_and_where_it_arrives() -> None:
    sent = content()
    assert digest_of(sent) == digest_of(records_from_bytes(records_to_bytes(sent)))
    others = [content(1.6), content(more=1), content(), content()]
    others[2]["arrays"] = ArrayRecord({"w": Array(np.arange(6.0)), "b": Array(np.ones(2))})
    others[3]["arrays"] = ArrayRecord({"w": Array(np.arange(6.0).reshape(2, 3))})
    assert len({digest_of(one) for one in (sent, *others)}) == 5


def test_a_receipt_is_of_one_answer_of_one_site_by_one_key(tmp_path: Path) -> None:
    key, other = (signing_key(tmp_path / name) for name in ("a.pem", "b.pem"))
    digest, _, signature = sign(key, "north", "ab" * 32).partition(":")
    assert verify(public_text(key), "north", digest, signature)
    assert not verify(public_text(other), "north", digest, signature)
    assert not verify(public_text(key), "south", digest, signature)
    assert not verify(public_text(key), "north", "cd" * 32, signature)
    assert not verify(public_text(key), "north", digest, "not base64")


def test_nobody_else_may_read_the_signing_key(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "receipts.pem"
    made = signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_text(signing_key(path)) == public_text(made)
    path.write_text("something else")
    with pytest.raises(InputError, match=r"receipts\.pem: no private key for receipts"):
        signing_key(path)


def test_a_receipt_is_given_until_the_site_has_answered(tmp_path: Path) -> None:
    owed = Receipts(tmp_path / "key.pem")
    assert owed.texts("north") == []
    owed.got("north", content(1))
    first = owed.texts("north")
    assert first == owed.texts("north")  # whom the request did not reach
    assert owed.texts("south") == []
    owed.got("north", content(2))  # an answer to the one that brought it
    (second,) = owed.texts("north")
    assert second not in first


def test_known_answers_and_signed_receipts_are_noted_once(tmp_path: Path) -> None:
    key, stranger = (signing_key(tmp_path / name) for name in ("a.pem", "b.pem"))
    had, lost = "ab" * 32, "cd" * 32
    entries = [{"asked": "train", "digest": had}]
    mine = [sign(key, "north", digest) for digest in (had, lost)]
    texts = [*mine, mine[0], sign(stranger, "north", had), sign(stranger, "north", lost), "junk:x"]
    noted = list(to_note(texts, entries, "north", public_text(key)))
    found = [(one["receipt"], one["verified"]) for one in noted]
    assert found == [(had, True), (lost, True), (had, False)]
    assert not list(to_note(texts, [*entries, *noted], "north", public_text(key)))
    unknown = list(to_note(mine, entries, "north", None))
    assert [(one["receipt"], one["verified"]) for one in unknown] == [(had, None)]


@pytest.mark.parametrize("known", [True, False])
def test_receipts_that_come_with_a_request_are_in_the_ledger(
    small: Small,
    hospitals: Hospitals,
    tmp_path: Path,
    known: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real, owed = study(small(), tmp_path / "real"), Receipts(tmp_path / "key.pem")
    key = public_text(signing_key(tmp_path / "key.pem"))
    site = hospitals()[0]
    if known:
        site = site.model_copy(update={"coordinator": SiteCoordinator(receipts_key=key)})
    (first,) = asked(site, real, "FedAvg", ("query.describe", {}))
    owed.got("a", first.content)
    strange = sign(signing_key(tmp_path / "other.pem"), "a", digest_of(first.content))
    brought = [*owed.texts("a"), strange]
    (second,) = asked(site, real, "FedAvg", ("query.describe", {"receipts": brought}))
    assert not second.has_error()
    kinds = ["receipt" if "receipt" in line else "answer" for line in lines(site)]
    assert kinds == ["answer", "receipt", "receipt", "answer"]
    assert ("is not signed by the coordinator" in caplog.text) == known
    found = walk(site)
    assert found.wrong == ""
    said = found.answers, found.receipted, found.unverified, found.invalid
    assert said == ((2, 2, 0, 1) if known else (2, 0, 2, 0))


def walk(site: SiteConfig) -> Verified:
    ledger = Ledger(Path(site.state.directory))
    return verified(ledger, site.name, site.coordinator.receipts_key)
