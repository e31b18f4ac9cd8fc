"""Reading a table into a DataFrame of texts, whatever it was: CSV, parquet, DataFrame, OpenML."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fairfed.config.source import FRAME, is_own
from fairfed.data.reading import other_return, read_source
from semantic.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fairfed.config import DataConfig

ADULT_COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country", "income",
)  # fmt: skip
"""Columns of `adult.data`, which has no heading, in the order of UCI's `adult.names`."""
ADULT_OPENML = 1590
"""Identifier of Adult on OpenML."""

_frames: dict[str, pd.DataFrame] = {}


def register_frame(name: str, frame: pd.DataFrame) -> None:
    """Make a DataFrame the source `frame:NAME` of runs in this process.

    Raises
    ------
    semantic.errors.InputError
        If another DataFrame has the name: runs keep what they have loaded.
    """
    if _frames.setdefault(name, frame) is not frame:
        raise InputError(f"a DataFrame {name!r} is registered already; choose another name")


def read_table(data: DataConfig) -> tuple[pd.DataFrame, str]:
    """Read the table of `data.source`, and say what errors call it.

    Every value is text, "" where there is none. Raises `InputError` if the source is absent or
    damaged; it names the file and the row.
    """
    import pandas as pd

    found = read_source(data)
    if is_own(data.source):
        if not isinstance(found, pd.DataFrame):
            raise InputError(other_return(data, found, "a DataFrame"))
        found = _as_texts(found), f"data.source {data.source}"
    table: tuple[pd.DataFrame, str] = found
    return table


def read_frame(data: DataConfig) -> tuple[pd.DataFrame, str]:
    """A DataFrame of this process; see `register_frame`."""
    name = data.source.removeprefix(FRAME)
    if name not in _frames:
        raise InputError(
            f"data.source: no DataFrame {name!r} in this process; call "
            f"fairfed.data.tables.register_frame({name!r}, frame), with the engine 'inprocess'"
        )
    return _as_texts(_frames[name]), data.source


def read_preset(data: DataConfig) -> tuple[pd.DataFrame, str]:
    """A benchmark table, from the folder where its file is."""
    if data.directory is None:
        raise InputError(f"data.directory: missing; it names the folder of {data.source}.csv")
    return _file(Path(data.directory) / f"{data.source}.csv")


def read_file(data: DataConfig) -> tuple[pd.DataFrame, str]:
    """The file that `data.source` names."""
    return _file(Path(data.source))


def _file(path: Path) -> tuple[pd.DataFrame, str]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; data.source names the table")
    return (_parquet if path.suffix.lower() == ".parquet" else read_csv)(path), str(path)


def read_csv(
    path: Path, heading: Sequence[str] | None = None, comment: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Read a CSV file in UTF-8; fields are stripped of blanks around them.

    `heading` names the columns where the first row does not; `comment` is what begins a line that
    is no row. Raises `InputError` if it is no such file, or a row has too few or too many fields.
    """
    import pandas as pd

    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, strict=True, skipinitialspace=True)
            rows = [row for row in reader if row and not row[0].startswith(comment)]
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8 ({error})") from error
    names = [name.strip() for name in heading or (rows.pop(0) if rows else ())]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"{path}: two columns are called {twice[0]!r}; rename one")
    if not rows:
        raise InputError(f"{path}: no rows below the heading")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise InputError(f"{path}: row {number} has {len(row)} fields, expected {len(names)}")
    return pd.DataFrame([[value.strip() for value in row] for row in rows], columns=names)


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return _as_texts(pd.read_parquet(path))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error})") from error


def _as_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Every value as text; the rows numbered anew."""
    import pandas as pd

    columns = {
        str(name): ["" if pd.isna(value) else str(value).strip() for value in frame[name].array]
        for name in frame.columns
    }
    return pd.DataFrame(columns)


def read_adult(data: DataConfig) -> tuple[pd.DataFrame, str]:
    """Adult from UCI's files (`adult.test`, where it is, for testing), or from OpenML."""
    import pandas as pd

    if data.directory is None:
        return _adult_of_openml(), "Adult of OpenML"
    path = Path(data.directory) / "adult.data"
    if not path.is_file():
        raise InputError(f"{path}: no such file; data.directory names the folder of adult.data")
    training = read_csv(path, ADULT_COLUMNS)
    other = path.with_name("adult.test")
    if not other.is_file():
        return training, str(path)
    testing = read_csv(other, ADULT_COLUMNS, comment=("|",))
    testing["income"] = testing["income"].str.rstrip(".")
    both = {"train": training, "test": testing}
    parts = [frame.assign(split=part) for part, frame in both.items()]
    return pd.concat(parts, ignore_index=True), f"{path} and {other.name}"


def _adult_of_openml() -> pd.DataFrame:
    from sklearn.datasets import fetch_openml

    try:
        frame = fetch_openml(data_id=ADULT_OPENML, as_frame=True).frame
    except OSError as error:
        raise InputError(
            f"data.source: Adult cannot be had from OpenML ({error}); put UCI's adult.data into a "
            "folder and name it in data.directory"
        ) from error
    return _as_texts(frame.rename(columns={"class": "income"}))
