"""Importing the package stays light, and it imports none of the others."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "matplotlib", "jinja2", "markupsafe", "fairlearn", "sklearn", "pandas", "scipy")
OTHERS = ("fairfed", "generators", "semantic")


def test_importing_the_package_costs_numpy_only() -> None:
    program = f"import sys, evaluation;print([m for m in {HEAVY + OTHERS!r} if m in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
