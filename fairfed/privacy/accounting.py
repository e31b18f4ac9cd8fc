"""How much privacy is spent: Rényi differential privacy of what is released, added up.

Each release is a mechanism; their Rényi divergences add at every order, and the sum gives ε at a δ
(Mironov 2017, arXiv 1702.07476; subsampled Gaussian: Mironov, Talwar & Zhang 2019, arXiv
1908.10530). The numbers are Opacus's. Neighbours differ by one example, added or removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantic.privacy import gaussian_sigma

ORDERS = tuple(1 + x / 10 for x in range(1, 100)) + tuple(range(12, 64)) + (128, 256, 512)
"""Rényi orders at which divergences are added."""
TOLERANCE = 0.005
"""Relative distance of the noise that is found from the least that would do."""


@dataclass(frozen=True)
class Mechanism:
    """What was released, as far as its privacy goes.

    Attributes
    ----------
    noise
        Standard deviation of Gaussian noise, in units of what one example changes at most.
    rate
        Share of examples that a step draws (Poisson sampling); 1: all.
    steps
        How often.
    """

    noise: float
    rate: float = 1.0
    steps: int = 1

    def divergences(self) -> NDArray[np.float64]:
        """Rényi divergences at `ORDERS`."""
        return np.array(_divergences(self.noise, self.rate)) * self.steps

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``Mechanism(**data)`` gives an equal one."""
        return asdict(self)


@lru_cache(maxsize=1024)
def _divergences(noise: float, rate: float) -> tuple[float, ...]:
    from opacus.accountants.analysis import rdp

    found = rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=1, orders=list(ORDERS))
    return tuple(float(one) for one in found)


def divergences_of(release: Mapping[str, Any]) -> NDArray[np.float64]:
    """Divergences of a release as a ledger has it: of a mechanism, or by its ε and δ alone.

    With a δ it was Gaussian noise calibrated to both, without one pure ε-differential privacy,
    whose divergence at order α is at most ``min(ε, α ε²/2)`` (Bun & Steinke 2016, proposition 3.3).
    """
    mechanism = release.get("mechanism")
    if mechanism is not None:
        return Mechanism(**mechanism).divergences()
    epsilon, delta = float(release["epsilon"]), float(release["delta"])
    if delta > 0:
        return Mechanism(gaussian_sigma(epsilon, delta, 1.0)).divergences()
    return np.minimum(epsilon, np.array(ORDERS) * epsilon**2 / 2)


def epsilon_of(divergences: NDArray[np.float64], delta: float) -> float:
    """ε at a δ of releases whose divergences add up to these; 0 of none.

    The conversion of Canonne, Kamath & Steinke 2020 (arXiv 2004.00010, proposition 12).
    """
    if not divergences.any():
        return 0.0
    orders = np.array(ORDERS)
    found = divergences + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(found.min()))


def total(releases: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Divergences of several releases together."""
    return sum(releases, np.zeros(len(ORDERS)))


@lru_cache(maxsize=256)
def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """Noise with which so many steps keep (ε, δ): the least, but for `TOLERANCE`.

    Parameters
    ----------
    epsilon, delta
        What all steps together may spend; above 0.
    rate
        As of `Mechanism`.
    steps
        How many.
    """

    def spent(noise: float) -> float:
        return epsilon_of(Mechanism(noise, rate, steps).divergences(), delta)

    low, high = 0.1, 1.0
    while spent(high) > epsilon:
        low, high = high, 2 * high
    while high - low > TOLERANCE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if spent(middle) > epsilon else (low, middle)
    return high
