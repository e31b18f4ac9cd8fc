"""How a client's synthesis goes on, for whoever listens in the same process.

It is one message that takes minutes. In the in-process engine it reports here how many images it
has handled; in another process nobody listens, and reporting costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[int], None]] = []


def images_done(count: int) -> None:
    """Report that `count` more images were made or found in the store."""
    for listener in _listeners:
        listener(count)


@contextmanager
def listening(listener: Callable[[int], None]) -> Iterator[None]:
    """Send reports to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
