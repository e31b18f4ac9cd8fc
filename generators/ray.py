"""Any generator on many processes or machines through Ray, with the same images.

Requests are cut into the batches that the generator would cut them into by itself, and each worker
process, with a generator of its own, takes the next batch when it is free. An image depends on its
request alone, so who makes it changes nothing: the store is shared with runs without Ray.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from generators.requests import Generator, Image, Request, refuse
from semantic.errors import InputError

RAY_MISSING = "engine 'ray' needs Ray, which is not installed: pip install 'fairfed[ray]'"
NO_CLUSTER = (
    "RAY_ADDRESS is {!r}, and no Ray cluster answers there; start one ('ray start --head') or "
    "unset the variable to run on this machine"
)
ATTEMPTS = 2
"""How often a batch is given to a worker before its death is taken for the batch's doing."""
START_TIMEOUT = 600.0
"""Seconds until all workers must have loaded their models."""


class WorkerDiedError(InputError):
    """Worker processes keep dying; the message names the batch and what to try."""


class _Told(NamedTuple):
    fingerprint: str
    batch_size: int
    weights: str | None
    settings: object  # both where the generator tells them


class _Worker:
    """What runs in a worker process."""

    def __init__(self, factory: Callable[[], Generator]) -> None:
        self._factory = factory
        self._generator: Generator | None = None

    def load(self) -> _Told:
        """Build the generator; what it tells of itself.

        Not in the constructor: Ray wraps what a constructor raises beyond recognition.
        """
        self._generator = made = self._factory()
        further = getattr(made, "weights", None), getattr(made, "settings", None)
        return _Told(made.fingerprint, made.batch_size, *further)

    def refuse(self, request: Request) -> None:
        """Refuse a request that the generator cannot make, where it can say so."""
        assert self._generator is not None
        refuse(self._generator, request)

    def run(self, fingerprint: str, method: str, part: Any) -> Image:
        """Call `generate` or `autoencode` of the generator with this fingerprint."""
        if self._generator is None:  # this worker took the place of a dead one
            _refuse_different({self.load().fingerprint, fingerprint})
        made: Image = getattr(self._generator, method)(part)
        return made


