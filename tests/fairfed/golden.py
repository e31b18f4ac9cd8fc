"""Golden runs: what a short run of each system ends with, kept in `golden/*.json`.

A redesign that should change nothing must leave these numbers as they are, and a change that makes
every run equally worse must turn red. On the processor that wrote a file, the weights must be equal
to the bit; elsewhere the numbers must agree within a tolerance, because processors round otherwise.

``FAIRFED_GOLDEN=write pytest -k golden`` writes them anew, for a change that is meant to change
numbers; the difference of the files then shows what it changed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fairfed.rounds import checkpoint
from tests.fairfed.runs import logged, outcome_of

FOLDER = Path(__file__).with_name("golden")
TOLERANCE = 1e-3
"""Relative to the largest of the values compared, or 1: what roundings grow to in a few steps."""
UNTOLD = {"bytes_down", "bytes_up", "versions", "generator", "engine", "lora", "report"}
"""Neither model nor finding: costs of messages, versions, paths, tables of what stands beside."""
DIGITS = 9


def check_golden(name: str, run: Path) -> None:
    """Compare a finished run with its golden file.

    Raises
    ------
    AssertionError
        If a number appeared, vanished or moved, or, on the same processor, a bit.
    """
    path, found = FOLDER / f"{name}.json", figures(run)
    if os.environ.get("FAIRFED_GOLDEN") == "write":
        _write(path, found, digests(run))
    compare(kept_figures(name), found)
    bits = json.loads(path.read_text())["bits"].get(processor())
    if bits is not None:
        assert digests(run) == bits, "the numbers agree, their last bits do not"


def kept_figures(name: str) -> dict[str, list[float]]:
    """The figures of a golden file."""
    figures: dict[str, list[float]] = json.loads((FOLDER / f"{name}.json").read_text())["figures"]
    return figures


def figures(run: Path) -> dict[str, list[float]]:
    """The findings of a run: logged rounds, results, and the mean and norm of final weights."""
    found: dict[str, list[float]] = {}
    for row in logged(run):
        _merge(found, f"{row['arm']} {row['round']}", row)
    if (run / "results.json").exists():
        _merge(found, "results", outcome_of(run))
    for path in sorted((run / "checkpoints").glob("*.npz")):
        arrays = checkpoint.load(path).arrays.values()
        weights = np.concatenate([np.asarray(a, np.float64).ravel() for a in arrays] or [[0.0]])
        found[f"weights {path.stem}"] = [float(weights.mean()), float(np.linalg.norm(weights))]
    return found


def digests(run: Path) -> dict[str, str]:
    """Hash of the final weights of every checkpoint."""
    found = {}
    for path in sorted((run / "checkpoints").glob("*.npz")):
        own = hashlib.sha256()
        for name, array in checkpoint.load(path).arrays.items():
            own.update(name.encode())
            own.update(np.ascontiguousarray(array).tobytes())
        found[path.stem] = own.hexdigest()[:16]
    return found


def processor() -> str:
    """What decides how floating point rounds: the libraries' instructions and their versions."""
    return " ".join(
        (
            platform.machine(),
            torch.backends.cpu.get_cpu_capability(),
            f"torch {torch.__version__.split('+')[0]}",
            f"numpy {np.__version__}",
        )
    )


def compare(kept: dict[str, list[float]], found: dict[str, list[float]]) -> None:
    """Compare figures by name; see `check_golden`."""
    assert sorted(found) == sorted(kept)
    for name, expected in kept.items():
        actual = found[name]
        assert len(actual) == len(expected), name
        scale = max(1.0, *(abs(value) for value in expected if math.isfinite(value)), 0.0)
        for one, other in zip(actual, expected, strict=True):
            same = math.isnan(one) and math.isnan(other)
            assert same or abs(one - other) <= TOLERANCE * scale, f"{name}: {actual} != {expected}"


def _merge(found: dict[str, list[float]], name: str, value: Any) -> None:
    """Numbers of a JSON value by path; those of a list's items stand under one name."""
    for path, number in _numbers(name, value):
        found.setdefault(path, []).append(number)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int | float):
        yield name, float(f"{value:.{DIGITS}g}")
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(name, item)
    else:
        for key, own in value.items():
            if key not in UNTOLD:
                yield from _numbers(f"{name} {key}", own)


def _write(path: Path, found: dict[str, list[float]], bits: dict[str, str]) -> None:
    known = json.loads(path.read_text())["bits"] if path.exists() else {}
    same = path.exists() and json.loads(path.read_text())["figures"] == found
    kept = {**(known if same else {}), processor(): bits}
    lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    text = f'{{"bits": {json.dumps(kept)},\n"figures": {{\n{lines}\n}}}}\n'
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
