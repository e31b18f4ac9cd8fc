"""Weight rules, one a file: how weights follow from a round."""

from __future__ import annotations

from fairfed.strategies.part import Registry
from fairfed.strategies.rules.afl import AFL
from fairfed.strategies.rules.base import WeightRule
from fairfed.strategies.rules.fairfate import FairFate
from fairfed.strategies.rules.fairfed import FairFed, FairFedExp
from fairfed.strategies.rules.fedavg import FedAvg
from fairfed.strategies.rules.fedfb import FedFB
from fairfed.strategies.rules.fedmgda import FedMGDA
from fairfed.strategies.rules.fedminmax import FedMinMax
from fairfed.strategies.rules.parity import Parity
from fairfed.strategies.rules.qffl import QFFL
from fairfed.strategies.rules.term import TERM

__all__ = [
    "AFL",
    "QFFL",
    "RULES",
    "TERM",
    "FairFate",
    "FairFed",
    "FairFedExp",
    "FedAvg",
    "FedFB",
    "FedMGDA",
    "FedMinMax",
    "Parity",
    "WeightRule",
]

RULES: Registry[WeightRule] = Registry(
    "rule", WeightRule,
    FedAvg, FairFed, FairFedExp, AFL, QFFL, TERM, FedMinMax, FairFate, FedMGDA, FedFB, Parity,
)  # fmt: skip
"""Rules by name."""
