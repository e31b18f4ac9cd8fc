"""From the source of a configuration to its records: a folder, or a Hugging Face dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fairfed.data.folder import read_folder
from fairfed.data.hub import read_hub
from fairfed.data.records import Records

if TYPE_CHECKING:
    from fairfed.config import DataConfig


def read_records(data: DataConfig) -> Records:
    """The rows of an image folder or a Hugging Face dataset.

    Raises
    ------
    semantic.errors.InputError
        If the source, a column or a file is missing or damaged; it names the row.
    """
    if data.source.startswith("hf:"):
        return read_hub(data.source.removeprefix("hf:"), data)
    return read_folder(Path(data.source), data)
