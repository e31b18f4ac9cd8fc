"""Read predictions into counts: files of any size, frames, arrays.

Files are streamed, only the columns that are needed, so that memory does not grow with rows. The
counts are the same, bit for bit, however rows are split over files, batches and calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.audit.batches import Progress, batches
from evaluation.audit.columns import Place
from evaluation.audit.count_labels import Labels
from evaluation.audit.counting import Counting, Errors
from evaluation.audit.files import find_files
from evaluation.audit.frames import collected, column_names, frame_batches
from evaluation.audit.groups import with_cuts
from evaluation.audit.settings import ReadSettings
from evaluation.audit.tally import Tally
from evaluation.errors import InputError

NO_ROWS = "no row to audit in {source}: {why}"
DROPPED = "{n:,} of {rows:,} rows were left out: no value in {column!r}"
CLIPPED = "{n:,} scores in {column!r} lay beyond 0 or 1 by rounding, and count as 0 or 1"
READ_AS_MISSING = (
    "{rows} with {text!r} in {column!r} taken as missing; where that is a name, say with "
    "--missing-values which texts stand for nothing (Python: missing_values=)"
)
SAME_NAME = "sensitive column {name!r} has the name of another argument; rename it"


@dataclass(frozen=True)
class Reading:
    """Counts, and what is to be said about how they came about."""

    tally: Tally
    settings: ReadSettings  # those used, with the cut points that were found
    source: tuple[str, ...]  # files that were read
    notes: tuple[str, ...]  # rows left out, files named twice or copied, cut points found


def read_files(
    patterns: Sequence[str | Path], settings: ReadSettings, progress: Progress | None = None
) -> Reading:
    """Count the rows of CSV, parquet and Arrow files.

    Parameters
    ----------
    patterns : sequence of str or Path
        Files, directories (of files of one kind, read recursively) and globs (``**`` for any
        depth). See `evaluation.audit.files`.
    settings : ReadSettings
        Columns and rules.
    progress : callable, optional
        Called after each batch with the file and the number of rows read so far.

    Raises
    ------
    InputError
        If a file cannot be read, lacks a column, or holds a wrong value (named by file, row, from
        1 without the header, and column), or there is no row at all.
    """
    files, notes = find_files(patterns)
    if settings.auto_cuts:
        settings, found = with_cuts(settings, batches(files, settings.sensitive))
        notes = (*notes, *found)
    columns = [name for _, name in settings.columns()]
    counted = _counted(batches(files, columns, progress), settings)
    source = tuple(str(file.path) for file in files)
    reading = _reading(counted, source, notes)
    if reading.tally.n == 0:
        why = "; ".join(reading.notes) or "every file is without rows"
        raise InputError(NO_ROWS.format(source=", ".join(source) or "no file", why=why))
    return reading


def tally_files(
    patterns: Sequence[str | Path], settings: ReadSettings, progress: Progress | None = None
) -> Tally:
    """Counts of the rows of files alone; see `read_files`."""
    return read_files(patterns, settings, progress).tally


def read_frame(frame: Any, settings: ReadSettings) -> Reading:
    """Count the rows of a DataFrame, a pyarrow.Table, or arrays ``(n,)`` by name.

    A table without rows gives counts of nothing.
    """
    notes: tuple[str, ...] = ()
    if settings.auto_cuts:
        settings, notes = with_cuts(settings, frame_batches(frame, settings.sensitive))
    columns = [name for _, name in settings.columns()]
    return _reading(_counted(frame_batches(frame, columns), settings), (), notes)


def tally_frame(frame: Any, settings: ReadSettings) -> Tally:
    """Counts of a table in memory alone; see `read_frame`."""
    return read_frame(frame, settings).tally


def tally_arrays(
    y_true: Any,
    y_pred: Any = None,
    sensitive: Any = None,
    *,
    score: Any = None,
    client: Any = None,
    weight: Any = None,
    **settings: Any,
) -> Tally:
    """Count rows given as arrays, as fairlearn and scikit-learn take them.

    Parameters
    ----------
    y_true, y_pred : array_like, shape (n,)
        Labels, or values of a regression. Without `y_pred` the score decides.
    sensitive : DataFrame, mapping of str to array_like, or array_like of shape (n,), optional
        Groups; an array alone is the column ``group``.
    score : array_like of shape (n,), or mapping of class to array_like, optional
        Scores in [0, 1] of the positive class, or of each class.
    client, weight : array_like, shape (n,), optional
        Client and weight of each row.
    **settings
        The rules of `ReadSettings`: ``task``, ``positive``, ``threshold``, ``cuts``, ….

    Raises
    ------
    InputError
        If lengths differ or a value is wrong.

    Examples
    --------
    >>> tally = tally_arrays([0, 1, 1], [0, 1, 0], ["a", "a", "b"], positive=1)
    >>> tally.counts(["group"]).values[:, 1].tolist()
    [[0, 1], [1, 0]]
    """
    groups = _sensitive(sensitive)
    table: dict[str, Any] = {"y_true": y_true}
    scores: Any = None
    if score is not None:
        by_class = isinstance(score, Mapping)
        scores = {name: f"score of {name}" for name in score} if by_class else "score"
        table |= {scores[name]: score[name] for name in score} if by_class else {"score": score}
    optional = {"y_pred": y_pred, "client_id": client, "sample_weight": weight}
    table |= {name: values for name, values in optional.items() if values is not None}
    for name in groups:
        if name in table:
            raise InputError(SAME_NAME.format(name=name))
    return tally_frame(
        {**table, **groups},
        ReadSettings(
            "y_true",
            None if y_pred is None else "y_pred",
            scores,
            tuple(groups),
            None if client is None else "client_id",
            None if weight is None else "sample_weight",
            **settings,
        ),
    )


def _sensitive(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    given = collected(given)
    if isinstance(given, Mapping) or hasattr(given, "columns"):
        return {str(name): given[name] for name in column_names(given)}
    return {"group": given}


def _counted(rows: Iterable[tuple[Any, Place]], settings: ReadSettings) -> Counting:
    regression = settings.task == "regression"
    counted = Errors(settings) if regression else Labels(settings)
    for batch, place in rows:
        counted.add(batch, place)
    return counted


def _reading(counted: Counting, source: tuple[str, ...], notes: tuple[str, ...]) -> Reading:
    dropped = tuple(
        DROPPED.format(n=n, rows=counted.rows, column=column)
        for column, n in sorted(counted.dropped.items())
    )
    missing = tuple(
        READ_AS_MISSING.format(
            rows=f"{n:,} row" + ("" if n == 1 else "s"), column=column, text=text
        )
        for (column, text), n in sorted(counted.groups.read_as_missing.items())
    )
    clipped = tuple(CLIPPED.format(n=n, column=name) for name, n in sorted(counted.clipped.items()))
    notes = (*notes, *missing, *dropped, *clipped)
    return Reading(counted.tally(), counted.settings, source, notes)
