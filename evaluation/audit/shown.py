"""What of an audit may be published: all of it, or what redaction leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Shown:
    """What may be published.

    Parameters
    ----------
    groups : dict of tuple of str to set of str, or None
        By cross of columns the groups; None: all.
    clients : set of str
        Clients whose accuracy may be known.
    contributing : dict of tuple of str to set of str
        By cross the clients that may be compared with the others group by group.
    """

    groups: dict[tuple[str, ...], frozenset[str]] | None = None
    clients: frozenset[str] = frozenset()
    contributing: dict[tuple[str, ...], frozenset[str]] = field(default_factory=dict)

    def mask(self, by: tuple[str, ...], names: Sequence[str]) -> NDArray[np.bool_]:
        """Which of these groups of a cross may be published."""
        if self.groups is None:
            return np.ones(len(names), np.bool_)
        own = self.groups.get(tuple(by), frozenset())
        return np.array([name in own for name in names], np.bool_)

    def clients_mask(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Clients whose accuracy may be published."""
        return np.array([self.groups is None or name in self.clients for name in names], np.bool_)

    def contributes(self, by: tuple[str, ...], client: str) -> bool:
        """Whether a client's part of a cross may be published."""
        return self.groups is None or client in self.contributing.get(tuple(by), frozenset())


ALL = Shown()
