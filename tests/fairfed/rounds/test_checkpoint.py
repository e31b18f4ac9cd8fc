"""Checkpoints: exact, atomic, and clear about what is wrong with a file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from fairfed.rounds.checkpoint import Checkpoint, load, save
from semantic.errors import InputError


def example() -> Checkpoint:
    return Checkpoint(
        round=3,
        arrays={
            "layer.weight": np.array([[0.1, np.pi]], np.float32),
            "num_batches_tracked": np.array(7, np.int64),
            "empty": np.zeros((0, 2), np.float16),
        },
        state={"strategy": {"offsets": {"0": 0.1 + 0.2}}, "failed": 1},
        clients={0: b"", 4: b"\x00state\xff"},
    )


def test_round_trip_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.npz"
    save(path, example())
    found, expected = load(path), example()
    assert (found.round, found.state, found.clients) == (3, expected.state, expected.clients)
    assert list(found.arrays) == list(expected.arrays)
    for name, value in expected.arrays.items():
        assert found.arrays[name].tobytes() == value.tobytes()
        assert (found.arrays[name].dtype, found.arrays[name].shape) == (value.dtype, value.shape)
    assert [file.name for file in path.parent.iterdir()] == ["a.npz"]


def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    save(path, example())

    def crash(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        save(path, Checkpoint(round=4, arrays={}))
    assert load(path).round == 3


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.npz"
    save(path, example())
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"a\.npz' cannot be read .*Delete it"):
        load(path)


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(path, example())
    data = bytearray(path.read_bytes())
    data[data.index(np.array([0.1], np.float32).tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        load(path)


@pytest.mark.parametrize("content", ["text", "npz", "npy", "nothing", "other"])
def test_a_foreign_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "foreign.npz"
    if content == "text":
        path.write_text("not an archive")
    elif content == "npz":
        np.savez(path, x=np.zeros(3))
    elif content == "npy":
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(3))
        path.write_bytes(buffer.getvalue())
    elif content == "other":
        np.savez(path, meta=np.frombuffer(b'{"format": "theirs"}', np.uint8))
    with pytest.raises(InputError, match=r"foreign\.npz"):
        load(path)


def test_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    monkeypatch.setattr("fairfed.rounds.checkpoint.VERSION", 2)
    save(path, example())
    monkeypatch.undo()
    with pytest.raises(InputError, match="version 2, this program reads 1"):
        load(path)


def test_state_must_be_finite(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(tmp_path / "a.npz", Checkpoint(1, {}, {"x": float("nan")}))
    assert list(tmp_path.iterdir()) == []
