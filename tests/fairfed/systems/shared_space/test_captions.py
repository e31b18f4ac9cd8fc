"""Which captions are trained on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fairfed.config import Config
from fairfed.systems.shared_space.embeddings import captions, telling
from fairfed.systems.shared_space.examples import training_examples
from fairfed.systems.shared_space.variants import COMPARED
from semantic.measures import WORDS
from tests.fairfed.runs import logged, run_of
from tests.fairfed.systems.shared_space.clients import everything, site_of

ROWS = np.arange(96)
ATTRIBUTES = ("handle", "laces", "long", "sleeves")
Small = Callable[..., Config]


def test_a_caption_tells_if_it_holds_more_than_name_and_group(small_shared: Small) -> None:
    everybody = everything(small_shared())
    kept = set(telling(everybody, ROWS).tolist())
    told = {row for row, text in enumerate(captions(everybody, ROWS)) if "," in text}
    assert kept == told
    assert 0 < len(kept) < len(ROWS)
    for row in kept:
        text = captions(everybody, np.array([row]))[0]
        assert any(word in text for word in (*ATTRIBUTES, *WORDS))
    assert len(telling(everybody, ROWS[:0])) == 0


def test_a_caption_is_the_same_wherever_its_row_is(small_shared: Small) -> None:
    config = small_shared()
    site, everybody = site_of(config, 3), everything(config)
    assert site.table.rows is not None
    assert captions(site, site.own.rows) == captions(everybody, site.table.rows[site.own.rows])


@pytest.mark.parametrize("client", [2, 3])
def test_what_tells_nothing_is_left_out_of_training(small_shared: Small, client: int) -> None:
    every, some = (
        site_of(small_shared(f"shared.telling_captions={asked}"), client)
        for asked in ("false", "true")
    )
    kept = telling(some, some.own.rows)
    found = [training_examples(site, COMPARED["captions"], True, {}) for site in (every, some)]
    assert 0 < len(kept) < len(some.own.rows)
    assert found[0].n_real - found[1].n_real == len(some.own.rows) - len(kept)
    written = found[1].texts[: found[1].n_real]
    labels = found[1].labels[: found[1].n_real][written]
    assert labels.tolist() == some.table.labels[kept].tolist()


def test_a_run_says_how_many_captions_it_trains_on(small_shared: Small) -> None:
    changes = ("rounds=1", "shared.variants=['captions']", "shared.telling_captions=true")
    config = small_shared(*changes)
    run = run_of(config)
    text = (config.run_directory / "results.md").read_text()
    for client in (2, 3):
        site = site_of(config, client)
        rows = site.own.rows
        used = len(telling(site, rows))
        line = next(line for line in text.splitlines() if line.startswith(f"- Client {client}:"))
        assert f"{len(rows)} captions" in line
        assert f"({used} of the captions say more" in line
    assert "say more" not in text.split("- Client 2")[0]
    (row,) = logged(run)
    assert row["clients"][3]["n_real"] == used
