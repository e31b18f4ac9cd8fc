"""Sums under masks among real sites: who signs, what is refused; nothing is summed twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

from fairfed.client import client_app
from fairfed.config import Config
from fairfed.config.site import SiteConfig
from fairfed.engines.inprocess import InProcessGrid
from fairfed.errors import RunError
from fairfed.rounds import checkpoint
from fairfed.sites.keys import key_file, make_site_key
from fairfed.sites.local import LocalSites
from fairfed.sites.study import study_of
from tests.fairfed.conftest import CLIENTS
from tests.fairfed.runs import logged
from tests.fairfed.sites.conftest import Hospitals, play_here, study
from tests.fairfed.sites.test_what_leaves import lines

Small = Callable[..., Config]
ONE_ARM = 'arms=[{name="FedAvg"}]'
SECURE = "privacy.secure_sum=true"
Answered = dict[str, Message]
Begin = Callable[[Config, list[SiteConfig]], "_Coordinator"]


def _acquainted(hospitals: Hospitals, policy: str = "", **own: str) -> list[SiteConfig]:
    """Sites that know each other's keys; `own` replaces what one has in [peers]."""
    keys = {site.name: make_site_key(key_file(site), site.name).strip() for site in hospitals()}
    texts = {}
    for name in keys:
        others = "".join(f'{other} = "{key}"\n' for other, key in keys.items() if other != name)
        texts[name] = f"{policy}[peers]\n{own.get(name, others)}"
    return hospitals(**texts)


class _Coordinator:
    """A server that asks what it likes, of the sites as they are after their last answer."""

    def __init__(self, grid: InProcessGrid, config: Config, sites: list[SiteConfig]) -> None:
        self._told, self._arm, self._grid = study_of(config, None), config.arms[0], grid
        self._nodes = dict(
            zip((site.name for site in sites), self._grid.get_node_ids(), strict=True)
        )
        self._model = ArrayRecord(self._told.place.model(self._arm).state_dict())

    def ask(self, kind: str, by_name: dict[str, dict[str, Any]]) -> Answered:
        """Replies by site; the order of the fields is that of the sites."""
        requests = []
        for name, sent in by_name.items():
            place = CLIENTS.index(name)
            config = {**self._told.request(self._arm), "round": 1, "client": place, **sent}
            content = {"config": ConfigRecord(config), "arrays": self._model}
            requests.append(Message(RecordDict(content), self._nodes[name], kind))
        replies = self._grid.send_and_receive(requests)
        return {CLIENTS[r.metadata.src_node_id - 1000]: r for r in replies}

    def keys(self) -> dict[str, Any]:
        """All sites' keys, as they are passed on."""
        found = self.ask("train", {name: {} for name in self._nodes})
        assert not any(r.has_error() for r in found.values()), [r.error for r in found.values()]
        records = {name: dict(r.content.config_records["keys"]) for name, r in found.items()}
        return {
            "names": list(records),
            "publics": [own["public"] for own in records.values()],
            "signatures": [own["signature"] for own in records.values()],
        }

    def sealed(self, keys: dict[str, Any]) -> dict[str, dict[str, bytes]]:
        """Shares by who sent them, and for whom."""
        found = self.ask("query.share", dict.fromkeys(keys["names"], keys))
        records = {name: r.content.config_records["shares"] for name, r in found.items()}
        return {
            name: dict(zip(own["names"], own["sealed"], strict=True))  # type: ignore[arg-type]
            for name, own in records.items()
        }

    def masked(
        self, shares: dict[str, dict[str, bytes]], weights: list[float], whom: list[str]
    ) -> Answered:
        """Summands of those in `whom`."""
        return self.ask(
            "query.mask",
            {
                name: {
                    "names": whom,
                    "sealed": [shares[other][name] for other in whom],
                    "weights": weights,
                }
                for name in whom
            },
        )


@pytest.fixture
def coordinator() -> Iterator[Begin]:
    """Begins a run with a coordinator of its own, and ends the one before."""
    with ExitStack() as stack:

        def begin(config: Config, sites: list[SiteConfig]) -> _Coordinator:
            stack.close()
            grid = InProcessGrid(client_app(LocalSites(sites)), len(sites))
            return _Coordinator(stack.enter_context(grid), config, sites)

        yield begin


@pytest.fixture
def real(small: Small, tmp_path: Path) -> Config:
    """A study with masks; one of three sites may be lost."""
    return study(small(ONE_ARM, SECURE, "privacy.threshold=0.5"), tmp_path / "real")


def test_a_study_of_real_sites_ends_with_the_plain_models(
    real: Config, small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    sites = _acquainted(hospitals, '[policy]\nweights = "masked"\n')
    play_here(real, sites)
    left = lines(sites[0])
    plain = study(small(ONE_ARM), tmp_path / "plain")
    play_here(plain, _acquainted(hospitals))
    one, other = (
        checkpoint.load(config.run_directory / "checkpoints" / "fedavg.npz").arrays
        for config in (real, plain)
    )
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=0, atol=1e-6)
    kinds = [line["asked"] for line in left]
    assert kinds.count("query.mask") == kinds.count("train") == 2
    line = next(line for line in left if line["asked"] == "query.open")
    assert line["action"] == "mask"
    assert line["records"]["parts"]["holds"] == {"names": 3, "sealed": 3}


