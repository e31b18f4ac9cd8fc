"""Prototypes: the mean CLIP image embedding of a class or cell, and what of it may leave a client.

A client sums its clipped embeddings per name (`PrototypeSums`). What leaves the client is
`NoisedPrototypes` (`semantic.release`): sums and counts with Gaussian noise for a stated (ε, δ),
and only for names with enough examples. No per-image value is in either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semantic.arrays import Floats, Indices
from semantic.errors import InputError
from semantic.privacy import Guarantee, gaussian_sigma
from semantic.release import CLIP, NoisedPrototypes, Prototype, clipped, unit


def sensitivity(clip: float) -> float:
    """Most that one example changes counts and sums together, in L2 norm.

    It belongs to one name: that name's sum changes by `clip` at most, its count by 1.
    """
    return math.hypot(clip, 1.0)


@dataclass(frozen=True)
class PrototypeSums:
    """Counts and sums of clipped embeddings per name: a client's own, never sent as they are.

    Names are classes or cells (`str(cell)`) of the federation's label space, whether or not the
    client has them: which names there are must not tell what it holds. `sums` are ``[n_names,
    dimension]``; every embedding was clipped to the norm `clip`. `encoder` is the CLIP's
    fingerprint: embeddings of different ones do not add.
    """

    names: tuple[str, ...]
    counts: Indices
    sums: Floats
    clip: float = CLIP
    encoder: str = ""

    @classmethod
    def zero(
        cls, names: Sequence[str], dimension: int, clip: float = CLIP, encoder: str = ""
    ) -> PrototypeSums:
        """Of no example."""
        counts = np.zeros(len(names), np.int64)
        return cls(tuple(names), counts, np.zeros((len(names), dimension)), clip, encoder)

    def prototypes(self, minimum: int = 1) -> dict[str, Prototype]:
        """Exact prototypes of the names with at least `minimum` examples, for use at home."""
        found = {}
        for name, count, total in zip(self.names, self.counts, self.sums, strict=True):
            if count >= max(1, minimum) and np.any(total):
                found[name] = Prototype(unit(total), float(count), 0.0)
        return found

    def release(
        self, epsilon: float, delta: float, minimum: int, rng: np.random.Generator | None = None
    ) -> NoisedPrototypes:
        """What may leave the client.

        Parameters
        ----------
        epsilon, delta
            Privacy of this release, for adding or removing one example: the Gaussian mechanism on
            counts and sums as one vector, with `sensitivity`. Each further release from the same
            examples adds its own ε and δ (`Guarantee.__add__`).
        minimum
            Names whose noised count is below are withheld; at least 1. Deciding by the noised count
            costs no privacy.
        rng
            Source of the noise; None draws a fresh one from the operating system. A generator
            whose seed the receiver knows protects nothing, because the noise can be subtracted.

        Raises
        ------
        InputError
            If ε, δ or the minimum is out of range.
        """
        if minimum < 1:
            raise InputError(f"minimum count {minimum} of a released prototype must be at least 1")
        sigma = gaussian_sigma(epsilon, delta, sensitivity(self.clip))
        rng = np.random.default_rng() if rng is None else rng
        counts = self.counts + rng.normal(0, sigma, self.counts.shape)
        sums = self.sums + rng.normal(0, sigma, self.sums.shape)
        kept = counts >= minimum
        return NoisedPrototypes(
            names=tuple(n for n, keep in zip(self.names, kept, strict=True) if keep),
            counts=counts[kept],
            sums=sums[kept],
            variances=np.full(int(kept.sum()), sigma**2),
            withheld={n: 1 for n, keep in zip(self.names, kept, strict=True) if not keep},
            guarantee=Guarantee(epsilon, delta),
            minimum=minimum,
            clip=self.clip,
            encoder=self.encoder,
        )


def sum_prototypes(
    embeddings: npt.ArrayLike,
    which: npt.ArrayLike,
    names: Sequence[str],
    clip: float = CLIP,
    encoder: str = "",
) -> PrototypeSums:
    """Sum embeddings per name.

    Parameters
    ----------
    embeddings
        ``[n, dimension]``, from `ClipEncoder.embed_images`. Longer ones are shortened to `clip`.
    which
        ``[n]``, position of each example's name.
    names
        Names by position. Equal ones are one, as those of cells whose group goes unnamed.
    clip, encoder
        As in `PrototypeSums`.

    Raises
    ------
    InputError
        If the clip is not above 0, a position is no name's, or an embedding is not finite.
    """
    rows = np.asarray(embeddings, np.float64)
    positions = np.asarray(which, np.int64)
    if not 0 < clip < math.inf:
        raise InputError(f"clip {clip} of the prototypes must be a number above 0")
    if rows.ndim != 2 or positions.shape != rows.shape[:1]:
        raise InputError(
            f"expected embeddings [n, dimension] and n positions, got {rows.shape} and "
            f"{positions.shape}"
        )
    if len(rows) and not 0 <= positions.min() <= positions.max() < len(names):
        raise InputError(f"a position lies outside the {len(names)} names of the prototypes")
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(1)).sum())
        raise InputError(f"{bad} of {len(rows)} embeddings are not finite; check those images")
    different = {name: row for row, name in enumerate(dict.fromkeys(names))}
    where = np.array([different[name] for name in names], np.int64)[positions]
    found = PrototypeSums.zero(tuple(different), rows.shape[1], clip, encoder)
    np.add.at(found.sums, where, clipped(rows, clip))
    np.add.at(found.counts, where, 1)
    return found
