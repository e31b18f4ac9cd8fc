"""A small synthetic table."""

from __future__ import annotations

import numpy as np
import pandas as pd

ROWS = 240


def loans() -> pd.DataFrame:
    """Loans that depend on income; towns of which one is rare; ages of which some are unknown."""
    rng = np.random.default_rng(0)
    income = rng.normal(30, 10, ROWS).round(2)
    return pd.DataFrame(
        {
            "age": [str(age) if age % 9 else "?" for age in rng.integers(18, 90, ROWS)],
            "income": income.astype(str),
            "town": np.where(np.arange(ROWS) == 7, "Hamlet", rng.choice(["A", "B"], ROWS)),
            "sex": rng.choice(["f", "m"], ROWS),
            "race": rng.choice(["x", "y", "z"], ROWS, p=[0.6, 0.3, 0.1]),
            "site": rng.choice(["one", "two", "three"], ROWS),
            "loan": np.where(income + rng.normal(0, 4, ROWS) > 30, "yes", "no"),
        }
    )
