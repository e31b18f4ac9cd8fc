"""One training loop for every network: seeded by step, resumable, logged."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from semantic.files import written_whole

logger = logging.getLogger("fairfed")

SAVE_EVERY = 60.0
"""Seconds between checkpoints."""
LOG_EVERY = 100
LOOK_EVERY = 500
"""Steps between two sheets of what a network makes so far."""
WARMUP = 0.03
"""Share of the steps over which the learning rate rises."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    The learning rate rises linearly to its peak, then falls to zero along a cosine. `average` is
    the decay of the moving average of the weights, 0 for none.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    average: float = 0.0

    def rate(self, step: int) -> float:
        """Learning rate at a step (from 0)."""
        warmup = max(1, int(WARMUP * self.steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        done = (step - warmup) / max(1, self.steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def device() -> torch.device:
    """Where training runs: CUDA where there is any, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def step_rng(seed: int, step: int) -> tuple[np.random.Generator, torch.Generator]:
    """Random generators that depend on the seed and the step alone, so a resumed run repeats."""
    state = np.random.default_rng((seed, step))
    return state, torch.Generator().manual_seed(int(state.integers(2**62)))


def train(
    name: str,
    module: nn.Module,
    loss_of: Callable[[np.random.Generator, torch.Generator, int], Tensor],
    schedule: Schedule,
    folder: Path,
    seed: int,
    *,
    of: str = "",
    look: Callable[[int], None] | None = None,
) -> None:
    """Train `module` in place on `device()`, or continue from the checkpoint in `folder`.

    It is back on the CPU when it is done, replaced by its moving average if the schedule asks
    for one. The checkpoint and log are `<name>.pt` and `<name>.jsonl`. `loss_of` gives the loss of
    one step from its random generators and the batch size. `of` stands for the networks that this
    one is trained on: with others it begins anew. `look` is called now and then, with the step,
    while the module has its averaged weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module.to(device())
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    average = [p.detach().clone() for p in parameters]
    path = folder / f"{name}.pt"
    first = _resume(path, module, optimiser, average, of)
    module.train()
    saved = time.monotonic()
    window: list[float] = []
    for step in range(first, schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate(step)
        loss = loss_of(*step_rng(seed, step), schedule.batch_size)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        _update(average, parameters, min(schedule.average, (step + 1) / (step + 10)))
        window.append(loss.item())
        if (step + 1) % LOG_EVERY == 0 or step + 1 == schedule.steps:
            _log(folder / f"{name}.jsonl", step + 1, window, schedule)
            window = []
        if look is not None and (step + 1) % LOOK_EVERY == 0:
            with _averaged(module, parameters, average if schedule.average else [*parameters]):
                look(step + 1)
        if time.monotonic() - saved > SAVE_EVERY:
            _save(path, step + 1, module, optimiser, average, of)
            saved = time.monotonic()
    _save(path, max(first, schedule.steps), module, optimiser, average, of)
    if schedule.average:
        for parameter, mean in zip(parameters, average, strict=True):
            parameter.data.copy_(mean)
    module.cpu().eval()


def _update(average: list[Tensor], parameters: Iterable[Tensor], decay: float) -> None:
    with torch.no_grad():
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - decay)


@contextmanager
def _averaged(
    module: nn.Module, parameters: list[nn.Parameter], average: list[Tensor]
) -> Iterator[None]:
    """The module with its averaged weights, not training; afterwards as before."""
    own = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        torch._foreach_copy_([*parameters], average)
        module.eval()
        yield
        module.train()
        torch._foreach_copy_([*parameters], own)


def _save(
    path: Path,
    step: int,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: list[Tensor],
    of: str,
) -> None:
    state = {
        "of": of,
        "step": step,
        "module": module.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average,
    }
    with written_whole(path) as draft:
        torch.save(state, draft)


def _resume(
    path: Path,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    average: list[Tensor],
    of: str,
) -> int:
    if not path.is_file():
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("of", of) != of:
        logger.info("%s: begins anew, for what it is trained on has changed", path.stem)
        return 0
    module.load_state_dict(state["module"])
    optimiser.load_state_dict(state["optimiser"])
    for mean, stored in zip(average, state["average"], strict=True):
        mean.copy_(stored)
    return int(state["step"])


def trained(folder: Path, name: str) -> dict[str, Any] | None:
    """What the log of a network says of its last steps; None if there is none."""
    path = folder / f"{name}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
    return found


def _log(path: Path, step: int, window: list[float], schedule: Schedule) -> None:
    row = {
        "step": step,
        "of": schedule.steps,
        "images": step * schedule.batch_size,
        "loss": round(sum(window) / len(window), 5),
        "learning_rate": round(schedule.rate(step - 1), 7),
        "cpu_seconds": round(time.process_time(), 1),
    }
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(row) + "\n")
    said = "step {step:,} of {of:,}, loss {loss:.4f}, {cpu_seconds:,.0f} s of CPU".format(**row)
    logger.info("%s: %s", path.stem, said)
