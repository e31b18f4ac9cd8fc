"""What rules, signals, aggregators and server optimisers have in common.

Each is a dataclass: its fields are its parameters (`number` gives one a range), and what it keeps
from round to round (`kept`) is in every checkpoint.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np

from fairfed.rounds.arrays import Model, add_prefixes, strip_prefixes
from semantic.errors import InputError
from semantic.own_code import OWN, own_class

UNKNOWN = "{what} '{name}': expected one of {known}"
NOT_DERIVED = "{what} '{name}' is not derived from {base.__module__}.{base.__qualname__}"
NO_OPTION = "{what} '{name}' has no option '{option}'; it has: {known}"
OUT_OF_RANGE = "{name} = {value}: expected {expected}"


def number(
    default: Any = dataclasses.MISSING,
    low: float = 0.0,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> Any:
    """Declare a parameter and its range, which is checked as by :func:`check_range`."""
    limits = {"low": low, "high": high, "above": above, "below": below}
    return dataclasses.field(default=default, metadata={"limits": limits})


def _nothing() -> None:
    return None


def kept(start: Callable[[], Any] = _nothing, *, large: bool = False) -> Any:
    """Declare what a part keeps from round to round; the field's name begins with ``_``.

    Parameters
    ----------
    start : callable
        Makes what it is before the first round; None by default.
    large : bool
        It is as large as a model: arrays by name. Else it is an array of float64, a number, or a
        dict of one of these by client, and JSON holds it.
    """
    kind = {"kept": "arrays" if large else "json"}
    return dataclasses.field(default_factory=start, init=False, repr=False, metadata=kind)


class Part:
    """A named, configurable piece of the server that a checkpoint can hold.

    Subclasses are dataclasses. Fields of the constructor are parameters.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for own in dataclasses.fields(self):  # type: ignore[arg-type]
            if "limits" in own.metadata:
                check_range(own.name, getattr(self, own.name), **own.metadata["limits"])

    def parameters(self) -> dict[str, Any]:
        """Return the parameters by name, for logs and checkpoints."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.init and isinstance(getattr(self, field.name), int | float | str)
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the state that JSON can hold."""
        return {name: _plain(getattr(self, f"_{name}")) for name in self._kept("json")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; what it lacks stays as it was."""
        for name in self._kept("json"):
            if name in state:
                setattr(self, f"_{name}", _recalled(state[name]))

    def state_arrays(self) -> Model:
        """Return the state that is as large as a model."""
        found = {name: getattr(self, f"_{name}") for name in self._kept("arrays")}
        return dict(*found.values()) if len(found) == 1 else add_prefixes(found)

    def load_state_arrays(self, arrays: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_arrays` returned."""
        names = self._kept("arrays")
        parts = (dict(arrays),) if len(names) == 1 else strip_prefixes(arrays, *names)
        for name, own in zip(names, parts, strict=False):
            setattr(self, f"_{name}", own)

    def _kept(self, kind: str) -> list[str]:
        """Names of what is remembered, as JSON or as arrays."""
        every = dataclasses.fields(self)  # type: ignore[arg-type]
        return [f.name.removeprefix("_") for f in every if f.metadata.get("kept") == kind]

    def __str__(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in self.parameters().items())
        return f"{self.name} ({settings})" if settings else self.name


def _plain(value: Any) -> Any:
    """Return a small state as JSON holds it exactly."""
    if isinstance(value, dict):
        return {str(client): _plain(own) for client, own in sorted(value.items())}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _recalled(value: Any) -> Any:
    """Undo :func:`_plain`."""
    if isinstance(value, dict):
        return {int(client): _recalled(own) for client, own in value.items()}
    return np.asarray(value, np.float64) if isinstance(value, list) else value


Kind = TypeVar("Kind")


class Registry(dict[str, type[Kind]]):
    """The classes of one sort of part by name, and a user's own as ``module:Class``.

    Parameters
    ----------
    what : str
        What they are, for errors: ``"rule"``.
    base : type
        What all of them, a user's own included, are derived from.
    classes : sequence of type
        Dataclasses with a `name`.
    """

    def __init__(self, what: str, base: type[Any], *classes: type[Kind]) -> None:
        super().__init__({kind.name: kind for kind in classes})  # type: ignore[attr-defined]
        self._what, self._base = what, base

    def named(self, name: str) -> type[Kind]:
        """Return a class.

        Raises
        ------
        InputError
            There is none of this name, or it is of another sort.
        """
        if name in self:
            return self[name]
        if not OWN.fullmatch(name):
            raise InputError(UNKNOWN.format(what=self._what, name=name, known=", ".join(self)))
        found = own_class(name, self._what)
        if not issubclass(found, self._base):
            raise InputError(NOT_DERIVED.format(what=self._what, name=name, base=self._base))
        return found

    def make(self, name: str, options: Mapping[str, Any]) -> Kind:
        """Build a part.

        Parameters
        ----------
        name : str
            Which one.
        options : mapping
            Parameters that differ from the defaults.

        Raises
        ------
        InputError
            Unknown name or option, an option that is no number, or one out of its range.
        """
        kind = self.named(name)
        known = parameter_names(kind)
        for option, value in options.items():
            if option not in known:
                listed = ", ".join(known) or "none"
                raise InputError(
                    NO_OPTION.format(what=self._what, name=name, option=option, known=listed)
                )
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(
                    OUT_OF_RANGE.format(name=option, value=repr(value), expected="number")
                )
        return kind(**options)


def parameter_names(kind: type[Any]) -> list[str]:
    """Return the names of a part's parameters."""
    return [own.name for own in dataclasses.fields(kind) if own.init]


def check_range(
    name: str,
    value: float,
    low: float = 0.0,
    high: float = math.inf,
    *,
    above: bool = False,
    below: bool = False,
) -> None:
    """Refuse a number outside ``[low, high]``; ``above`` and ``below`` exclude the ends."""
    fits = low < value if above else low <= value
    fits = fits and (value < high if below else value <= high)
    if fits and math.isfinite(value):
        return
    expected = f"more than {low:g}" if above else f"a number of at least {low:g}"
    if math.isfinite(high):
        expected += f" and {'less than' if below else 'at most'} {high:g}"
    raise InputError(OUT_OF_RANGE.format(name=name, value=value, expected=expected))
