"""The output directory of an augmentation: one file per step, each whole or not there at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from fairfed.config import PipelineConfig, load_model
from fairfed.files import json_lines
from fairfed.rundir import write_json, write_text
from semantic.errors import InputError

CONFIG = "config.toml"
PLAN, GENERATION, CURATION, MANIFEST = (
    "plan.json", "generation.json", "curation.json", "manifest.jsonl",
)  # fmt: skip
QUALITY, AUDIT, PREVIEW, DATASET = "quality.json", "generator-audit.json", "preview.png", "dataset"
PROTOTYPES = "prototypes.json"
_FILES = (CONFIG, PLAN, GENERATION, CURATION, MANIFEST, QUALITY, AUDIT, PREVIEW, PROTOTYPES)


class Workspace:
    """The directory, opened to begin an augmentation or to continue it.

    Parameters
    ----------
    path
        The directory; created when the first file is written.
    config
        The resolved configuration.
    fresh
        Remove what an augmentation has written here before, whatever its configuration.

    Raises
    ------
    semantic.errors.InputError
        If the directory holds another augmentation, or files that are none.
    """

    def __init__(self, path: Path, config: PipelineConfig, fresh: bool = False) -> None:
        self.path = path
        self.config = config
        if path.exists() and not path.is_dir():
            raise InputError(f"--out {path} is a file; give a directory")
        stored = path / CONFIG
        if stored.is_file():
            _check_ours(stored)
            if fresh:
                self._clear()
            elif stored.read_text(encoding="utf-8") != config.to_toml():
                raise InputError(
                    f"{path} holds an augmentation with another configuration or other data (see "
                    f"its {CONFIG}); give another --out, or start over with --fresh"
                )
        elif path.is_dir() and any(path.iterdir()):
            raise InputError(
                f"{path} is not empty and holds no augmentation; give another --out, or empty it"
            )

    def begin(self) -> None:
        """Write the configuration: from here on the directory is this augmentation's."""
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
        return (self.path / name).is_file()

    def read(self, name: str, step: str) -> Any:
        """Content of a JSON file that `step` writes.

        Raises
        ------
        semantic.errors.InputError
            If it is not there yet.
        """
        return json.loads(self._text(name, step))

    def read_rows(self, name: str, step: str) -> list[dict[str, Any]]:
        """Rows of a file of JSON lines that `step` writes; raises as `read`."""
        return [json.loads(line) for line in json_lines(self._text(name, step))]

    def _text(self, name: str, step: str) -> str:
        path = self.path / name
        if not path.is_file():
            raise InputError(f"{path} is missing: step {step!r} writes it; run that one first")
        return path.read_text(encoding="utf-8")

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