def test_weights_that_leave_under_masks_alone_do_not_leave_otherwise(
    small: Small, hospitals: Hospitals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = study(small(ONE_ARM), tmp_path / "plain")
    with pytest.raises(RunError):
        play_here(plain, _acquainted(hospitals, '[policy]\nweights = "masked"\n'))
    assert "policy.weights: the study asks for weights or sums as they are" in caplog.text


def test_a_key_that_another_site_has_not_signed_is_refused(
    real: Config,
    hospitals: Hospitals,
    coordinator: Begin,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = make_site_key(tmp_path / "other", "b").strip()
    stranger = f'b = "{other}"\nc = "{other}"\n'
    sites = _acquainted(hospitals, a=stranger)
    server = coordinator(real, sites)
    keys = server.keys()
    replies = server.ask("query.share", dict.fromkeys(CLIENTS, keys))
    assert [reply.has_error() for reply in replies.values()] == [True, False, False]
    assert "is not signed by b" in caplog.text
    assert "InputError at client 0" in replies["a"].error.reason


def test_a_site_that_knows_no_peers_says_what_to_do(
    real: Config, hospitals: Hospitals, coordinator: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    server = coordinator(real, _acquainted(hospitals, a=""))
    replies = server.ask("query.share", dict.fromkeys(CLIENTS, server.keys()))
    assert replies["a"].has_error()
    assert "peers: b takes part in the sum, and this site does not know its key" in caplog.text


def test_a_site_without_a_key_of_its_own_is_told_to_join(
    real: Config, hospitals: Hospitals, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RunError):
        play_here(real, hospitals())
    assert "`fairfed site join` makes the site's key" in caplog.text


def test_too_few_sites_are_no_sum(
    real: Config, hospitals: Hospitals, coordinator: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    server = coordinator(
        real.model_copy(update={"min_sites": 3}),
        _acquainted(hospitals, "[policy]\nmin_sites = 3\n"),
    )
    keys = server.keys()
    two = {name: values[:2] for name, values in keys.items()}
    replies = server.ask("query.share", {"a": two, "b": two})
    assert all(reply.has_error() for reply in replies.values())
    assert "policy.min_sites: the sum would be of 2 sites, and must be of at least 3" in caplog.text


def test_a_sum_that_is_nearly_all_of_one_site_is_refused_by_that_one(
    real: Config, hospitals: Hospitals, coordinator: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    server = coordinator(real, _acquainted(hospitals))
    shares = server.sealed(server.keys())
    replies = server.masked(shares, [1.0, 1e-9, 0.0], list(CLIENTS))
    assert [reply.has_error() for reply in replies.values()] == [True, False, False]
    assert "policy.max_share: this site would be 100% of the sum, allowed are 90%" in caplog.text


def test_nothing_is_summed_twice_in_another_way(
    real: Config, hospitals: Hospitals, coordinator: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    sites = _acquainted(hospitals)
    everyone, weights = list(CLIENTS), [0.4, 0.3, 0.3]
    server = coordinator(real, sites)
    shares = server.sealed(server.keys())
    first = server.masked(shares, weights, everyone)
    again = server.masked(shares, weights, everyone)
    for name, reply in first.items():
        one, same = (dict(r.content.array_records["arrays"]) for r in (reply, again[name]))
        assert {n: a.data for n, a in one.items()} == {n: a.data for n, a in same.items()}
    assert all(r.has_error() for r in server.masked(shares, [0.3, 0.3, 0.4], everyone).values())
    # Nor in another run of the same study, with one site fewer.
    later = coordinator(real, sites)
    shares = later.sealed(later.keys())
    assert all(r.has_error() for r in later.masked(shares, [0.5, 0.5], ["a", "b"]).values())
    assert caplog.text.count("has been summed already, with other sites or other weights") == 5
    assert not any(r.has_error() for r in later.masked(shares, weights, everyone).values())


def test_a_sum_is_opened_in_one_way_and_of_enough_sites(
    real: Config, hospitals: Hospitals, coordinator: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    server = coordinator(real, _acquainted(hospitals))
    shares = server.sealed(server.keys())
    server.masked(shares, [0.4, 0.3, 0.3], list(CLIENTS))
    (alone,) = server.ask("query.open", {"a": {"names": ["a"]}}).values()
    assert alone.has_error()
    assert "1 of 3 sites are left of a sum, and 2 must be" in caplog.text
    (two,) = server.ask("query.open", {"a": {"names": ["a", "b"]}}).values()
    assert not two.has_error()
    (other,) = server.ask("query.open", {"a": {"names": ["a", "c"]}}).values()
    assert other.has_error()  # c's own seed and its pairing key together would open c's summand


def test_a_lost_site_is_no_reason_to_stop(real: Config, hospitals: Hospitals, small: Small) -> None:
    sites = _acquainted(hospitals)
    play_here(real, sites[:2])
    last = logged(real)[-1]
    assert [row["weight"] > 0 for row in last["clients"]] == [True, True]
