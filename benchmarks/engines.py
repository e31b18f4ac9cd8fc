"""Compare the in-process engine with Flower's Ray simulation and with a bare PyTorch loop.

Three questions, all answered in one run:

1. What does a message cost when the client does nothing (57k parameters echoed)?
2. How long is it from calling the engine, everything imported, to the end of a first round?
3. On a real workload, what does the engine add to a plain loop over the same clients?

Ray runs in a process of its own per number of clients, so that each start is a cold one; the
in-process engine does the same for fairness. Repetitions of the real workload alternate between
engine and loop, and the medians are compared, because other jobs may share the machine.

    python benchmarks/engines.py --out engines.json
    python benchmarks/engines.py --clients 4 10 --rounds 3 --repeats 3     # a quick look
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from fairfed.engines.run import run_apps

# isort: split
import numpy as np
import torch
from _engine_workload import workload
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

PARAMETERS = 56_714
TARGETS = {
    "ms_per_message": ("in-process, ms per message (worst)", 2.0, "<="),
    "round_ratio": ("Ray / in-process, steady round, most clients", 10.0, ">="),
    "startup_ratio": ("Ray / in-process, start-up and first round (least)", 10.0, ">="),
    "overhead": ("in-process / bare loop, real workload", 1.10, "<="),
}


# Nothing to do: what does a message cost?


def echo_app() -> ClientApp:
    """Return the arrays that came."""
    app = ClientApp()

    @app.train()
    def echo(msg: Message, context: Context) -> Message:
        metrics = MetricRecord({"partition-id": int(context.node_config["partition-id"])})
        content = RecordDict({"arrays": msg.content["arrays"], "metrics": metrics})
        return Message(content, reply_to=msg)

    return app


def echo_rounds(engine: Any, clients: int, rounds: int) -> list[float]:
    """Return the seconds of each round; the first includes the engine's start."""
    arrays = ArrayRecord({"x": Array(np.zeros(PARAMETERS, np.float32))})
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"round": 1})})
    server_app, seconds = ServerApp(), []
    for name in ("ray",) if engine == "ray" else ("fairfed.engines.inprocess",):
        importlib.import_module(name)
    started = time.perf_counter()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        last = started
        for _ in range(rounds + 1):
            messages = [Message(content, node, "train") for node in grid.get_node_ids()]
            replies = list(grid.send_and_receive(messages, timeout=600))
            if len(replies) != clients or any(reply.has_error() for reply in replies):
                raise RuntimeError(f"{engine}: {len(replies)} of {clients} replies")
            seconds.append(time.perf_counter() - last)
            last = time.perf_counter()

    run_apps(server_app, echo_app(), clients, engine=engine, workers=workers_for(engine))
    return seconds


def workers_for(engine: str) -> int:
    """Give Ray the cores it needs to shine; the in-process engine calls clients inline."""
    return (os.cpu_count() or 1) if engine == "ray" else 1


def echo_in_a_process(engine: str, clients: int, rounds: int) -> dict[str, float]:
    """Measure a cold start and steady rounds in a process of its own."""
    command = [sys.executable, __file__, "--child", engine, str(clients), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    first, *steady = json.loads(done.stdout.splitlines()[-1])
    median = statistics.median(steady)
    return {"first_round": first, "steady_round": median, "ms_per_message": 1e3 * median / clients}


# The table


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything and return what goes into the JSON file."""
    echo: dict[str, dict[str, dict[str, float]]] = {}
    for clients in options.clients:
        echo[str(clients)] = {
            engine: echo_in_a_process(engine, clients, options.rounds) for engine in options.engines
        }
    real = workload(options.real_clients, options.real_rounds, options.samples, options.repeats)
    summary = {
        "ms_per_message": max(row["inprocess"]["ms_per_message"] for row in echo.values()),
        "overhead": real["overhead"],
    }
    if "ray" in options.engines:
        most = echo[str(max(options.clients))]
        summary["round_ratio"] = most["ray"]["steady_round"] / most["inprocess"]["steady_round"]
        summary["startup_ratio"] = min(
            row["ray"]["first_round"] / row["inprocess"]["first_round"] for row in echo.values()
        )
    settings = {key: value for key, value in vars(options).items() if key not in ("out", "child")}
    versions = {"torch": torch.__version__, "numpy": np.__version__, "cores": os.cpu_count()}
    return {
        "settings": settings, "versions": versions, "echo": echo, "workload": real,
        "summary": summary,
        "reached": {name: reached(name, value) for name, value in summary.items()},
    }  # fmt: skip


def reached(name: str, value: float) -> bool:
    """Say whether a summary number reaches its target."""
    _, target, direction = TARGETS[name]
    return value <= target if direction == "<=" else value >= target


def table(result: dict[str, Any]) -> str:
    """Format the result for a terminal."""
    lines = [
        f"{'clients':>8} {'engine':<10} {'first round':>12} {'steady round':>13} {'ms/message':>11}"
    ]
    for clients, row in result["echo"].items():
        for engine, values in row.items():
            lines.append(
                f"{clients:>8} {engine:<10} {values['first_round']:>10.3f} s "
                f"{values['steady_round']:>11.4f} s {values['ms_per_message']:>11.2f}"
            )
    real = result["workload"]
    lines += [
        "",
        f"real workload: bare loop {real['bare_loop']:.3f} s, in process {real['inprocess']:.3f} s "
        f"(weights differ by {real['largest_difference']:.1e} at most)",
        "",
    ]
    for name, value in result["summary"].items():
        text, target, direction = TARGETS[name]
        verdict = "reached" if result["reached"][name] else "MISSED"
        lines.append(f"{text:<52} {value:>8.2f}   target {direction} {target:g}: {verdict}")
    return "\n".join(lines)


def main() -> None:
    """Read the options, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, nargs="+", default=[10, 100], help="echo clients")
    parser.add_argument("--rounds", type=int, default=10, help="steady echo rounds")
    parser.add_argument("--engines", nargs="+", choices=["inprocess", "ray"],
                        default=["inprocess", "ray"], help="engines to echo with")  # fmt: skip
    parser.add_argument("--real-clients", type=int, default=10)
    parser.add_argument("--real-rounds", type=int, default=2)
    parser.add_argument("--samples", type=int, default=200, help="images per client")
    parser.add_argument("--repeats", type=int, default=5, help="repetitions of the real workload")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        engine, clients, rounds = options.child
        print(json.dumps(echo_rounds(engine, int(clients), int(rounds))))
        return
    result = measure(options)
    print(table(result))
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
