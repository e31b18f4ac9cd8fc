"""Random numbers that depend on what they are for, and on nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Generator


def generator_of(*entropy: int) -> Generator:
    """Random numbers of their own for every seed, client, round or whatever else is named."""
    import torch

    draw = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(draw[0] >> np.uint64(1)))
