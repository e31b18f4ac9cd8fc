"""What stands for every class: an embedding of its text, or what is recalled of it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from fairfed.sites.workplace import Workplace
from fairfed.systems.shared_space.classes import class_text, embed_texts
from fairfed.systems.shared_space.memory import recalled_vector

HELD = "held"
"""What a request says of the classes that some client has images of."""


def class_vectors(place: Workplace) -> Tensor:
    """Unit embeddings ``[C, d]`` that stand for the classes."""
    return place.kept("class vectors", lambda: _class_vectors(place))


def _class_vectors(place: Workplace) -> Tensor:
    study, known = place.study, place.space
    texts = [class_text(known, name, study) for name in known.classes]
    found = embed_texts(place.encoder, texts)
    if study.arrival is not None and study.arrival.recall:
        row = known.classes.index(study.arrival.class_name)
        found[row] = recalled_vector(place, found)
    return found


def held_vectors(sent: Mapping[str, object], place: Workplace) -> Tensor:
    """Vectors of the classes that some client has images of, as a request says."""
    held: list[int] = list(sent[HELD])  # type: ignore[call-overload]
    return class_vectors(place)[held]
