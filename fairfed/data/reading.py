"""From the source of a configuration to its rows, by the registry of `fairfed.config.source`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairfed.config.source import is_own, source_of
from fairfed.data.records import Records
from semantic.errors import InputError
from semantic.own_code import own_function

if TYPE_CHECKING:
    from fairfed.config import DataConfig

OTHER_RETURN = (
    "data.source: {source!r} returned {found}, and {expected} is needed; for images return "
    "fairfed.data.Records, for a table (data.kind = 'table') a pandas DataFrame"
)
SIMULATED = "data.source: {source!r} is data to simulate with; name a folder, a table or a dataset"


def read_source(data: DataConfig) -> Any:
    """What the reader of `data.source` returns; see `fairfed.config.source.Source`."""
    return own_function(source_of(data.source, data.kind).reader, "data.source")(data)


def read_records(data: DataConfig) -> Records:
    """The rows of an image folder, a Hugging Face dataset, or a source of the user's own."""
    found = read_source(data)
    if isinstance(found, Records):
        return found
    if is_own(data.source):
        raise InputError(other_return(data, found, "Records"))
    raise InputError(SIMULATED.format(source=data.source))


def other_return(data: DataConfig, found: object, expected: str) -> str:
    """Says that a source of the user's own returned something else."""
    kind = type(found)
    name = f"{kind.__module__}.{kind.__qualname__}"
    return OTHER_RETURN.format(source=data.source, found=name, expected=expected)
