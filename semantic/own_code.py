"""Classes, functions and objects of a user's own, which a configuration names as `module:object`.

Naming one runs its module: only a configuration that is trusted like a program may do so, never a
message from elsewhere that the receiver has not allowed to.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

from semantic.errors import InputError

_NAME = r"[A-Za-z_]\w*"
OWN = re.compile(rf"{_NAME}(\.{_NAME})*:{_NAME}")
"""What names something of one's own."""


def own_object(name: str, setting: str, kind: str = "object") -> Any:
    """Import what a setting names as `module:object`; Python must find the module.

    Errors call it by the setting, and the object by its kind.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{setting} {name!r}: {error}; install it beside fairfed, or name its folder in "
            "PYTHONPATH"
        ) from error
    if found is None:
        raise InputError(f"{setting} {name!r}: module {module!r} has no {kind} {attribute!r}")
    return found


def own_class(name: str, setting: str) -> type:
    """Import the class that a setting names; see `own_object`."""
    found = own_object(name, setting, "class")
    if not isinstance(found, type):
        raise InputError(f"{setting} {name!r}: it is no class, but {found!r}")
    return found


def own_function(name: str, setting: str) -> Callable[..., Any]:
    """Import the function, or whatever else can be called, that a setting names."""
    found = own_object(name, setting, "function")
    if not callable(found):
        raise InputError(f"{setting} {name!r}: it is no function, but {found!r}")
    return found  # type: ignore[no-any-return]
