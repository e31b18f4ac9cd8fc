"""`python -m fairfed`: the command line."""

from __future__ import annotations

from fairfed.cli import main

if __name__ == "__main__":
    main()
