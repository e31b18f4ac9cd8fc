"""JSON as typed records, with errors that name the file, the line and the field.

A record is a plain dataclass whose annotations pydantic checks, as strictly as JSON's own types;
fields that a record does not have are passed over. The types here say in our words what is
expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, PlainValidator, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from evaluation.errors import InputError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
Record = TypeVar("Record")

STRICT = {"strict": True}
"""What a record says as its ``__pydantic_config__``."""
WORDS = {
    "string_type": "a string",
    "int_type": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
}
"""What is expected where pydantic finds another type."""

Whole = Annotated[int, BeforeValidator(lambda value: 0 if value is None else value)]
"""An integer; null is 0."""
Seconds = Annotated[float, BeforeValidator(lambda value: 0.0 if value is None else value)]
"""A number; null is 0."""


def wrong(expected: str, got: Any) -> PydanticCustomError:
    """The error of a value that is not what is expected, to be raised by a validator."""
    return PydanticCustomError("wrong", "{expected}", {"expected": expected, "got": got})


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong("a list of names", value)
    if not value or not all(isinstance(name, str) for name in value):
        raise wrong("a list of names, at least one", value)
    if len(set(value)) < len(value):
        raise wrong("names that are unique", value)
    return tuple(value)


def _strings(value: Any) -> tuple[str, ...]:
    if value and not (isinstance(value, list) and all(isinstance(text, str) for text in value)):
        raise wrong("a list of strings", value)
    return tuple(value or ())


Names = Annotated[tuple[str, ...], PlainValidator(_names)]
"""Names, at least one, that are unique."""
Strings = Annotated[tuple[str, ...], PlainValidator(_strings)]
"""Texts; null is none."""


def counts(*shape: str, null: int | None = None) -> PlainValidator:
    """Nested lists of counts; sizes of axes are looked up in the context, others are any.

    None where the context says that ``counts`` are not to be read. With `null`, it stands for every
    null.
    """

    def checked(value: Any, info: ValidationInfo) -> IntArray | None:
        if (info.context or {}).get("counts") is False:
            return None
        array = _shaped(value, "counts", shape, info, None)
        if null is not None and array.dtype.hasobject:
            array = np.array([null if n is None else n for n in array.flat]).reshape(array.shape)
        if array.size and (array.dtype.kind not in "iu" or array.min() < 0):
            raise wrong("counts, integers from 0", "other values")
        return array.astype(np.int64)

    return PlainValidator(checked)


def numbers(*shape: str) -> PlainValidator:
    """Nested lists of numbers, where null gives NaN; shapes as of `counts`."""

    def checked(value: Any, info: ValidationInfo) -> FloatArray:
        array = _shaped(value, "numbers", shape, info, object)
        if not all(item is None or type(item) in (int, float) for item in array.flat):
            raise wrong("numbers or nulls", "other values")
        return array.astype(np.float64)

    return PlainValidator(checked)


def _shaped(
    value: Any, what: str, shape: Iterable[str], info: ValidationInfo, kind: Any
) -> NDArray[Any]:
    sizes = [(info.context or {}).get(axis) for axis in shape]
    shown = ", ".join("any" if size is None else str(size) for size in sizes)
    try:
        array = np.asarray(value, kind)
    except ValueError:
        raise wrong(f"{what} of shape [{shown}]", "ragged lists") from None
    same = array.ndim == len(sizes) and all(
        want in (None, have) for want, have in zip(sizes, array.shape, strict=True)
    )
    if not same:
        raise wrong(f"{what} of shape [{shown}]", f"shape {array.shape}")
    return array


def parse(kind: type[Record], text: str, where: str, **context: Any) -> Record:
    """Read one JSON object as a record.

    `where` is its place for messages, such as ``rounds.jsonl line 3``; the context has sizes of
    axes, and whatever else the record's validators ask for. What is no JSON is a JSONDecodeError.
    """
    try:
        found: Record = _adapter(cast("Any", kind)).validate_json(text, context=context)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            json.loads(text)
        raise _told(first, where) from error
    return found


def read_record(kind: type[Record], path: Path, **context: Any) -> Record:
    """Read a JSON file that holds one object; see `parse`. Errors name file, line and field."""
    try:
        return parse(kind, path.read_text(encoding="utf-8"), path.name, **context)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); run directories come from `fairfed run`"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path} line {error.lineno}: is no JSON ({error.msg})") from error


def field_error(where: str, key: str, expected: str, got: Any) -> InputError:
    """Build the error for a wrong field."""
    shown = got if isinstance(got, str) else json.dumps(got)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    return InputError(f"{where}: field '{key}': expected {expected}, got {shown}")


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _told(first: Any, where: str) -> InputError:
    """What pydantic found, in our words."""
    kind, path, got = first["type"], list(first["loc"]), first["input"]
    if kind == "dataclass_type":
        return InputError(f"{_place(where, path)}: expected an object, got {type(got).__name__}")
    *_, last = (i for i, part in enumerate(path) if isinstance(part, str))
    where, key = _place(where, path[:last]), path[last]
    if kind == "missing":
        return InputError(f"{where}: field '{key}' is missing")
    if kind == "wrong":
        return field_error(where, key, first["ctx"]["expected"], first["ctx"]["got"])
    if kind in WORDS:
        return field_error(where, key, WORDS[kind], got)
    return InputError(f"{where}: {first['msg']}")


def _place(where: str, path: Iterable[str | int]) -> str:
    """A place within another, as ``rounds.jsonl line 3, clients[0]``."""
    for part in path:
        named = where.endswith(", splits")  # its keys are names, not fields
        where += f"[{part}]" if isinstance(part, int) else f"{'.' if named else ', '}{part}"
    return where
