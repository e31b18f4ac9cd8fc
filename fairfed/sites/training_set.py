"""What a site trains on: real rows first, then autoencoded and synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

    from fairfed.models.inputs import Inputs


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a client trains and is measured on."""

    # ``[n, …]``, ``[n]`` and ``[n]``: rows to train on. Real rows come first.
    inputs: Inputs
    labels: Tensor
    groups: Tensor
    weights: Tensor | None  # ``[n]`` sampling weights, or None to take every row once per epoch
    # Real images held, and synthetic ones added.
    n_real: int
    n_synthetic: int
    # Images made, and taken from the store, for the last plan of the closed loop.
    spent: tuple[int, int] = (0, 0)

    @property
    def size(self) -> int:
        """Images of one epoch."""
        return self.n_real + self.n_synthetic

    def nbytes(self) -> int:
        """Bytes in memory, about."""
        return self.inputs.nbytes


def sampling_weights(
    real: npt.NDArray[np.int64],
    synthetic: npt.NDArray[np.int64],
    autoencoded: float,
    balance: bool,
) -> Tensor | None:
    """Sampling weights of real, autoencoded (where there are any) and synthetic rows.

    With `balance`, every class has the same total, and within a class the real and the synthetic
    source have the same; a real row shares its weight with its autoencoded twin, which has the
    share `autoencoded` of it (0: there are no twins). None where every row counts the same. `real`
    and `synthetic` are the classes of the rows.
    """
    import torch

    if not (balance or autoencoded):
        return None
    parts = []
    classes = len(set(real.tolist()) | set(synthetic.tolist()))
    for own, other in ((real, synthetic), (synthetic, real)):
        counts = np.bincount(own, minlength=1)
        both = np.isin(own, other)
        even = 1.0 / (classes * counts[own] * np.where(both, 2, 1))
        parts.append(even if balance else np.ones(len(own)))
    twins = [parts[0] * autoencoded] if autoencoded else []
    return torch.from_numpy(np.concatenate([parts[0] * (1 - autoencoded), *twins, parts[1]]))
