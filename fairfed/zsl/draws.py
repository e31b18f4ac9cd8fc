"""Random numbers that depend on what they are for, and on nothing else."""

from __future__ import annotations

import numpy as np
import torch

INITIAL, CRITIC, CLASSIFIER, TRAINING, JUDGING, TESTING = range(101, 107)
"""What numbers are drawn for."""


def random_numbers(purpose: int, *entropy: int) -> torch.Generator:
    """A source of its own for every purpose, seed, client and round."""
    draw = np.random.SeedSequence((purpose, *entropy)).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(draw[0] >> np.uint64(1)))
