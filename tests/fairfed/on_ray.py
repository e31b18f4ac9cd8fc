"""Runs on Ray, one after the other: `python on_ray.py A.toml B.toml`, a program of its own.

Ray leaves processes and files behind, so it runs outside of the tests' process; and as it and its
workers take longer to start than the runs take, they start once for all of them. The first clients
of the simulation are those of a run that has fewer than another.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fairfed.client import app
from fairfed.config import Config, load_config
from fairfed.engines.forwarding import ForwardingGrid
from fairfed.engines.run import run_apps
from fairfed.experiment import check, count_clients
from fairfed.rounds.clients import handshake
from fairfed.server import server_app


def run_on_ray(configs: Iterable[Config], folder: Path) -> None:
    """Run experiments with engine `ray`; their files lie in `folder`."""
    paths = []
    for number, config in enumerate(configs):
        assert config.engine == "ray"
        paths.append(folder / f"{number}.toml")
        paths[-1].write_text(config.to_toml())
    command = [sys.executable, "-m", "tests.fairfed.on_ray", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


class FirstClients(ForwardingGrid):
    """A grid of which only some nodes are seen."""

    def __init__(self, inner: Grid, nodes: list[int]) -> None:
        super().__init__(inner)
        self._nodes = nodes

    def get_node_ids(self) -> Iterable[int]:
        """Their ids."""
        return list(self._nodes)


def main(paths: list[str]) -> None:
    """Run the experiments of these files."""
    configs = [load_config(path) for path in paths]
    for config in configs:
        check(config)
    counts = [count_clients(config) for config in configs]
    together = ServerApp()

    @together.main()
    def serve(grid: Grid, context: Context) -> None:
        clients = handshake(grid, max(counts), timeout=100)
        for config, count in zip(configs, counts, strict=True):
            first = [client.node for client in clients if client.index < count]
            server_app(config)(grid=FirstClients(grid, first), context=context)

    run_apps(together, app, max(counts), engine="ray")


if __name__ == "__main__":
    main(sys.argv[1:])
