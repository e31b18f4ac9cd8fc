"""The table of what the clients hold, on a terminal of 80 columns."""

from __future__ import annotations

import io

import numpy as np
from rich.console import Console

from fairfed.cli.tables import print_federation


def test_every_count_is_whole_at_80_columns() -> None:
    cells = np.arange(3 * 19 * 4).reshape(3, 19, 4) + 2500
    cells[0, 0] = 0
    out = io.StringIO()
    federation = {
        "unit": "images", "clients": ["0", "1", "2"], "sensitive": "sex",
        "splits": {"main": {"train": cells.tolist()}},
        "classes": [f"class {n}" for n in range(19)], "groups": ["f", "m", "x", "y"],
    }  # fmt: skip
    print_federation(Console(file=out, width=80), federation)
    said = out.getvalue()
    lines = [line.split() for line in said.splitlines()]
    assert max(map(len, said.splitlines())) <= 80
    for client in range(3):
        found = [word for line in lines if line[:1] == [str(client)] for word in line[1:]]
        expected = [*cells[client].sum(1).tolist(), *cells[client].sum(0).tolist()]
        assert [0 if word == "·" else int(word) for word in found] == expected
    assert said.count("Training images per client") == 1
