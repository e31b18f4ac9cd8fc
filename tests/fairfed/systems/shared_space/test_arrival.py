"""A class that arrives during a run: when it is served, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fairfed.config import Config
from fairfed.server import checked
from fairfed.systems.shared_space.classes import synthesiser
from semantic.errors import InputError
from tests.fairfed.runs import logged, outcome_of, place_of, run_of

Small = Callable[..., Config]


def test_class_is_served_from_its_round_and_trained_on_from_the_next(small_arrival: Small) -> None:
    # Hardly trained and not centred, so that CLIP's own guesses remain: bags among them.
    own = ("train.lr=1e-9", "shared.centre=false", "arrival.class_name=bag")
    config = small_arrival(*own)
    folder = run_of(config)
    bag = place_of(config).labels.classes.index("bag")
    rows = {(row["arm"], row["round"]): row["clients"] for row in logged(folder)}
    for name in ("Described", "Described and synthesised", "Real images of it"):
        guessed = [
            sum(np.array(c["test_counts"])[:, :, bag].sum() for c in rows[name, number])
            for number in (1, 2)
        ]
        assert guessed[0] == 0
        assert guessed[1] > 0
    assert [c["n_synthetic"] for c in rows["Described and synthesised", 3]] == [6, 6, 6]
    assert not any(c["n_synthetic"] for c in rows["Described and synthesised", 2])
    real = [rows["Real images of it", number][0]["n_real"] for number in (2, 3)]
    assert real[0] < real[1]
    outcome = outcome_of(folder)
    assert outcome["arrival"]["memory"].startswith("A bag is like a ")
    assert outcome["variants"][0]["before"] == 0
    assert "| Described and synthesised |" in (folder / "results.md").read_text()


def test_without_recall_the_class_is_composed_from_its_attributes(small_arrival: Small) -> None:
    place = place_of(small_arrival("arrival.recall=false", "arrival.class_name=coat"))
    coat, dress = (place.labels.classes.index(name) for name in ("coat", "dress"))
    new, seen = (synthesiser(place).request(label, 0, 0) for label in (coat, dress))
    assert "coat" not in new.prompt
    assert "sleeves" in new.prompt
    assert "dress" in seen.prompt


def test_a_class_that_nothing_describes_is_found_before_it_arrives(
    small_arrival: Small, tmp_path: Path
) -> None:
    table = "class,prompt,handle,laces,long\nbag,bag,1,0,0\nboot,boot,0,1,0\ncoat,coat,0,0,0\n"
    (tmp_path / "bare.csv").write_text(table + "dress,dress,0,0,1\n")
    bare = (f"semantic.attributes={tmp_path}/bare.csv", "shared.class_text=name")
    checked(small_arrival(*bare))
    with pytest.raises(InputError, match="'coat' has no attribute of at least 0.5"):
        checked(small_arrival(*bare, "arrival.recall=false"))
    checked(small_arrival(*bare, "arrival.recall=false", "arrival.variants=['described']"))
