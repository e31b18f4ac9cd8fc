"""A tiny pipeline, built once."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
assert _spec is not None
assert _spec.loader is not None
_tiny = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_tiny)


@pytest.fixture(scope="session")
def tiny_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a Stable Diffusion with random weights."""
    folder: Path = _tiny.save_tiny_pipeline(tmp_path_factory.mktemp("tiny") / "sd")
    return folder
