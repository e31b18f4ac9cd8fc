"""One parse at a time, where Python goes wrong if several threads parse at once.

NumPy reads the header of a stored array with `ast.literal_eval`, and every array of a message is
stored so. Python 3.11 before 3.11.8 counts the depth of all threads' syntax trees together: when
garbage is collected within a parse, another thread may get its turn, and one of the two ends with
``SystemError: AST constructor recursion depth mismatch`` (python/cpython#106905). A client that it
happened to would be lost for the round.
"""

from __future__ import annotations

import ast
import functools
import sys
import threading
from typing import Any

FIXED = (3, 11, 8)


def parse_one_by_one() -> None:
    """Put a lock around `ast.parse`, once, where this Python needs it."""
    if sys.version_info >= FIXED or hasattr(ast.parse, "__wrapped__"):
        return
    parse, lock = ast.parse, threading.RLock()

    @functools.wraps(parse)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return parse(*args, **kwargs)

    ast.parse = locked
