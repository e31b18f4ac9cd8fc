"""Real sites are refused in one sentence; simulations are not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fairfed.engines.deployment import NOT_YET, refuse_deployment
from flwr.app import Context, Message, RecordDict

from fairfed.client import app
from fairfed.config import parse_config
from fairfed.engines.forwarding import ForwardingGrid, MessagingGrid
from fairfed.engines.inprocess import InProcessGrid
from fairfed.engines.private import Run, SimulationGrid, server_identity
from fairfed.errors import PublicInputError
from fairfed.server import server_app
from fairfed.system import simulated_study
from semantic.errors import InputError


class Remote(MessagingGrid):
    """A SuperLink's grid: whoever is asked anything here is a real site."""

    def set_run(self, run: Run) -> None:
        raise AssertionError

    @property
    def run(self) -> Run:
        raise AssertionError

    def get_node_ids(self) -> Iterable[int]:
        raise AssertionError("a site was looked for")

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise AssertionError("a site was asked")

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise AssertionError("a site was asked")

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        raise AssertionError("a site was asked")


def context(node: dict[str, Any]) -> Context:
    return Context(run_id=1, node_id=7, node_config=node, state=RecordDict(), run_config={})


def test_the_server_refuses_a_superlink_before_any_client_is_asked(tmp_path: Path) -> None:
    config = parse_config(f'out = "{tmp_path}/run"', "x.toml")
    with pytest.raises(InputError, match="does not run over a SuperLink yet") as refused:
        server_app(simulated_study(config))(grid=Remote(), context=context({}))
    assert str(refused.value) == NOT_YET
    assert not (tmp_path / "run").exists()


def test_flowers_own_deployment_grid_is_refused() -> None:
    from flwr.superlink.grid.http_grid import HttpGrid

    with pytest.raises(InputError, match="SuperLink"):
        refuse_deployment(ForwardingGrid(HttpGrid.__new__(HttpGrid)))


def test_a_simulation_is_not_refused() -> None:
    simulated = SimulationGrid.__new__(SimulationGrid)
    for grid in (simulated, ForwardingGrid(simulated), ForwardingGrid(ForwardingGrid(simulated))):
        refuse_deployment(grid)
    with InProcessGrid(app, 1) as grid:
        refuse_deployment(grid)


@pytest.mark.parametrize("node", [{}, {"partition-id": 0}, {"site": "/etc/site.toml"}])
def test_a_client_at_a_real_site_refuses_to_answer(node: dict[str, Any]) -> None:
    with server_identity(1):
        message = Message(RecordDict(), 7, "query.describe")
        with pytest.raises(PublicInputError, match="does not run over a SuperLink yet"):
            app(message=message, context=context(node))
