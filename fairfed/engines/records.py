"""Copies of Flower records that share bytes but no containers."""

from __future__ import annotations

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict

Record = ArrayRecord | ConfigRecord | MetricRecord


def fork(records: RecordDict) -> RecordDict:
    """Copy records so that a change to the copy never shows in the original.

    Array bytes are immutable and shared; everything that can be changed in place (the
    dictionaries, the lists in them, the ``Array`` objects) is new. Without this, one
    ``RecordDict`` that a strategy puts into all its messages would be shared by all clients.

    Parameters
    ----------
    records : RecordDict
        Content of a message, or the state of a context.

    Returns
    -------
    RecordDict
        The copy.
    """
    return RecordDict({name: _fork_record(record) for name, record in records.items()})


def _fork_record(record: Record) -> Record:
    """Copy one record."""
    if isinstance(record, ArrayRecord):
        return ArrayRecord(dict(record))
    copied = record.copy()
    for name, value in record.items():
        if isinstance(value, list):
            copied[name] = list(value)  # type: ignore[assignment]
    return copied
