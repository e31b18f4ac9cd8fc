"""The image folder that comes out: real images as they are, synthetic ones marked as such.

Layout, in the `imagefolder` convention: `metadata.csv` over the folders `real` and `synthetic`, as
`datasets.load_dataset("imagefolder", data_dir=…)` and `fairfed.data.folder` read it. Training and
test rows stand in one file, told apart by the split column: of two files, `datasets` would take a
column that is empty in one for numbers, and refuse the pair. Images are called by number and by
key, never by their old names: `datasets` guesses splits from names such as `my_test_7.png`. The old
names have a column, and real rows keep every column that they came with.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fairfed.augmentation.source import Source
from fairfed.config import PipelineConfig
from fairfed.config.labels import ALL, MISSING
from fairfed.config.source import FASHION
from fairfed.data.metadata import METADATA
from fairfed.data.originals import original_rows
from fairfed.data.records import MARK, own_column
from generators.store import ImageStore
from generators.writing import explained
from semantic.errors import InputError
from semantic.naming import CROSSED, UNNAMED_GROUPS

OWNER_COLUMN = "synthetic"
"""What synthetic rows have in the client column: no client holds them."""

PROVENANCE = ("original", "prompt", "seed", "generator", "score")
"""Our columns beside the mark; a user's column of that name stays, and ours gets a prefix."""


@dataclass
class _Draft:
    """A folder being written."""

    path: Path
    config: PipelineConfig
    source: Source
    own: dict[str, str]  # what our columns are called in it
    rows: list[dict[str, str]] = field(default_factory=list)

    def add_real(self) -> None:
        """Add the real rows: all that the user's table says, and how the row was read."""
        table, data = self.source.as_given, self.config.data
        for row, original in enumerate(original_rows(self.config, table)):
            split = "test" if table.test[row] else "train"
            label = table.classes[int(table.labels[row])]
            group = table.group_names[int(table.groups[row])]
            client = table.clients[row] if table.clients is not None else ""
            columns = self._columns(label, group, client, split)
            kept = {**columns, **original.columns, data.label: label, data.split: split}
            file = f"real/{row:07d}{original.suffix}"
            self._add(file, original.content, kept, synthetic="false", original=original.name)

    def add_synthetic(self, entry: dict[str, Any], store: ImageStore) -> None:
        """Add an accepted image, if the store still has it."""
        path = store.path_of(entry["key"])
        if store.get(entry["key"]) is None:
            raise InputError(
                f"{path}: the accepted image is no longer in the store, or damaged; run the step "
                "'curate' again, which makes it anew"
            )
        self._add(
            f"synthetic/{entry['key'][:32]}.png",
            path.read_bytes(),
            self._columns(entry["class_name"], entry["group"], OWNER_COLUMN, "train"),
            synthetic="true",
            prompt=entry["prompt"],
            # A reader that takes empty fields for NaN would round a decimal number of 19 digits.
            seed=hex(entry["seed"]),
            generator=entry["generator"],
            score=repr(entry["score"]),
        )

    def _columns(self, label: str, group: str, client: str, split: str) -> dict[str, str]:
        """The columns that the configuration names, as the row was read or made."""
        data = self.config.data
        row = {data.label: label}
        values = [ALL] * len(data.sensitive) if group == ALL else group.split(CROSSED)
        # "all" stands for nothing, unless it is a value of the user's own.
        own = group in self.source.as_given.group_names and data.source not in FASHION
        unsaid = (MISSING,) if own else UNNAMED_GROUPS
        values = ["" if value in unsaid else value for value in values]
        row |= dict(zip(data.sensitive, values, strict=True))
        if data.client is not None:
            row[data.client] = client
        return row | {data.split: split}

    def _add(self, file: str, content: bytes, row: dict[str, str], **provenance: str) -> None:
        target = self.path / file
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        ours = {self.own[name]: provenance.get(name, "") for name in (MARK, *PROVENANCE)}
        self.rows.append({"file_name": file, **row, **ours})

    def close(self) -> None:
        """Write the table of what has been added."""
        buffer = io.StringIO(newline="")
        # The first row is a real one where there are any, and has all columns.
        columns = list(self.rows[0])
        writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with explained(self.path / METADATA):
            (self.path / METADATA).write_text(buffer.getvalue(), encoding="utf-8", newline="")

    def count(self) -> dict[str, int]:
        """Rows by split and kind."""
        kinds, split = {"true": "synthetic", "false": "real"}, self.config.data.split
        found = Counter(f"{row[split]} {kinds[row[self.own[MARK]]]}" for row in self.rows)
        return dict(sorted(found.items()))


def export(
    config: PipelineConfig,
    source: Source,
    accepted: Iterable[dict[str, Any]],
    store: ImageStore,
    target: Path,
) -> dict[str, int]:
    """Write the image folder, whole or not at all; an earlier export is replaced.

    `accepted` are rows of the manifest. Returned are numbers of rows by split and kind, as
    ``{"train real": 10, …}``. An accepted image that is no longer in the store, or a folder that
    cannot be written, is an error.
    """
    path = target.with_name(f"{target.name}.part")
    draft = _Draft(path, config, source, _own_columns(config, source))
    if draft.path.exists():  # an interrupted export
        shutil.rmtree(draft.path)
    if config.export.real == "copy":
        draft.add_real()
    for entry in accepted:
        draft.add_synthetic(entry, store)
    if not draft.rows:
        raise InputError(
            "nothing to export: no synthetic image was accepted, and export.real = 'none'"
        )
    draft.close()
    with explained(target):
        _replace(target, draft.path)
    return draft.count()


def _own_columns(config: PipelineConfig, source: Source) -> dict[str, str]:
    """What our columns are called beside those of the user's table."""
    data = config.data
    first = next(original_rows(config, source.table)).columns
    taken = ["file_name", *first, data.label, *data.sensitive, data.split]
    taken += [data.client] if data.client is not None else []
    return {name: own_column(name, taken) for name in (MARK, *PROVENANCE)}


def _replace(target: Path, draft: Path) -> None:
    """Put a finished folder in its place; a reader sees the old one or the new one."""
    old = target.with_name(f"{target.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if target.exists():
        target.replace(old)
    draft.replace(target)
    if old.exists():
        shutil.rmtree(old)
