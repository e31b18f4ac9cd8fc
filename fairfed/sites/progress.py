"""How a client's synthesis goes on, for whoever listens in the same process.

It is one message that takes minutes, or hours. In the in-process engine it reports here how many
images it has handled. A site that answers over a network works for a while, says how far it is,
and goes on when it is asked again: every image is stored as soon as it is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[int, int], None]
_listeners: list[Listener] = []


class UnderWay(Exception):  # noqa: N818  (no error: there is more to do)
    """A site has worked as long as it may for one message: images looked at, and images made."""

    def __init__(self, handled: int, made: int) -> None:
        super().__init__(f"{handled} images handled")
        self.handled, self.made = handled, made


def images_done(count: int, made: int) -> None:
    """Report that `count` more images are there, of which `made` were made now."""
    for listener in _listeners:
        listener(count, made)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send reports to `listener` while the block runs."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Interrupt a longer synthesis in the block with `UnderWay`, once it has made an image."""
    end, handled, made = time.monotonic() + seconds, 0, 0

    def look(count: int, new: int) -> None:
        nonlocal handled, made
        handled, made = handled + count, made + new
        if made and time.monotonic() >= end:
            raise UnderWay(handled, made)

    with listening(look):
        yield
