"""The error that names what a user can fix."""

from __future__ import annotations


class InputError(ValueError):
    """Wrong input from the user: the message names it, what was expected and what to do.

    The command line prints the message alone and exits with code 2.
    """
