"""Every rule with every local debiasing, over a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from fairfed.config import parse_config
from fairfed.config.arms import RULES, Debias
from fairfed.data.tables import register_frame
from fairfed.rounds import checkpoint
from fairfed.server import checked
from tests.fairfed.runs import play

ROUNDS = 2


@pytest.mark.parametrize("debias", get_args(Debias))
def test_every_rule_trains_on_a_table(people: pd.DataFrame, tmp_path: Path, debias: str) -> None:
    register_frame("people", people)
    # Parity weighs examples itself, and refuses to have them weighed again.
    rules = [rule for rule in RULES if rule != "parity" or debias == "none"]
    arms = "\n".join(f'[[arms]]\nname = "{rule}"\nrule = "{rule}"' for rule in rules)
    config = parse_config(
        f"""
        rounds = {ROUNDS}
        out = "{tmp_path}/run"
        model = "logistic"
        [data]
        source = "frame:people"
        label = "loan"
        sensitive = ["sex"]
        client = "site"
        table = {{ positive = "yes" }}
        [partition]
        name = "column"
        [train]
        debias = "{debias}"
        [fairness]
        probe_source = "validation"
        {arms}
        """,
        "x",
    )
    checked(config)
    play(config)
    lines = [
        json.loads(line)
        for line in (config.run_directory / "rounds.jsonl").read_text().splitlines()
    ]
    assert len(lines) == ROUNDS * len(config.arms)
    for line in lines:
        assert [client["error"] for client in line["clients"]] == [None] * 3
        weights = np.array([client["weight"] for client in line["clients"]], float)
        assert np.isfinite(weights).all()
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1)
    for arm in config.arms:
        end = checkpoint.load(config.run_directory / "checkpoints" / f"{arm.slug}.npz").arrays
        assert all(np.isfinite(array).all() for array in end.values())
        assert any(array.any() for array in end.values()), "it starts at zero"
