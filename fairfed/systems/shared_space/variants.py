"""What a run in a shared space compares: who trains, and on what."""

from __future__ import annotations

from dataclasses import dataclass

from fairfed.config import Arm
from fairfed.config.base import required
from fairfed.config.model import Agreement
from fairfed.config.shared import ArrivalConfig
from fairfed.systems import session
from fairfed.systems.session import by_key, of_slug


@dataclass(frozen=True)
class Variant(session.Variant):
    """One arm."""

    trains: bool = True
    captions: bool = True  # clients with captions alone take part
    anchored: bool = False  # clients with images also learn the descriptions of all classes
    everything: bool = False  # they have some of missing classes, too, and of arriving ones then
    synthesises: bool = False  # they train on synthetic images of the class that arrives

    @property
    def arm(self) -> Arm:
        """As of every variant; one with all classes is but a reference."""
        return Arm(name=self.title, reference=self.everything)


COMPARED = by_key(
    Variant("zero-shot", "CLIP, untrained", trains=False),
    Variant("images", "Images only", captions=False),
    Variant("descriptions", "Images and class descriptions", captions=False, anchored=True),
    Variant("captions", "Images and captions"),
    Variant("all", "Images of every class", captions=False, everything=True),
)
ARRIVING = by_key(
    Variant("described", "Described"),
    Variant("synthesised", "Described and synthesised", synthesises=True),
    Variant("real", "Real images of it", everything=True),
)


def variants_of(config: Agreement) -> list[Variant]:
    """The variants of a run, each once, in the order of the configuration."""
    if config.arrival is not None:
        return [ARRIVING[name] for name in dict.fromkeys(config.arrival.variants)]
    return [COMPARED[name] for name in dict.fromkeys(required(config.shared).variants)]


def variant_of(slug: str) -> Variant:
    """The variant that a message is about."""
    return of_slug(slug, (*COMPARED.values(), *ARRIVING.values()))


def rounds_of(config: Agreement, variant: Variant) -> int:
    """How many rounds a variant takes: one to measure it, where nobody trains."""
    return config.rounds if variant.trains else 1


def served(arrival: ArrivalConfig | None, server_round: int) -> bool:
    """Whether the model of a round serves the class that arrives, if one does."""
    return arrival is None or server_round >= arrival.round


def trained_on(arrival: ArrivalConfig | None, server_round: int) -> bool:
    """Whether clients know the class in the training of a round: it was served before."""
    return arrival is None or server_round > arrival.round
