"""Typed access to parsed JSON whose errors name the file, the line and the field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import InputError


class Fields:
    """A JSON object and where it stands.

    Parameters
    ----------
    value : object
        Parsed JSON; must be an object.
    where : str
        Place for messages, such as ``rounds.jsonl line 3``.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise InputError(f"{where}: expected an object, got {type(value).__name__}")
        self._value = value
        self.where = where

    def text(self, key: str) -> str:
        """Return a string."""
        return str(self._typed(key, (str,), "a string"))

    def text_or_none(self, key: str) -> str | None:
        """Return a string, or None for null or a missing key."""
        return None if self._value.get(key) is None else self.text(key)

    def integer(self, key: str) -> int:
        """Return an integer."""
        return int(self._typed(key, (int,), "an integer"))

    def number(self, key: str) -> float:
        """Return a number."""
        return float(self._typed(key, (int, float), "a number"))

    def number_or_none(self, key: str) -> float | None:
        """Return a number, or None for null or a missing key."""
        return None if self._value.get(key) is None else self.number(key)

    def integer_or(self, key: str, default: int) -> int:
        """Return an integer, or the default for null or a missing key."""
        return default if self._value.get(key) is None else self.integer(key)

    def number_or(self, key: str, default: float) -> float:
        """Return a number, or the default for null or a missing key."""
        return default if self._value.get(key) is None else self.number(key)

    def flag(self, key: str, default: bool) -> bool:
        """Return a boolean, or the default for a missing key."""
        return bool(self._typed(key, (bool,), "true or false")) if key in self._value else default

    def flag_or_none(self, key: str) -> bool | None:
        """Return a boolean, or None for null or a missing key."""
        return None if self._value.get(key) is None else self.flag(key, False)

    def names(self, key: str) -> tuple[str, ...]:
        """Return a list of unique strings that is not empty."""
        values = self._typed(key, (list,), "a list of names")
        if not values or not all(isinstance(v, str) for v in values):
            raise self.error(key, "a list of names, at least one", values)
        if len(set(values)) < len(values):
            raise self.error(key, "names that are unique", values)
        return tuple(values)

    def strings(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; empty for a missing key."""
        values = self._value.get(key) or []
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            raise self.error(key, "a list of strings", values)
        return tuple(values)

    def mapping(self, key: str) -> dict[str, Any]:
        """Return an object."""
        return dict(self._typed(key, (dict,), "an object"))

    def objects(self, key: str) -> Iterator[Fields]:
        """Yield the objects of a list, each knowing its place."""
        for i, item in enumerate(self._typed(key, (list,), "a list")):
            yield Fields(item, f"{self.where}, {key}[{i}]")

    def counts(self, key: str, shape: tuple[int | None, ...]) -> NDArray[np.int64]:
        """Return nested lists of counts; None in the shape stands for any length."""
        value = self._require(key)
        try:
            array = np.asarray(value)
        except ValueError:
            raise self.error(key, f"counts of shape {_shape(shape)}", "ragged lists") from None
        matches = array.ndim == len(shape) and all(
            want in (None, have) for want, have in zip(shape, array.shape, strict=True)
        )
        if not matches:
            raise self.error(key, f"counts of shape {_shape(shape)}", f"shape {array.shape}")
        if array.size and (array.dtype.kind not in "iu" or array.min() < 0):
            raise self.error(key, "counts, integers from 0", "other values")
        return array.astype(np.int64)

    def counts_or_none(self, key: str, shape: tuple[int | None, ...]) -> NDArray[np.int64] | None:
        """Return counts, or None for null or a missing key."""
        return None if self._value.get(key) is None else self.counts(key, shape)

    def numbers(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Return nested lists of numbers; null gives NaN."""
        value = self._require(key)
        try:
            array = np.asarray(value, object)
        except ValueError:
            raise self.error(key, f"numbers of shape {_shape(shape)}", "ragged lists") from None
        if array.shape != shape:
            raise self.error(key, f"numbers of shape {_shape(shape)}", f"shape {array.shape}")
        if not all(item is None or type(item) in (int, float) for item in array.flat):
            raise self.error(key, "numbers or nulls", "other values")
        return array.astype(np.float64)

    def numbers_or_none(self, key: str, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
        """Return numbers, or None for null or a missing key."""
        return None if self._value.get(key) is None else self.numbers(key, shape)

    def part_or_none(self, key: str) -> Fields | None:
        """Return an object that knows its place, or None for null or a missing key."""
        value = self._value.get(key)
        return None if value is None else Fields(value, f"{self.where}, {key}")

    def error(self, key: str, expected: str, got: Any) -> InputError:
        """Build the error for a wrong field."""
        shown = got if isinstance(got, str) else json.dumps(got)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        return InputError(f"{self.where}: field '{key}': expected {expected}, got {shown}")

    def _require(self, key: str) -> Any:
        if key not in self._value:
            raise InputError(f"{self.where}: field '{key}' is missing")
        return self._value[key]

    def _typed(self, key: str, types: tuple[type, ...], words: str) -> Any:
        value = self._require(key)
        # bool is an int to Python, never to a reader of the file
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise self.error(key, words, value)
        return value


def read_object(path: Path) -> Fields:
    """Read a JSON file that holds one object.

    Raises
    ------
    InputError
        If the file is missing, unreadable or no JSON object; names file and line.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); run directories come from `fairfed run`"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {error.lineno}: is no JSON ({error.msg})") from error
    return Fields(value, path.name)


def _shape(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
