"""The image folder that comes out: real images as they are, synthetic ones marked as such.

Layout, in the `imagefolder` convention: `metadata.csv` over the folders `real` and `synthetic`, as
`datasets.load_dataset("imagefolder", data_dir=…)` and `fairfed.data.folder` read it. Training and
test rows stand in one file, told apart by the split column: of two files, `datasets` would take a
column that is empty in one for numbers, and refuse the pair. Images are called by number and by
key, never by their old names: `datasets` guesses splits from names such as `my_test_7.png`.
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

from fairfed.augmentation.source import SYNTHETIC, Source
from fairfed.config import PipelineConfig
from fairfed.data.folder import METADATA
from fairfed.data.originals import original_files
from fairfed.data.table import ALL, MISSING
from generators.store import ImageStore
from semantic.errors import InputError
from semantic.space import CROSSED, UNNAMED_GROUPS

OWNER_COLUMN = "synthetic"
"""What synthetic rows have in the client column: no client holds them."""


@dataclass
class _Draft:
    """A folder being written."""

    path: Path
    rows: list[dict[str, str]] = field(default_factory=list)

    def add(self, file: str, content: bytes, row: dict[str, str]) -> None:
        target = self.path / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self.rows.append({"file_name": file, **row})

    def close(self) -> None:
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        (self.path / METADATA).write_text(buffer.getvalue(), encoding="utf-8", newline="")


def export(
    config: PipelineConfig,
    source: Source,
    accepted: Iterable[dict[str, Any]],
    store: ImageStore,
    target: Path,
) -> dict[str, int]:
    """Write the image folder, whole or not at all; an earlier export is replaced.

    Parameters
    ----------
    accepted
        Rows of the manifest of accepted images.
    target
        The folder to write.

    Returns
    -------
    Rows by split and kind, as ``{"train real": 10, …}``.

    Raises
    ------
    semantic.errors.InputError
        If an accepted image is no longer in the store.
    """
    draft = _Draft(target.with_name(f"{target.name}.part"))
    if draft.path.exists():  # an interrupted export
        shutil.rmtree(draft.path)
    if config.export.real == "copy":
        _add_real(config, source, draft)
    for entry in accepted:
        draft.add(*_synthetic(config, entry, store))
    if not draft.rows:
        raise InputError(
            "nothing to export: no synthetic image was accepted, and export.real = 'none'"
        )
    draft.close()
    _replace(target, draft.path)
    return _count(config, draft.rows)


def _add_real(config: PipelineConfig, source: Source, draft: _Draft) -> None:
    table = source.as_given
    for row, (suffix, content) in enumerate(original_files(config, table)):
        split = "test" if table.test[row] else "train"
        group = table.group_names[int(table.groups[row])]
        label = table.classes[int(table.labels[row])]
        client = table.clients[row] if table.clients is not None else ""
        columns = _columns(config, label, group, client, split, synthetic=False)
        draft.add(f"real/{row:07d}{suffix}", content, columns)


def _synthetic(
    config: PipelineConfig, entry: dict[str, Any], store: ImageStore
) -> tuple[str, bytes, dict[str, str]]:
    """File, content and row of a synthetic image."""
    path = store.path_of(entry["key"])
    if store.get(entry["key"]) is None:
        raise InputError(
            f"{path}: the accepted image is no longer in the store, or damaged; run the step "
            "'curate' again, which makes it anew"
        )
    columns = _columns(
        config, entry["class_name"], entry["group"], OWNER_COLUMN, "train", synthetic=True
    )
    # A reader that takes empty fields for NaN would round a decimal number of 19 digits.
    columns |= {"prompt": entry["prompt"], "seed": hex(entry["seed"])}
    columns |= {"generator": entry["generator"], "score": repr(entry["score"])}
    return f"synthetic/{entry['key'][:32]}.png", path.read_bytes(), columns


def _columns(
    config: PipelineConfig, label: str, group: str, client: str, split: str, *, synthetic: bool
) -> dict[str, str]:
    """One row: the user's own columns, then where the image comes from."""
    data = config.data
    row = {data.label: label}
    values = [""] * len(data.sensitive) if group == ALL else group.split(CROSSED)
    unsaid = UNNAMED_GROUPS if synthetic else (MISSING,)
    values = ["" if value in unsaid else value for value in values]
    row |= dict(zip(data.sensitive, values, strict=True))
    if data.client is not None:
        row[data.client] = client
    row |= {data.split: split, SYNTHETIC: str(synthetic).lower()}
    return row | dict.fromkeys(("prompt", "seed", "generator", "score"), "")


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


def _count(config: PipelineConfig, rows: list[dict[str, str]]) -> dict[str, int]:
    kinds = {"true": "synthetic", "false": "real"}
    found = Counter(f"{row[config.data.split]} {kinds[row[SYNTHETIC]]}" for row in rows)
    return dict(sorted(found.items()))
