"""Runs on Ray, one after the other: `python on_ray.py A.toml B.toml`, a program of its own.

Ray leaves processes and files behind, so it runs outside of the tests' process; and as it and its
workers take longer to start than the runs take, they start once for all of them. The first clients
of the simulation are those of a run that has fewer than another.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fairfed.client import client_app
from fairfed.config import Config, load_config
from fairfed.engines.forwarding import ForwardingGrid
from fairfed.engines.run import run_apps
from fairfed.rounds.clients import handshake
from fairfed.server import checked, server_app
from fairfed.system import simulation_of


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


class OfSeveralRuns(ClientApp):
    """The clients of runs that follow each other; a study's name tells which it is of.

    Parameters
    ----------
    configs
        The runs, the one with the most clients first: it answers what is of no study.
    """

    def __init__(self, configs: list[Config]) -> None:
        super().__init__()
        self._configs = {config.name: config for config in configs}

    def __call__(self, message: Message, context: Context) -> Message:
        """The answer of a client of the run that is meant."""
        sent = message.content.config_records["config"]
        name = json.loads(str(sent["study"]))["name"] if "study" in sent else None
        config = self._configs.get(str(name), next(iter(self._configs.values())))
        return client_app(simulation_of(config))(message, context)


def main(paths: list[str]) -> None:
    """Run the experiments of these files."""
    configs = [load_config(path) for path in paths]
    studies = [checked(config) for config in configs]
    counts = [len(study.simulated("Ray").names) for study in studies]
    order = sorted(range(len(configs)), key=lambda i: -counts[i])
    clients, together = OfSeveralRuns([configs[i] for i in order]), ServerApp()

    @together.main()
    def serve(grid: Grid, context: Context) -> None:
        met = handshake(grid, max(counts), timeout=100)
        for study, count in zip(studies, counts, strict=True):
            first = [client.node for client in met if client.index < count]
            server_app(study)(grid=FirstClients(grid, first), context=context)

    run_apps(together, clients, max(counts), engine="ray")


if __name__ == "__main__":
    main(sys.argv[1:])
