"""Classes of a user's own, which a configuration names as `module:Class`.

Naming one runs its module: only a configuration that is trusted like a program may do so, never a
message from elsewhere.
"""

from __future__ import annotations

import importlib
import re

from semantic.errors import InputError

_NAME = r"[A-Za-z_]\w*"
OWN_CLASS = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}")
"""What names a class of one's own."""


def own_class(name: str, setting: str) -> type:
    """Import the class that a setting names.

    Parameters
    ----------
    name
        `module:Class`; Python must find the module.
    setting
        What errors call it.

    Raises
    ------
    InputError
        If there is no such module, or no such class in it.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{setting} {name!r}: {error}; install it beside fairfed, or name its folder in "
            "PYTHONPATH"
        ) from error
    if not isinstance(found, type):
        raise InputError(f"{setting} {name!r}: module {module!r} has no class {attribute!r}")
    return found
