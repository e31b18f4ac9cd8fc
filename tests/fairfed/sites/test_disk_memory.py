"""What a site remembers on its disk: found again, bounded, never believed when it is damaged."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fairfed.sites.disk_memory import DiskMemory, stamp_of


def test_a_value_is_put_together_once_for_all_processes(tmp_path: Path) -> None:
    made: list[str] = []

    def make() -> np.ndarray:
        made.append("made")
        return np.arange(3)

    for about in ("study", "study", "another"):
        found = DiskMemory(tmp_path / "cache", about).get(("rows", b"\0"), make, lambda a: a.nbytes)
        assert found.tolist() == [0, 1, 2]
    assert made == ["made", "made"]


def test_a_damaged_file_costs_its_value_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert DiskMemory(tmp_path, "study").get("a", lambda: 1, lambda _: 0) == 1
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:3])
    assert DiskMemory(tmp_path, "study").get("a", lambda: 2, lambda _: 0) == 2
    assert "put together anew" in caplog.text
    assert DiskMemory(tmp_path, "study").get("a", lambda: 3, lambda _: 0) == 2


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    for i, name in enumerate("abc"):
        before = set(tmp_path.iterdir())
        memory = DiskMemory(tmp_path, "study", limit=2500)
        memory.get(name, lambda: b"x" * 1000, len)
        (new,) = set(tmp_path.iterdir()) - before
        os.utime(new, (i + 1, i + 1))
    made: list[str] = []
    for name in "cba":
        DiskMemory(tmp_path, "study", 2500).get(name, lambda n=name: made.append(n) or b"", len)  # type: ignore[misc]
    assert made == ["a"]


def test_a_stamp_changes_with_any_file_below(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"1")
    seen = [stamp_of(tmp_path)]
    (tmp_path / "a" / "1.png").write_bytes(b"12")
    seen.append(stamp_of(tmp_path))
    (tmp_path / "a" / "1.png").rename(tmp_path / "a" / "2.png")
    seen.append(stamp_of(tmp_path))
    (tmp_path / "a" / "2.png").unlink()
    seen.append(stamp_of(tmp_path))
    assert len(set(seen)) == 4
