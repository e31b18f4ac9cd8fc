"""A simulation's sites are cut once, and keep nothing by the text of a configuration."""

from __future__ import annotations

import ast
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fairfed
from fairfed.config import Config
from fairfed.server import checked
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.site import Site
from fairfed.sites.workplace import Workplace
from fairfed.system import simulation_of
from tests.fairfed.runs import new_process, play

Small = Callable[..., Config]
ARMS = 'arms=[{name="FedAvg"}, {name="Both", rule="fairfed", augment=true}]'


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often sites and workplaces were built, and data loaded, since the test began."""
    new_process()
    counts: Counter[str] = Counter()

    def count(owner: type, method: str, name: str) -> None:
        plain = getattr(owner, method)

        def counted(self: Any, *given: Any, **further: Any) -> Any:
            counts[name] += 1
            return plain(self, *given, **further)

        monkeypatch.setattr(owner, method, counted)

    count(Site, "__init__", "sites")
    count(Workplace, "__init__", "workplaces")
    count(SimulatedSites, "_load", "loads")
    return counts


def test_a_site_is_built_once_in_a_run_of_three_rounds_and_two_arms(
    small: Small, built: Counter[str]
) -> None:
    config = small(ARMS, "rounds=3")
    checked(config)
    play(config, workers=2)
    assert built == {"sites": 3, "workplaces": 1, "loads": 1}
    play(config)  # continued in this process
    assert built == {"sites": 3, "workplaces": 1, "loads": 1}


def test_another_division_is_cut_once_more(small: Small, built: Counter[str]) -> None:
    play(small('arms=[{name="FedAvg"}, {name="IID", iid=true}]'))
    assert built == {"sites": 6, "workplaces": 1, "loads": 2}


def test_another_run_has_sites_of_its_own(small: Small) -> None:
    one, two = small(), small("seed=1")
    assert simulation_of(one) is simulation_of(small())
    assert simulation_of(two) is not simulation_of(one)


def test_sites_travel_to_a_worker_without_their_data(small: Small) -> None:
    sites = simulation_of(small())
    sites.data()
    text = pickle.dumps(sites)
    assert len(text) < 10_000
    assert pickle.loads(text) is sites  # here there are some already
    new_process()
    there = pickle.loads(text)
    assert there is not sites
    assert there.study == sites.study
    assert there.fingerprint() == sites.fingerprint()


def test_a_sites_rows_are_those_that_the_federation_gives_it(small: Small) -> None:
    sites = simulation_of(small())
    data = sites.images
    for index in range(3):
        site = sites.cut(index, sites.study)
        parts = (site.rows.train, data.train[index]), (site.rows.test, data.test[index])
        for own, of_all in parts:
            assert np.array_equal(site.images.images[own], data.table.images[np.sort(of_all)])
            assert np.array_equal(site.table.labels[own], data.table.labels[np.sort(of_all)])


CACHES = {"lru_cache", "cache", "once"}
TEXTS = {"toml", "text", "config", "configuration", "study"}


def _kept_by_configuration(tree: ast.AST) -> Iterator[str]:
    """Functions whose values are kept by a configuration, or its text."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        names = {
            part.id if isinstance(part, ast.Name) else part.attr
            for decorator in node.decorator_list
            for part in ast.walk(decorator)
            if isinstance(part, ast.Name | ast.Attribute)
        }
        given = {argument.arg for argument in node.args.args}
        if names & CACHES and given & TEXTS:
            yield node.name


def test_nothing_is_kept_by_the_text_of_a_configuration() -> None:
    found = {
        f"{path.name}: {name}"
        for path in Path(fairfed.__file__).parent.rglob("*.py")
        for name in _kept_by_configuration(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


def test_the_search_finds_what_it_looks_for() -> None:
    code = "@functools.lru_cache(maxsize=4)\ndef f(toml: str): ...\n@once(LOCK)\ndef g(config): ..."
    assert list(_kept_by_configuration(ast.parse(code))) == ["f", "g"]
    assert list(_kept_by_configuration(ast.parse("@cache\ndef f(name): ..."))) == []
