"""The heads that a run compares, and what each asks of the sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fairfed.config.base import required
from fairfed.config.model import Agreement
from fairfed.systems import session
from fairfed.systems.session import by_key

Method = Literal["ncm", "ridge", "lda", "cof"]
Balance = Literal["none", "class", "group"]
Moments = Literal["none", "pooled", "cell"]
"""Products of features: not sent, summed over all cells, or for each cell."""


@dataclass(frozen=True)
class Variant(session.Variant):
    """One head."""

    method: Method
    balance: Balance = "none"

    @property
    def moments(self) -> Moments:
        """The products that it is solved from: no more is asked for."""
        if self.method in ("ncm", "cof"):
            return "none"
        return "pooled" if self.balance == "none" else "cell"

    @property
    def regularised(self) -> bool:
        """Whether it has a strength to choose."""
        return self.method != "ncm"


HEADS = by_key(
    Variant("ncm", "Class means (FedNCM)", "ncm"),
    Variant("ridge", "Ridge (Fed3R)", "ridge"),
    Variant("ridge-class", "Ridge, classes even", "ridge", "class"),
    Variant("ridge-group", "Ridge, groups even", "ridge", "group"),
    Variant("lda", "Gaussian (LDA)", "lda"),
    Variant("lda-class", "Gaussian, classes even", "lda", "class"),
    Variant("lda-group", "Gaussian, groups even", "lda", "group"),
    Variant("cof", "FedCOF", "cof"),
)


def variants_of(config: Agreement) -> list[Variant]:
    """The heads of a run, in the order of the configuration."""
    return [HEADS[name] for name in required(config.heads).heads]
