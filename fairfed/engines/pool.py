"""A pool of threads that stops at the first exception."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from fairfed.engines.parsing import parse_one_by_one

T = TypeVar("T")


def available_cores() -> int:
    """Cores that this process may use, of which there may be fewer than the machine has."""
    has = hasattr(os, "sched_getaffinity")
    return (len(os.sched_getaffinity(0)) if has else os.cpu_count()) or 1


class Workers:
    """Run jobs in this thread (``count`` = 1) or in ``count`` threads that are kept for reuse."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._executor: ThreadPoolExecutor | None = None

    def run(self, jobs: Sequence[Callable[[], T]], done: Callable[[T], None]) -> None:
        """Run all jobs; call ``done(result)`` in the calling thread as each one ends.

        Any exception, also ``KeyboardInterrupt`` from a job or in the calling thread, cancels the
        jobs that have not started and is raised at once; jobs in other threads end on their own.
        """
        if self._count == 1:
            for job in jobs:
                done(job())
            return
        if self._executor is None:
            parse_one_by_one()
            self._executor = ThreadPoolExecutor(self._count, thread_name_prefix="client")
        try:
            for future in as_completed([self._executor.submit(job) for job in jobs]):
                done(future.result())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Cancel what has not started and give the threads back."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
