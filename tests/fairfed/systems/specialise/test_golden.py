"""Golden run: domain specialisation of the generator."""

from __future__ import annotations

from collections.abc import Callable

from fairfed.config import Config
from tests.fairfed import golden
from tests.fairfed.runs import run_of
from tests.fairfed.systems.specialise.test_specialise_runs import FEW, NO_ARMS


def test_specialise(small: Callable[..., Config]) -> None:
    golden.check_golden("specialise", run_of(small(NO_ARMS, *FEW)))
