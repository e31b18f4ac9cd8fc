"""Threads that parse at once, as those do that read arrays of messages."""

from __future__ import annotations

import subprocess
import sys

from fairfed.engines.parsing import FIXED

RACE = """
import ast, gc, sys, threading

if sys.argv[1] == "locked":
    from fairfed.engines.parsing import parse_one_by_one
    parse_one_by_one()
ours = threading.main_thread()
collecting, parsed, over = threading.Event(), threading.Event(), threading.Event()

def parse():
    return ast.literal_eval("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }")

def other():
    while collecting.wait() and not over.is_set():
        collecting.clear()
        parse()
        parsed.set()

def give_way(phase, _):
    # Garbage is collected in the midst of our tree: the other thread parses meanwhile.
    if phase == "start" and threading.current_thread() is ours and not over.is_set():
        parsed.clear()
        collecting.set()
        if not parsed.wait(0.5):
            over.set()  # it waits for the lock

threading.Thread(target=other).start()
gc.set_threshold(1)
gc.callbacks.append(give_way)
try:
    parse()
    print("right")
except SystemError as error:
    print(error)
gc.callbacks.clear()
over.set()
collecting.set()
"""


def _race(how: str) -> str:
    """What becomes of a parse during which another thread parses."""
    command = [sys.executable, "-c", RACE, how]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_with_the_lock_a_parse_is_right() -> None:
    assert _race("locked") == "right\n"


def test_without_it_the_race_is_there_where_python_has_it() -> None:
    assert ("recursion depth mismatch" in _race("free")) == (sys.version_info < FIXED)
