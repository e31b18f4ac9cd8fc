"""By what a continued run knows its data again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairfed.config import Config
from fairfed.data.fingerprint import fingerprint
from semantic.errors import InputError
from tests.fairfed.runs import logged, new_process, play

Small = Callable[..., Config]
ONE = "arms=[{name='FedAvg'}]"


def _frame(town: str = "A", age: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame({"age": [age, np.nan], "town": pd.Categorical([town, None])})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(4), np.arange(4).reshape(2, 2)),
        (np.zeros(2, np.int64), np.zeros(2, np.float64)),
        (np.zeros((0, 3)), np.zeros((0, 4))),
        (("ab", "c"), ("a", "bc")),
        (((1,), 2), (1, (2,))),
        (_frame(), _frame("B")),
        (_frame(), _frame(age=2.0)),
        (_frame(), _frame().rename(columns={"age": "years"})),
        (_frame(), _frame()[::-1]),
    ],
)
def test_different_data_have_different_fingerprints(one: object, other: object) -> None:
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(other)


def test_what_has_no_content_has_no_fingerprint() -> None:
    for part in (object(), np.array([object()])):
        with pytest.raises(TypeError, match="no fingerprint of a"):
            fingerprint(part)


def _flip(folder: Path) -> None:
    text = (folder / "metadata.csv").read_text().replace("0.png,bag", "0.png,coat", 1)
    (folder / "metadata.csv").write_text(text)


def _drop(folder: Path) -> None:
    lines = (folder / "metadata.csv").read_text().splitlines(keepends=True)
    (folder / "metadata.csv").write_text("".join(lines[:-5]))


def _paint(folder: Path) -> None:
    Image.new("RGB", (16, 16), "red").save(folder / "3.png")


@pytest.mark.parametrize("change", [_flip, _drop, _paint])
def test_a_run_is_not_continued_on_other_data(
    small: Small, image_folder: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    own = tmp_path / "own"
    shutil.copytree(image_folder, own)
    config = small(ONE, "rounds=1", f"data.source={own}")
    play(config)
    files = [config.run_directory / name for name in ("federation.json", "rounds.jsonl")]
    before = [file.read_bytes() for file in files]
    change(own)
    new_process()
    with pytest.raises(InputError, match=r"data of this run have changed.*own.*--fresh"):
        play(config)
    assert [file.read_bytes() for file in files] == before
    (config.run_directory / "data.json").unlink()  # as a run of an older version has none
    play(config)
    assert len(logged(config)) == 1
