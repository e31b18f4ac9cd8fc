"""The error that ends a run through no mistake of the user's input."""

from __future__ import annotations


class RunError(RuntimeError):
    """The federation cannot go on: clients do not answer, or fail in round after round.

    The command line prints the message alone and exits with code 1; what was finished is kept.
    """
