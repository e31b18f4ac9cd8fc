"""The errors that are fairfed's own: the end of a run, and what a client may say of its errors."""

from __future__ import annotations

from semantic.errors import InputError


class RunError(RuntimeError):
    """The federation cannot go on: clients do not answer, or fail in round after round.

    The command line prints the message alone and exits with code 1; what was finished is kept.
    """


class PublicInputError(InputError):
    """Wrong input whose message says nothing of a client's data, so that a client may send it."""


class WithheldError(RuntimeError):
    """What a client raises for an error of which it says the kind alone.

    Its log has the error itself already: see `fairfed.engines.redaction`.
    """
