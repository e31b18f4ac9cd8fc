"""Prototypes as they leave clients: noised sums, merged over clients, and what they are good for.

`semantic.prototypes` makes them. No per-image value is in them; how much the noise spoils each
prototype is stated with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from semantic.arrays import Floats
from semantic.errors import InputError
from semantic.fields import Fields
from semantic.privacy import Guarantee

CLIP = 1.0
"""Norm that embeddings are clipped to; CLIP's own have norm 1, so that nothing is lost."""

USABLE = 0.5
"""A prototype is usable up to this noise-to-signal ratio: an expected cosine of 0.89."""

FORMAT = "fairfed prototypes 1"


@dataclass(frozen=True)
class Prototype:
    """Direction of a class or cell in CLIP's image space, a unit vector.

    `count` examples are behind it; with noise, an estimate. `noise_to_signal` is the expected norm
    of the noise in the sum, relative to the estimated norm of the sum without it; 0 for none,
    infinite where the noise leaves nothing to estimate.
    """

    vector: tuple[float, ...]
    count: float
    noise_to_signal: float

    @property
    def cosine(self) -> float:
        """Expected cosine to the prototype without noise, 0 to 1."""
        return 1 / math.sqrt(1 + self.noise_to_signal**2)

    @property
    def usable(self) -> bool:
        """Whether the noise is small enough to condition on it."""
        return self.noise_to_signal <= USABLE


@dataclass(frozen=True)
class NoisedPrototypes:
    """Released sums and counts of one client, or of several merged.

    `counts` ``[n_names]`` and `sums` ``[n_names, dimension]`` have noise, whose variance on a count
    and on every coordinate of a sum is in `variances`. `withheld` says how many clients withheld a
    name for lack of examples, `minimum` the least noised count that a client released (the
    smallest, if merged), `guarantee` the privacy of every example. `clip` and `encoder` are as in
    `PrototypeSums`.
    """

    names: tuple[str, ...]
    counts: Floats
    sums: Floats
    variances: Floats
    withheld: Mapping[str, int]
    guarantee: Guarantee
    minimum: int
    clip: float = CLIP
    encoder: str = ""

    def __post_init__(self) -> None:
        if len(set(self.names)) < len(self.names):
            raise InputError("prototypes: the field 'names' holds a name twice")
        if (self.variances < 0).any():
            raise InputError("prototypes: the field 'variances' holds numbers below 0")

    def __add__(self, other: NoisedPrototypes) -> NoisedPrototypes:
        """Merge releases of *different* clients: sums, counts and noise variances add.

        Every example is in one of them, so that the larger ε and δ hold for all.
        """
        _check_same_space(self, other)
        names = tuple(sorted({*self.names, *other.names}))
        counts, variances = np.zeros(len(names)), np.zeros(len(names))
        sums = np.zeros((len(names), self.sums.shape[1]))
        for part in (self, other):
            rows = [names.index(name) for name in part.names]
            counts[rows] += part.counts
            sums[rows] += part.sums
            variances[rows] += part.variances
        both = sorted({*self.withheld, *other.withheld})
        withheld = {n: self.withheld.get(n, 0) + other.withheld.get(n, 0) for n in both}
        return NoisedPrototypes(
            names, counts, sums, variances, withheld, self.guarantee | other.guarantee,
            min(self.minimum, other.minimum), self.clip, self.encoder,
        )  # fmt: skip

    def prototypes(self) -> dict[str, Prototype]:
        """Every released name's prototype, with how far noise spoils it; see `Prototype.usable`."""
        dimension = self.sums.shape[1]
        found = {}
        for name, count, total, variance in zip(
            self.names, self.counts, self.sums, self.variances, strict=True
        ):
            if not np.any(total):
                continue  # it points nowhere
            noise = dimension * variance
            # The squared norm of a noised sum exceeds that of the sum by the noise's, on average.
            signal = float(total @ total) - noise
            ratio = math.sqrt(noise / signal) if signal > 0 else math.inf
            found[name] = Prototype(unit(total), float(count), ratio)
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain data: counts, sums and what the noise was; see `from_json`."""
        return {
            "format": FORMAT, "names": list(self.names), "counts": self.counts.tolist(),
            "sums": self.sums.tolist(), "dimension": self.sums.shape[1],
            "variances": self.variances.tolist(), "withheld": dict(self.withheld),
            "epsilon": self.guarantee.epsilon, "delta": self.guarantee.delta,
            "minimum": self.minimum, "clip": self.clip, "encoder": self.encoder,
        }  # fmt: skip

    @classmethod
    def from_json(cls, record: Any) -> NoisedPrototypes:
        """Read `to_json`'s data; a message names the field that is missing or malformed."""
        given = Fields.of("prototypes", FORMAT, record)
        names = given.names("names")
        shape = len(names), int(given.number("dimension"))
        return cls(
            names=names,
            counts=given.array("counts", shape[:1]),
            sums=given.array("sums", shape),
            variances=given.array("variances", shape[:1]),
            withheld=given.whole_numbers("withheld"),
            guarantee=Guarantee(given.number("epsilon"), given.number("delta")),
            minimum=int(given.number("minimum")),
            clip=given.number("clip"),
            encoder=str(given["encoder"]),
        )


def merge_prototypes(releases: Iterable[NoisedPrototypes]) -> NoisedPrototypes:
    """Merge one release of every client.

    Raises
    ------
    InputError
        If there is none, or they do not belong to one CLIP and clip.
    """
    found = list(releases)
    if not found:
        raise InputError("no client released prototypes; choose another conditioning")
    return reduce(add, found)


def clipped(rows: Floats, clip: float) -> Floats:
    """Rows ``[n, dimension]``, longer ones shortened to the norm `clip`."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows * (clip / np.maximum(norms, clip)))


def unit(vector: Floats) -> tuple[float, ...]:
    """The direction of a vector that is not zero."""
    return tuple(float(x) for x in vector / np.linalg.norm(vector))


def _check_same_space(one: NoisedPrototypes, other: NoisedPrototypes) -> None:
    """Refuse to add sums of different CLIP models or clips."""
    if one.encoder != other.encoder or one.sums.shape[1] != other.sums.shape[1]:
        raise InputError("prototypes of different CLIP models do not add; use one for all clients")
    if one.clip != other.clip:
        raise InputError(
            f"prototypes clipped at {one.clip} and {other.clip} do not add; use one clip for all"
        )
