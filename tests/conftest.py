"""What all tests share: no network, no telemetry, one thread, a private cache."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Read by the libraries when they are imported, so set before any of them is.
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says how busy the machine is, and no more.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def private_caches(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give every test a cache directory of its own, so that no store outlives it."""
    cache: Path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))


@pytest.fixture(scope="session")
def tiny_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Directory of a pipeline with random weights, of a family in `tests/tiny.py`, built once."""
    spec = importlib.util.spec_from_file_location("tiny", Path(__file__).with_name("tiny.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    built: dict[str, Path] = {}

    def build(family: str) -> Path:
        if family not in built:
            folder = tmp_path_factory.mktemp("tiny") / family
            built[family] = module.save_tiny_pipeline(folder, family)
        return built[family]

    return build


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_family: Callable[[str], Path]) -> Path:
    """Directory of a Stable Diffusion 1 with random weights, built once."""
    return tiny_family("sd1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip Ray tests where Ray is not installed: it is an extra."""
    from importlib.util import find_spec

    if find_spec("ray") is None:
        skip = pytest.mark.skip(reason="needs the extra `ray`")
        for item in items:
            if item.get_closest_marker("ray"):
                item.add_marker(skip)
