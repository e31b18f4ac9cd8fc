"""What a file of counts says, as plain records, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, prod

import numpy as np

from evaluation.audit.exact_sums import BITS, FINEST_PLACE, MOST_BITS
from evaluation.audit.release import Release
from evaluation.audit.schema import Schema, united
from evaluation.audit.sparse import SparseCounts, check_size
from evaluation.audit.tally import Tally
from evaluation.errors import InputError

LARGEST_VALUE = 2**62
"""Of a count of rows; noise stays far below."""


@dataclass(frozen=True)
class Counted:
    """Sparse counts: indices, and one list of sums for each."""

    keys: tuple[int, ...]
    values: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Content:
    """A file of counts, field by field; see docs/audit.md."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012

    format: str
    version: int
    fairfed: str
    schema: Schema
    releases: tuple[Release, ...]
    sites: tuple[str, ...]
    confusion: Counted | None
    scores: Counted | None
    errors: Counted | None
    checksum: str = ""


def counted(counts: SparseCounts | None) -> Counted | None:
    """Sparse counts as lists of integers."""
    if counts is None:
        return None
    return Counted(
        tuple(int(key) for key in counts.keys),
        tuple(tuple(int(value) for value in row) for row in counts.values),
    )


def parse_content(data: bytes, where: str) -> Content:
    """Read the fields of a file whose checksum holds; an error names the first that is wrong."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Content).validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{where}: field '{place}': {first['msg'].lower()}") from error


def tally_of(content: Content, where: str) -> Tally:
    """The counts of a file; refused where the schema contradicts itself, or they do not fit it."""
    schema = content.schema
    _check_schema(schema, where)
    noised = any(release.noised for release in content.releases)
    width = 1 + len(schema.sums)
    lead, classes = schema.group_shape, len(schema.classes)
    scored = (*lead, len(schema.score_classes), 2, schema.bins or 0)
    regression = schema.task == "regression"
    expected = {
        "confusion": None if regression else ((*lead, classes, classes), width),
        "scores": (scored, min(width, 2)) if schema.bins and not regression else None,
        "errors": (lead, width) if regression else None,
    }
    found: dict[str, SparseCounts | None] = {}
    for part, form in expected.items():
        given: Counted | None = getattr(content, part)
        if (given is None) != (form is None):
            said = "given" if form is None else "missing"
            raise InputError(f"{where}: field '{part}': {said}, against what the schema says")
        found[part] = None
        if given is not None and form is not None:
            place = f"{where}: field '{part}'"
            found[part] = _sparse(given, *form, signed=noised, where=place)
            _check_sums(given, schema, place)
    return Tally(schema, found["confusion"], found["scores"], found["errors"])


def _check_schema(schema: Schema, where: str) -> None:
    cuts = [cut for axis in schema.axes for cut in axis.cuts]
    problem = ""
    if len(set(schema.names)) < len(schema.names):
        problem = "two sensitive columns have one name"
    elif schema.positive is not None and schema.positive not in schema.classes:
        problem = f"the positive class {schema.positive!r} is not among the classes"
    elif schema.bins is None:
        problem = "scores are not in bins"
    elif schema.bins < 0:
        problem = "bins are below 0"
    elif not FINEST_PLACE <= schema.place <= 0:
        problem = f"place lies outside {FINEST_PLACE} to 0"
    elif not all(map(isfinite, cuts)):
        problem = "a cut point is not a finite number"
    elif united(schema, schema) != schema or not schema.clients:
        problem = "names are repeated or not in order; count again with this fairfed"
    if problem:
        raise InputError(f"{where}: field 'schema': {problem}")


def _sparse(
    given: Counted, shape: tuple[int, ...], width: int, *, signed: bool, where: str
) -> SparseCounts:
    check_size(shape)
    keys, rows = given.keys, given.values
    if len(keys) != len(rows) or any(len(row) != width for row in rows):
        raise InputError(f"{where}: expected {width} values for each of its {len(keys)} keys")
    if any(a >= b for a, b in pairwise(keys)):
        raise InputError(f"{where}: keys do not increase")
    if keys and not 0 <= keys[0] <= keys[-1] < prod(shape):
        raise InputError(f"{where}: keys lie outside 0 to {prod(shape) - 1}")
    if any(abs(row[0]) > LARGEST_VALUE for row in rows):
        raise InputError(f"{where}: a value is larger than 2^62")
    if not signed and any(row[0] < 0 for row in rows):
        raise InputError(f"{where}: a count is negative though no noise was added")
    values = np.array(rows, np.int64 if width == 1 else object).reshape(len(keys), width)
    return SparseCounts(shape, np.array(keys, np.int64), values)


def _check_sums(given: Counted, schema: Schema, where: str) -> None:
    """Refuse sums that no numbers have: ``(Σ|x|)² / n ≤ Σx² ≤ (Σ|x|)²``, and ``|Σx| ≤ Σ|x|``."""
    for rows, *sums in given.values if schema.sums else ():
        # Of scores there are no squares.
        total, squares = sums[-2:] if len(sums) > 1 else (sums[0], sums[0] ** 2)
        within = total >= abs(sums[0]) and squares <= total**2 <= rows * squares
        if not within or total > rows << (MOST_BITS - BITS * schema.place):
            raise InputError(f"{where}: {sums} are not the sums of {rows} numbers")
