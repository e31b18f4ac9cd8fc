"""Golden run: a shared space of images and captions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fairfed.config import Config
from tests.fairfed import golden
from tests.fairfed.runs import run_of


@pytest.mark.usefixtures("seeded_noise")
def test_shared_space(small_shared: Callable[..., Config]) -> None:
    golden.check_golden("shared_space", run_of(small_shared()))
