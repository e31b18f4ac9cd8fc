"""Which device a setting means, and which are refused."""

from __future__ import annotations

import pytest

from generators.device import torch_device
from semantic.errors import InputError


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine with so many GPUs."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: request.param > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: request.param)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)


@pytest.mark.usefixtures("cards")
@pytest.mark.parametrize(
    ("cards", "name", "found"),
    [(0, "auto", "cpu"), (1, "auto", "cuda"), (0, "cpu", "cpu"), (2, "cuda:1", "cuda:1")],
    indirect=["cards"],
)
def test_a_device_that_is_here(name: str, found: str) -> None:
    assert torch_device(name, "x.device") == found


@pytest.mark.usefixtures("cards")
@pytest.mark.parametrize(
    ("cards", "name", "found"),
    [
        (0, "cuda", "no CUDA device"),
        (1, "cuda:1", "1 CUDA device"),
        (2, "cuda:2", "2 CUDA devices"),
        (2, "mps", "no MPS device"),
    ],
    indirect=["cards"],
)
def test_a_device_that_is_not_here_is_refused(name: str, found: str) -> None:
    said = f"x.device is '{name}', and torch finds {found} here; give 'auto'"
    with pytest.raises(InputError, match=said):
        torch_device(name, "x.device")
