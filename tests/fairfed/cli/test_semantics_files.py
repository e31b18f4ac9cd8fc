"""`fairfed semantics table` and `merge`: files that are damaged, foreign, or do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

SUMS: dict[str, Any] = {
    "format": "fairfed attribute sums", "version": 1, "encoder": "clip", "classes": ["cat", "dog"],
    "attributes": ["furry"], "counts": [30, 40], "sums": [[30], [10]], "variance": 0,
    "epsilon": None, "delta": None,
}  # fmt: skip
RELEASED: dict[str, Any] = {
    "format": "fairfed prototypes 1", "names": ["cat", "dog"], "counts": [30, 40],
    "sums": [[3, 4], [0, 5]], "dimension": 2, "variances": [0.01, 0.01], "withheld": {},
    "epsilon": 1, "delta": 1e-5, "minimum": 20, "clip": 1, "encoder": "clip",
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "first", "second", "said"),
    [
        ("table", SUMS, "{", "second.json is not JSON"),
        ("table", SUMS, RELEASED, "second.json: these are no attribute sums"),
        ("table", SUMS, {**SUMS, "version": 2}, "second.json: attribute sums of version 2"),
        ("table", SUMS, {**SUMS, "sums": [[1, 2], [3, 4]]}, "'sums' is not 2 × 1 finite"),
        ("table", SUMS, {**SUMS, "counts": [float("nan"), 1]}, "'counts' is not 2 finite"),
        ("table", SUMS, {**SUMS, "counts": [-3, 1]}, "'counts' of exact sums is below 0"),
        ("table", SUMS, {**SUMS, "variance": -1}, "'variance'"),
        ("table", SUMS, {**SUMS, "attributes": ["a", 1]}, "'attributes' is no list of names"),
        ("table", SUMS, {**SUMS, "classes": ["cat", "cat"]}, "'classes' holds a name twice"),
        ("table", SUMS, {**SUMS, "attributes": ["big"]}, "second.json does not fit"),
        ("table", SUMS, {**SUMS, "encoder": "other"}, "different CLIP models"),
        ("table", SUMS, SUMS, "second.json holds the same as"),
        ("table", SUMS, {k: v for k, v in SUMS.items() if k != "counts"}, "'counts' is missing"),
        ("table", {**SUMS, "counts": [1, 2]}, {**SUMS, "counts": [3, 1]}, "no class has 20"),
        ("merge", RELEASED, "[", "second.json is not JSON"),
        ("merge", RELEASED, SUMS, "second.json: these are no prototypes"),
        ("merge", RELEASED, {**RELEASED, "names": 5}, "'names' is no list of names"),
        ("merge", RELEASED, {**RELEASED, "encoder": "other"}, "second.json does not fit"),
        ("merge", RELEASED, {**RELEASED, "names": ["cat × f", "dog"]}, "lacks 'cat'"),
        ("merge", RELEASED, RELEASED, "second.json holds the same as"),
    ],
)
def test_files_that_do_not_fit_are_named(
    semantics: Command, tmp_path: Path, command: str, first: Any, second: Any, said: str
) -> None:
    for name, content in (("first.json", first), ("second.json", second)):
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name).write_text(text)
    out = tmp_path / "out"
    answer = semantics(command, tmp_path / "first.json", tmp_path / "second.json", "-o", out)
    assert answer.code == 2
    assert said in answer.err
    assert not out.exists()


def test_a_missing_file_is_named(semantics: Command, tmp_path: Path) -> None:
    for command in ("table", "merge"):
        answer = semantics(command, tmp_path / "gone.json", "-o", tmp_path / "out")
        assert answer.code == 2
        assert "gone.json cannot be read" in answer.err