class RayGenerator:
    """Spreads a generator's batches over Ray workers; behind the `Generator` protocol.

    Connects to the cluster that the environment variable `RAY_ADDRESS` names, else starts Ray on
    this machine; a Ray that this process has started already is used and left running.

    On one machine the images equal those of the generator in process bit for bit, provided that
    PyTorch uses one thread there as well (Ray gives a worker `OMP_NUM_THREADS=1`). Between machines
    of different kinds the last bits of a pixel may differ, as they do without Ray.

    Parameters
    ----------
    factory
        Builds the generator in a worker: `functools.partial(load_generator, settings)`. What it
        needs (package, model directory) must be on every machine of a cluster.
    workers
        Worker processes, one CPU each; at least 1.
    gpus
        GPUs, or a share of one, that each worker gets.

    Raises
    ------
    InputError
        If Ray is not installed, the cluster is too small, or the workers do not load one and the
        same generator; and whatever `InputError` a worker's generator raises.
    """

    def __init__(
        self, factory: Callable[[], Generator], workers: int = 1, *, gpus: float = 0.0
    ) -> None:
        if workers < 1:
            raise InputError(f"workers is {workers}, expected at least 1")
        self._factory = factory
        self._gpus = gpus
        self._guard = threading.Lock()  # one call at a time: each uses all workers
        self._workers: list[Any] = []
        self._owns_ray = start_ray(workers, gpus)
        try:
            self._workers = [self._spawn() for _ in range(workers)]
            told = self._agreed()
        except BaseException:
            self.close()
            raise
        self._batch_size = told.batch_size
        self.fingerprint = told.fingerprint  # both share one store
        self.weights, self.settings = told.weights, told.settings  # read by `provenance`

    @property
    def batch_size(self) -> int:
        """Images that keep every worker busy: the inner generator's batch for each."""
        return self._batch_size * len(self._workers)

    def generate(self, requests: Sequence[Request]) -> Image:
        """Images of the requests, in order, ``[n, H, W, 3]``."""
        if not requests:
            # Only the generator knows the size of its images.
            return self._spread("generate", [requests], "no requests")
        return self._spread("generate", self._cut(requests), "images")

    def refuse(self, request: Request) -> None:
        """Refuse a request that the inner generator cannot make, where it can say so."""
        import ray

        with self._guard, _plain_errors():
            ray.get(self._workers[0].refuse.remote(request))

    def autoencode(self, images: Image) -> Image:
        """Images as the generator would render them, same shape."""
        return self._spread("autoencode", self._cut(images) or [images], "real images")

    def __enter__(self) -> RayGenerator:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers, and Ray where it was started here; may be called twice."""
        import ray

        if ray.is_initialized():  # or else the next call would start it
            for worker in self._workers:
                ray.kill(worker)
        self._workers = []
        if self._owns_ray:
            ray.shutdown()
            self._owns_ray = False

    def _cut(self, items: Any) -> list[Any]:
        step = self._batch_size
        return [items[start : start + step] for start in range(0, len(items), step)]

    def _spawn(self) -> Any:
        import ray

        # Ray itself puts another process in the place of a dead one, and gives it the batch again.
        options = {"num_cpus": 1, "num_gpus": self._gpus,
                   "max_restarts": -1, "max_task_retries": ATTEMPTS - 1}  # fmt: skip
        return ray.remote(_Worker).options(**options).remote(self._factory)

    def _agreed(self) -> _Told:
        """What `_Worker.load` tells, once every worker has its generator."""
        import ray
        from ray.exceptions import RayActorError

        loading = [worker.load.remote() for worker in self._workers]
        try:
            with _plain_errors():
                answers = ray.get(loading, timeout=START_TIMEOUT)
        except RayActorError as error:
            raise WorkerDiedError(
                "a Ray worker died while it loaded the generator; most often a machine out of "
                "memory: use fewer workers or a smaller model"
            ) from error
        _refuse_different({told.fingerprint for told in answers})
        return _Told._make(answers[0])

    def _spread(self, method: str, parts: list[Any], what: str) -> Image:
        """Give the parts to whichever worker is free; the answers, joined in order."""
        import ray
        from ray.exceptions import RayActorError

        done: dict[int, Image] = {}
        waiting, idle = deque(enumerate(parts)), deque(self._workers)
        running: dict[Any, tuple[Any, int]] = {}
        with self._guard, _plain_errors():
            while waiting or running:
                while waiting and idle:
                    worker, (place, part) = idle.popleft(), waiting.popleft()
                    running[worker.run.remote(self.fingerprint, method, part)] = worker, place
                (task,), _ = ray.wait(list(running), num_returns=1)
                worker, place = running.pop(task)
                try:
                    done[place] = ray.get(task)
                except RayActorError as error:
                    raise WorkerDiedError(self._obituary(what, place)) from error
                idle.append(worker)
        return np.concatenate([done[place] for place in range(len(parts))])

    def _obituary(self, what: str, part: int) -> str:
        first = part * self._batch_size
        return (
            f"the worker that made {what} {first} to {first + self._batch_size - 1} of this call "
            f"died {ATTEMPTS} times; most often a machine out of memory: use fewer workers or a "
            "smaller generator.batch_size. Images already in the store are kept"
        )


def _refuse_different(fingerprints: set[str]) -> None:
    if len(fingerprints) > 1:
        raise InputError(
            "the Ray workers load different generators (fingerprints "
            f"{', '.join(sorted(fingerprints))}); put the same model on every machine"
        )


def start_ray(workers: int, gpus: float = 0.0) -> bool:
    """Connect to a cluster or start Ray here; whether the connection is ours to end."""
    if importlib.util.find_spec("ray") is None:
        raise InputError(RAY_MISSING)
    import ray

    ours = not ray.is_initialized()
    address = os.environ.get("RAY_ADDRESS", "").strip() or "local"
    if ours:
        # The second setting is the behaviour that Ray announces for its next version; without it,
        # every start warns about it.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        _refuse_silent(address)
        try:
            ray.init(
                address,
                num_cpus=workers if address == "local" else None,
                include_dashboard=False if address == "local" else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except ConnectionError as error:
            raise InputError(NO_CLUSTER.format(address)) from error
    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for name, needed in (("CPU", float(workers)), ("GPU", workers * gpus)):
        if found.get(name, 0.0) < needed:
            if ours:
                ray.shutdown()
            raise InputError(
                f"{workers} Ray workers need {needed:g} {name}s, the cluster has "
                f"{found.get(name, 0.0):g}; ask for fewer workers"
            )
    return ours


def _refuse_silent(address: str) -> None:
    """Refuse an address where nobody listens: Ray would abort the whole process there."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():  # "local", "auto"
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except OSError as error:
        raise InputError(NO_CLUSTER.format(address)) from error


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise what a worker raised, without Ray's traceback inside the message."""
    from ray.exceptions import GetTimeoutError, RayTaskError

    try:
        yield
    except GetTimeoutError as error:
        raise InputError(
            f"the Ray cluster started no workers within {START_TIMEOUT:g} s; is it busy? "
            "'ray status' tells"
        ) from error
    except RayTaskError as error:
        if isinstance(error.cause, Exception):
            raise error.cause from error
        raise
