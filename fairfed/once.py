"""What takes long to load is loaded once, whatever the number of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

_GUARD = threading.Lock()


class once(Generic[T]):  # noqa: N801  (used as a decorator, like `property`)
    """A property that is worked out at its first use, by one thread, and kept by its object.

    Properties of one object share a lock, because they ask for each other.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function, self.__doc__ = function, function.__doc__
        self._name = function.__name__

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> once[T] | T:
        """The value; of the class, the property itself."""
        if instance is None:
            return self
        kept = instance.__dict__
        if self._name not in kept:
            with _GUARD:
                lock = kept.setdefault("_once_lock", threading.RLock())
            with lock:
                if self._name not in kept:
                    kept[self._name] = self._function(instance)
        value: T = kept[self._name]
        return value
