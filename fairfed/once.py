"""What takes long to load is loaded once per process, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Once(Generic[P, T]):
    """A function whose latest results are kept; only one thread at a time asks for one."""

    def __init__(
        self, function: Callable[P, T], lock: AbstractContextManager[Any], kept: int
    ) -> None:
        self._cached, self._lock = lru_cache(maxsize=kept)(function), lock
        self.cache_clear = self._cached.cache_clear
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result for these arguments, which must be hashable."""
        with self._lock:
            return self._cached(*args, **kwargs)  # type: ignore[arg-type]


def once(
    lock: AbstractContextManager[Any], kept: int = 4
) -> Callable[[Callable[P, T]], Once[P, T]]:
    """Decorate a function to be called once for the same arguments.

    Parameters
    ----------
    lock
        Held meanwhile; functions that call each other share one that is reentrant.
    kept
        Results that are kept: those asked for last.
    """
    return lambda function: Once(function, lock, kept)
