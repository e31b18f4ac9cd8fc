"""What a machine keeps in memory of what its sites have put together, up to a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

KEPT_BYTES = 2 * 10**9
"""Beyond that the oldest are put together anew when needed."""


class Memory:
    """Values by key; of more than `limit` bytes the oldest go first, and the last one never."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit, self._lock = limit, threading.RLock()
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value of a key, made now where it is not there."""
        found = self._kept.get(key)
        if found is not None:
            value: T = found[0]
            return value
        made = make()
        with self._lock:
            self._kept[key] = made, size(made)
            while len(self._kept) > 1 and sum(own for _, own in self._kept.values()) > self._limit:
                self._kept.popitem(last=False)
        return made

    def forget(self, chosen: Callable[[Hashable], bool]) -> None:
        """Drop the values whose keys are chosen."""
        with self._lock:
            for key in [key for key in self._kept if chosen(key)]:
                del self._kept[key]

    @property
    def keys(self) -> list[Hashable]:
        """Keys of what is kept, the oldest first."""
        return list(self._kept)
