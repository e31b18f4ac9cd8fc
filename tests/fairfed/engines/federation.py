"""A small federation that tells what came out, on either engine.

``python federation.py ray`` prints it: a program, because Ray leaves processes and files.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fairfed.engines.run import run_apps
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.arrays import Model, decode
from fairfed.rounds.clients import handshake
from fairfed.rounds.loop import run_rounds
from fairfed.strategies.arm_server import SteeredServer
from fairfed.strategies.signals import accuracy
from fairfed.strategies.steered import FairnessSteered

CLIENTS, ROUNDS = 4, 2


def torch_app() -> ClientApp:
    """Train a small network with BatchNorm, one thread, on data drawn from the partition id."""
    app = ClientApp()

    def network() -> Any:
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 2)
        )

    def data(client: int) -> Any:
        draw = torch.Generator().manual_seed(client)
        x = torch.randn(40, 6, generator=draw)
        return x, (x.sum(dim=1) > client - 1).long()

    @app.query("describe")
    def describe(msg: Message, context: Context) -> Message:
        if int(context.run_config["offset"]) != 3:
            raise ValueError("the run configuration has not arrived")
        metrics = MetricRecord({"partition-id": int(context.node_config["partition-id"])})
        return Message(RecordDict({"metrics": metrics}), reply_to=msg)

    @app.train()
    @app.evaluate()
    def step(msg: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        client = int(context.node_config["partition-id"])
        train = msg.metadata.message_type == "train"
        calls = 1
        if "calls" in context.state:
            calls += int(context.state.config_records["calls"]["n"])
        context.state["calls"] = ConfigRecord({"n": calls})
        if train and client == 2 and calls == 1:
            sys.exit("first call fails")
        net, (x, y) = network(), data(client)
        net.load_state_dict(msg.content["arrays"].to_torch_state_dict())
        counts = torch.zeros(2, 2, dtype=torch.long)
        with torch.no_grad():
            net.eval()
            for true, said in zip(y, net(x).argmax(dim=1), strict=True):
                counts[true, said] += 1
        metrics = {"partition-id": client, "n-real": 40 + client, "counts": counts.ravel().tolist()}
        net.train()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1 / calls)
        for _ in range(5 if train else 0):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimiser.step()
        metrics |= {"loss": loss.item() if train else 0.0, "n-synthetic": 0}
        content = RecordDict({"metrics": MetricRecord(metrics)})
        if train:
            content["arrays"] = ArrayRecord(net.state_dict())
        return Message(content, reply_to=msg)

    app.network = network  # type: ignore[attr-defined]
    return app


def federate(engine: Any) -> dict[str, Any]:
    """Return a digest of the final weights, the log without timings, and the progress."""
    client_app, server_app = torch_app(), ServerApp()
    lines: list[dict[str, Any]] = []
    progress: list[tuple[int, int]] = []
    final: list[Model] = []

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy = FairnessSteered(
            (1, 2),
            rule="fairfed",
            options={"beta": float(context.run_config["beta"])},
            metric=accuracy,
        )
        arrays = ArrayRecord(client_app.network().state_dict())  # type: ignore[attr-defined]
        clients, plan = handshake(grid, CLIENTS, 300), Plan(ROUNDS, seed=0, timeout=300)
        server = SteeredServer(grid, clients, plan, strategy, decode(arrays), {})
        final.append(run_rounds(grid, clients, server, plan, lines.append, None))

    run_apps(
        server_app,
        client_app,
        CLIENTS,
        engine=engine,
        run_config={"beta": 0.2, "offset": 3},
        on_reply=lambda done, total, reply: progress.append((done, total)),
    )
    digest = hashlib.sha256()
    for name, array in final[0].items():
        digest.update(name.encode() + array.tobytes())
    for line in lines:
        del line["seconds"]
    return {"digest": digest.hexdigest(), "lines": lines, "progress": progress}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(federate(sys.argv[1])) + "\n")
