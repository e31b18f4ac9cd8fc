"""The store where the machine refuses: full disk, no permission, kills, other processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from generators import writing
from generators.requests import Request
from generators.store import ImageStore, request_key
from generators.writing import StoreError
from semantic.errors import InputError
from semantic.space import Cell

BAG = Cell("Bag", "red")


def _put(store: ImageStore, index: int = 0) -> str:
    request = Request(BAG, "a photo of a red bag", index)
    image = np.full((8, 8, 3), index, np.uint8)
    return store.put(request, image, scorer="s", score=0.5, margin=1.0).key


def _fail(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_is_said_leaves_nothing_half_and_is_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ImageStore(tmp_path, "g")
    first = _put(store, 0)
    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", _fail)
        with pytest.raises(StoreError, match=r"No space left.*MB free.*from what is stored"):
            _put(store, 1)
    assert not list(tmp_path.rglob("*.partial.*"))
    second = _put(store, 1)
    again = ImageStore(tmp_path, "g")
    assert again.get(first) is not None
    assert again.get(second) is not None
    assert issubclass(StoreError, InputError)


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from generators.requests import Request
from generators.store import ImageStore
from generators.writing import StoreError
from semantic.space import Cell

store = ImageStore(Path(sys.argv[1]), "g")
size = (Path(sys.argv[1]) / "g" / "manifest.jsonl").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, size + 300))
try:
    store.put(Request(Cell("Bag", "red"), "p", 1), np.zeros((2, 2, 3), np.uint8),
              scorer="s", score=0, margin=0)
except StoreError as error:
    print(error)
"""
"""Adds a row where the operating system admits only a part of it."""


def test_row_that_does_not_fit_on_the_disk_is_taken_back(tmp_path: Path) -> None:
    for index in range(20):
        _put(ImageStore(tmp_path, "g"), index)
    manifest = tmp_path / "g" / "manifest.jsonl"
    before = manifest.read_bytes()
    found = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "manifest.jsonl cannot be written" in found.stdout
    assert manifest.read_bytes() == before


def test_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/g cannot be written"):
        ImageStore(tmp_path / "file", "g")
    store = ImageStore(tmp_path, "g")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match="Permission denied"):
        _put(store)
    with pytest.raises(StoreError, match="Permission denied"), store.locked("Bag"):
        pytest.fail("the lock must not be held")


def test_line_left_open_by_another_process_is_closed_before_the_next_row(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"whole": 1}\n{"half')
    writing.append_whole(manifest, b'{"next": 1}\n')
    assert manifest.read_text().splitlines() == ['{"whole": 1}', '{"half', '{"next": 1}']


WRITER = """
import sys
from pathlib import Path
import numpy as np
from generators.requests import Request
from generators.store import ImageStore, request_key
from semantic.space import Cell

store, made = ImageStore(Path(sys.argv[1]), "g"), 0
for index in range(30):
    request = Request(Cell("Bag", "red"), "p" * 3000, index)
    with store.locked(f"image {index}"):
        if store.get(request_key(request, "g")) is None:
            image = np.full((2, 2, 3), index, np.uint8)
            store.put(request, image, scorer="s", score=0, margin=0)
            made += 1
print(made)
"""
"""Makes thirty images with long rows, if nobody else has."""


def test_two_processes_on_one_store_make_every_image_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = [int(process.communicate(timeout=60)[0]) for process in both]
    assert sum(made) == 30
    rows = (tmp_path / "g" / "manifest.jsonl").read_text().splitlines()
    assert sorted(json.loads(row)["seed"] for row in rows) == list(range(30))


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from generators import store
from generators.requests import Request
from semantic.space import Cell

open_store = store.ImageStore(Path(sys.argv[1]), "g")
store.append_whole = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with open_store.locked("Bag"):
    open_store.put(Request(Cell("Bag", "red"), "p", 1), np.full((2, 2, 3), 9, np.uint8),
                   scorer="s", score=0, margin=0)
"""
"""Dies between the PNG and its row, with the cell locked."""


def test_killed_between_png_and_row_loses_nothing_and_locks_nobody_out(tmp_path: Path) -> None:
    found = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert found.returncode == -9
    store = ImageStore(tmp_path, "g")
    with store.locked("Bag"):
        image = store.orphan(request_key(Request(BAG, "p", 1), "g"))
    assert image is not None
    assert np.array_equal(image, np.full((2, 2, 3), 9, np.uint8))
