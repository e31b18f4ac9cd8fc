"""Generation on Ray workers: the same images, and what happens when something goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from generators.ray import RayGenerator, WorkerDiedError
from generators.requests import Generator, Image, Request, request_seed
from semantic.errors import InputError
from semantic.space import Cell

BAG = Cell("Bag", "red")


def requests(count: int) -> list[Request]:
    return [Request(BAG, "a red bag", request_seed(0, "", BAG, i)) for i in range(count)]


def counting(marks: Path, deaths: int = 0, fault: str = "") -> Callable[[], Generator]:
    """Factory of a generator that writes seeds into images, and fails as it is told.

    The class is defined in here because Ray then sends its code to the workers, which cannot
    import a test. A worker dies on a batch with the prompt "die" as long as fewer than `deaths`
    have left a mark.
    """

    class Counting:
        fingerprint = "counting"
        batch_size = 4

        def generate(self, asked: Sequence[Request]) -> Image:
            prompts = {request.prompt for request in asked}
            if "die" in prompts and len(list(marks.iterdir())) < deaths:
                (marks / str(os.getpid())).touch()
                os._exit(1)
            if "bad" in prompts:
                raise InputError("prompt 'bad' is refused")
            images = np.zeros((len(asked), 2, 2, 3), np.uint8)
            for image, request in zip(images, asked, strict=True):
                image[:] = request.seed % 251
            return images

        def autoencode(self, images: Image) -> Image:
            return np.asarray(images // 2, np.uint8)

    def build() -> Generator:
        made = Counting()
        if fault == "refuses":
            raise InputError("model 'nowhere' is not on disk")
        if fault == "differs":
            made.fingerprint = str(os.getpid())  # type: ignore[misc]
        return made

    return build


HEAD = """
import ray, sys
found = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
print(found.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a cluster with 2 CPUs in a process of its own.

    Ray leaves the processes that it starts to the interpreter's exit, which pytest would report.
    """
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", HEAD],
        env={**os.environ, **quiet},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as head:
        assert head.stdout is not None
        yield head.stdout.readline().strip()
        assert head.stdin is not None
        head.stdin.close()


@pytest.fixture
def ray_running(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster)


@pytest.mark.ray
def test_dead_worker_is_replaced_and_its_batch_made_once_more(
    ray_running: None, tmp_path: Path
) -> None:
    asked = requests(12)
    asked[5] = Request(BAG, "die", 7)
    expected = [request.seed % 251 for request in asked]
    with RayGenerator(counting(tmp_path, deaths=1), workers=2) as generator:
        assert generator.generate(asked)[:, 0, 0, 0].tolist() == expected
        assert len(list(tmp_path.iterdir())) == 1
        assert generator.generate(asked)[:, 0, 0, 0].tolist() == expected


@pytest.mark.ray
def test_batch_that_kills_its_workers_is_named_and_others_go_on(
    ray_running: None, tmp_path: Path
) -> None:
    asked = requests(6)
    asked[5] = Request(BAG, "die", 7)
    with RayGenerator(counting(tmp_path, deaths=9), workers=1) as generator:
        with pytest.raises(WorkerDiedError, match="images 4 to 7 of this call died 2 times"):
            generator.generate(asked)
        assert len(list(tmp_path.iterdir())) == 2
        assert len(generator.generate(asked[:5])) == 5


@pytest.mark.ray
def test_what_a_worker_refuses_reads_as_it_does_in_process(
    ray_running: None, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        RayGenerator(counting(tmp_path, fault="refuses"))
    assert str(refused.value) == "model 'nowhere' is not on disk"
    with pytest.raises(InputError, match="load different generators"):
        RayGenerator(counting(tmp_path, fault="differs"), workers=2)
    with RayGenerator(counting(tmp_path)) as generator, pytest.raises(InputError) as refused:
        generator.generate([Request(BAG, "bad", 1)])
    assert str(refused.value) == "prompt 'bad' is refused"
    with pytest.raises(InputError, match="9 Ray workers need 9 CPUs, the cluster has 2"):
        RayGenerator(counting(tmp_path), workers=9)


@pytest.mark.ray
def test_connection_that_was_there_before_is_left_open(ray_running: None, tmp_path: Path) -> None:
    import ray

    ray.init(log_to_driver=False)
    try:
        with RayGenerator(counting(tmp_path)) as generator:
            assert len(generator.generate(requests(3))) == 3
        assert ray.is_initialized()
    finally:
        ray.shutdown()


PROGRAM = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's shell ignores it
from generators.ray import RayGenerator

class Slow:
    fingerprint, batch_size = "slow", 1
    def generate(self, requests):
        time.sleep(600)

with RayGenerator(Slow) as generator:
    print("ready", flush=True)
    generator.generate(["one"])
"""


@pytest.mark.ray
def test_interrupt_ends_every_process() -> None:
    """A session of its own names all that was started here, whatever became of the parents."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    assert len(session(program.pid)) > 2
    program.send_signal(signal.SIGINT)
    _, complaints = program.communicate(timeout=120)
    assert "KeyboardInterrupt" in complaints
    deadline = time.monotonic() + 20
    while session(program.pid) and time.monotonic() < deadline:
        os.sched_yield()
    assert session(program.pid) == []


def session(leader: int) -> list[int]:
    """Living processes of a session."""
    import psutil

    def belongs(process: psutil.Process) -> bool:
        try:
            return os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False

    return [process.pid for process in psutil.process_iter() if belongs(process)]


@pytest.mark.ray
def test_cluster_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for address in ("127.0.0.1:1", "ray://localhost:1"):
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputError, match=f"RAY_ADDRESS is '{address}', and no Ray cluster"):
            RayGenerator(counting(tmp_path))


def test_missing_ray_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'fairfed\[ray\]'"):
        RayGenerator(counting(tmp_path))
    with pytest.raises(InputError, match="workers is 0"):
        RayGenerator(counting(tmp_path), workers=0)
