"""The output directory of an augmentation: one file per step, each whole or not there at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from evaluation.files import json_lines, write_json, write_text
from fairfed.config import PipelineConfig, load_model
from fairfed.config.differing import differing
from semantic.errors import InputError

CONFIG = "config.toml"
PLAN, GENERATION, CURATION, MANIFEST = (
    "plan.json", "generation.json", "curation.json", "manifest.jsonl",
)  # fmt: skip
QUALITY, AUDIT, PREVIEW, DATASET = "quality.json", "generator-audit.json", "preview.png", "dataset"
PROTOTYPES = "prototypes.json"
_FILES = (PLAN, GENERATION, CURATION, MANIFEST, QUALITY, AUDIT, PREVIEW, PROTOTYPES)
_FIELDS: dict[str, tuple[str, ...]] = {
    PLAN: ("data", "classes", "groups", "wanted", "max_tries", "generator", "cost"),
    GENERATION: ("images", "made", "reused"),
    CURATION: ("requested", "accepted", "replacements", "rejected", "cells"),
    MANIFEST: ("key", "class_name", "group", "prompt", "seed", "generator", "score"),
}
"""What a later step reads of each file, or of each of its rows."""
DAMAGED = (
    "{path} is damaged ({why}): delete it and run step {step!r} again, alone with --only {step}"
)


class OutputDir:
    """The directory, opened to begin an augmentation or to continue it.

    It is created when the first file is written. What an augmentation has written here before,
    whatever its configuration, is with `fresh` as good as gone; it is removed by `begin`, when the
    input is known to be sound. A directory with another augmentation, or files that are none, is
    refused.
    """

    def __init__(self, path: Path, config: PipelineConfig, fresh: bool = False) -> None:
        self.path = path
        self.config = config
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {path} is a file; give a directory")
        self._outdated = False
        stored = path / CONFIG
        if stored.is_file():
            _check_ours(stored)
            if fresh:
                self._outdated = True
            elif (there := stored.read_text(encoding="utf-8")) != config.to_toml():
                raise InputError(
                    f"{path} holds an augmentation with another configuration or other data: "
                    f"{differing(there, config.to_toml())}; give another --out, or start over with "
                    "--fresh"
                )
        elif path.is_dir() and any(path.iterdir()):
            raise InputError(
                f"{path} is not empty and holds no augmentation; give another --out, or empty it"
            )

    def begin(self) -> None:
        """Write the configuration: from here on the directory is this augmentation's."""
        if self._outdated:
            self._clear()
            self._outdated = False
        write_text(self.path / CONFIG, self.config.to_toml())

    def write(self, name: str, content: Any) -> None:
        """Write one JSON file."""
        write_json(self.path / name, content)

    def write_rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        """Write one file of JSON lines."""
        lines = [json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows]
        write_text(self.path / name, "".join(lines))

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return not self._outdated and (self.path / name).is_file()

    def read(self, name: str, step: str) -> Any:
        """Content of a JSON file that `step` writes; refused if it is not there yet, or damaged."""
        return self._parsed(self._text(name, step), name, step)

    def read_rows(self, name: str, step: str) -> list[dict[str, Any]]:
        """Rows of a file of JSON lines that `step` writes; raises as `read`."""
        lines = json_lines(self._text(name, step))
        return [self._parsed(line, name, step, f"row {i}: ") for i, line in enumerate(lines, 1)]

    def damaged(self, name: str, step: str, why: str) -> InputError:
        """The error about a file of `step` that does not hold what it should."""
        return InputError(DAMAGED.format(path=self.path / name, why=why, step=step))

    def _parsed(self, text: str, name: str, step: str, where: str = "") -> Any:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.damaged(name, step, f"{where}expected JSON, {error}") from error
        if not isinstance(found, dict):
            raise self.damaged(name, step, f"{where}expected an object with named fields")
        gone = [field for field in _FIELDS.get(name, ()) if field not in found]
        if gone:
            raise self.damaged(name, step, f"{where}lacks {', '.join(gone)}")
        return found

    def _text(self, name: str, step: str) -> str:
        path = self.path / name
        if not self.has(name):
            raise InputError(f"{path} is missing: step {step!r} writes it; run that one first")
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise self.damaged(name, step, f"expected text in UTF-8, {error}") from error

    def discard(self, *names: str) -> None:
        """Remove files that an earlier step has made out of date."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def _clear(self) -> None:
        """Remove this pipeline's own files, and nothing else."""
        self.discard(*_FILES)
        if (self.path / DATASET).is_dir():
            shutil.rmtree(self.path / DATASET)


def _check_ours(stored: Path) -> None:
    """Refuse a directory whose configuration is that of something else, such as a run."""
    try:
        load_model(PipelineConfig, stored)
    except InputError as error:
        raise InputError(
            f"{stored.parent} holds something else: its {CONFIG} is that of no augmentation; give "
            "another --out"
        ) from error
