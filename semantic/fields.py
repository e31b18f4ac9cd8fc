"""Fields of plain data that a site hands on, refused by name where one is not as it should be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from semantic.arrays import Floats
from semantic.errors import InputError


@dataclass(frozen=True)
class Fields:
    """The fields of a record; every method raises `InputError` for one that is missing or wrong."""

    kind: str
    """What errors call the record, in the plural."""
    record: Mapping[str, Any]

    @classmethod
    def of(cls, kind: str, format_: str, record: Any) -> Fields:
        """Refuse what is no record of this format."""
        if not isinstance(record, dict) or record.get("format") != format_:
            raise InputError(f"these are no {kind}: their format is not {format_!r}")
        return cls(kind, record)

    def __getitem__(self, name: str) -> Any:
        if name not in self.record:
            raise self.wrong(name, "missing; write them anew")
        return self.record[name]

    def wrong(self, name: str, what: str) -> InputError:
        """The error that a field is, or has, `what`."""
        return InputError(f"{self.kind}: the field {name!r} is {what}")

    def names(self, name: str, least: int = 0) -> tuple[str, ...]:
        """Names, each once, at least so many."""
        found = self[name]
        texts = isinstance(found, list) and all(isinstance(n, str) for n in found)
        if not texts or len(found) < least:
            raise self.wrong(name, "no list of names")
        if len(set(found)) < len(found):
            raise InputError(f"{self.kind}: the field {name!r} holds a name twice")
        return tuple(found)

    def array(self, name: str, shape: tuple[int, ...] = ()) -> Floats:
        """Finite numbers of a shape."""
        given = self[name]
        try:
            found = np.array(given, np.float64)
        except (ValueError, TypeError):
            found = np.array(np.nan)
        if found.size == 0 == np.prod(shape, dtype=int):  # lists know no size within no row
            found = found.reshape(shape)
        if found.shape != shape or not np.isfinite(found).all():
            size = " × ".join(map(str, shape)) or "1"
            raise self.wrong(name, f"not {size} finite numbers")
        return found

    def number(self, name: str) -> float:
        """A finite number."""
        return float(self.array(name))

    def whole_numbers(self, name: str) -> dict[str, int]:
        """Whole numbers by name."""
        found = self[name]
        if not isinstance(found, dict):
            raise self.wrong(name, "no table of numbers")
        inner = Fields(self.kind, found)
        return {str(key): int(inner.number(key)) for key in found}
