"""The real workload of `engines.py`: what the engine adds to a plain loop over the clients."""

from __future__ import annotations

import statistics
import time

from fairfed.engines.run import run_apps

# isort: split
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from torch import Tensor, nn


class Cnn(nn.Sequential):
    """A small CNN with BatchNorm for 28 x 28 images (about 57k parameters)."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 49, 32), nn.ReLU(), nn.Linear(32, 10),
        )  # fmt: skip


def client_data(client: int, samples: int) -> tuple[Tensor, Tensor]:
    """Draw a client's images and labels from its number."""
    draw = torch.Generator().manual_seed(client)
    x = torch.randn(samples, 1, 28, 28, generator=draw)
    return x, torch.randint(10, (samples,), generator=draw)


def train(net: nn.Module, data: tuple[Tensor, Tensor], batch: int = 20) -> None:
    """Train one epoch, in the order given."""
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05)
    net.train()
    for x, y in zip(torch.split(data[0], batch), torch.split(data[1], batch), strict=True):
        optimiser.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(net(x), y))
        optimiser.step()


def bare_loop(clients: int, rounds: int, samples: int) -> tuple[float, dict[str, Tensor]]:
    """Train and average without any framework; return seconds and weights."""
    data = [client_data(client, samples) for client in range(clients)]
    state = initial_state()
    started = time.perf_counter()
    for _ in range(rounds):
        locals_: list[dict[str, Tensor]] = []
        for own in data:
            net = Cnn()
            net.load_state_dict(state)
            train(net, own)
            locals_.append(net.state_dict())
        state = {
            name: (sum(w[name].double() for w in locals_) / clients).to(like.dtype)  # type: ignore[union-attr]
            for name, like in state.items()
        }
    return time.perf_counter() - started, state


def engine_loop(clients: int, rounds: int, samples: int) -> tuple[float, dict[str, Tensor]]:
    """Do the same through Flower apps, strategy and engine; return seconds and weights."""
    from fairfed.strategies.steered import FairnessSteered

    data = [client_data(client, samples) for client in range(clients)]
    client_app, server_app, done = ClientApp(), ServerApp(), []

    @client_app.train()
    def train_fn(msg: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        net = Cnn()
        net.load_state_dict(msg.content.array_records["arrays"].to_torch_state_dict())
        train(net, data[client])
        metrics = {"partition-id": client, "loss": 0.0, "n-real": samples, "n-synthetic": 0}
        record = MetricRecord({**metrics, "counts": [0] * 100})
        content = RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": record})
        return Message(content, reply_to=msg)

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy, arrays = FairnessSteered((1, 10)), ArrayRecord(initial_state())
        for number in range(1, rounds + 1):
            requests = strategy.configure_train(number, arrays, ConfigRecord(), grid)
            merged, _ = strategy.aggregate_train(number, grid.send_and_receive(requests))
            if merged is None:
                raise RuntimeError("no client gave a usable reply")
            arrays = merged
        done.append(arrays.to_torch_state_dict())

    started = time.perf_counter()
    run_apps(server_app, client_app, clients)
    return time.perf_counter() - started, done[0]


def initial_state() -> dict[str, Tensor]:
    """Return the weights that both loops start from."""
    torch.manual_seed(0)
    return Cnn().state_dict()


def workload(clients: int, rounds: int, samples: int, repeats: int) -> dict[str, float]:
    """Alternate engine and bare loop; compare medians and check that both computed the same."""
    torch.set_num_threads(1)
    bare_loop(1, 1, samples)
    engine_loop(1, 1, samples)
    times: dict[str, list[float]] = {"bare_loop": [], "inprocess": []}
    worst = 0.0
    for _ in range(repeats):
        seconds, expected = bare_loop(clients, rounds, samples)
        times["bare_loop"].append(seconds)
        seconds, got = engine_loop(clients, rounds, samples)
        times["inprocess"].append(seconds)
        worst = max(worst, *(float((got[k] - v).abs().max()) for k, v in expected.items()
                             if v.is_floating_point()))  # fmt: skip
    if worst > 1e-5:
        raise RuntimeError(f"engine and bare loop differ by {worst:.2g} in a weight")
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    ratio = medians["inprocess"] / medians["bare_loop"]
    return {**medians, "overhead": ratio, "largest_difference": worst}
