"""`python -m fairfed`: the command line."""

from __future__ import annotations

import sys
from pathlib import Path

# Python puts the working directory before all that is installed: a script there called
# `evaluation.py` would be taken for our package. The command `fairfed` does not look there either.
if sys.path and Path(sys.path[0]).resolve() == Path.cwd() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from fairfed.cli import main

if __name__ == "__main__":
    main()
