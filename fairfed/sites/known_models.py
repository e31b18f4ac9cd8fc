"""Whether a machine's CLIP and generator know a study's data: refused, or reported."""

from __future__ import annotations

import numpy as np

from fairfed.config import FederationConfig
from fairfed.config.training import domain_matching_enabled, synthesises
from fairfed.sites.sight import check_words, unknown_class
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.trial import FARTHEST, RENDERED, rendering_error
from fairfed.sites.workplace import Workplace
from semantic.errors import InputError

OTHER_DOMAIN = (
    "synthesis.domain_matching sends real images through the generator's autoencoder, which does "
    "not know them: on {n} of them it errs by {error:.0f} of 255 on average. Set "
    "synthesis.domain_matching = false, or give a generator.model for such images"
)


def check_models(place: Workplace) -> None:
    """Refuse classes that the models which a study relies on do not know, before any is made.

    Raises `InputError` if CLIP or the generator does not know a class, or a prompt does not suit
    the generator.
    """
    study = place.study
    if synthesises(study):
        maker = place.synthesiser
        shape = len(maker.space.classes), len(maker.space.groups)
        maker.check(np.full(shape, study.synthesis.pool, np.int64))
    elif relies_on_clip(study):
        check_words(place.meaning, place.labels.classes, place.encoder)


def said(place: Workplace) -> dict[str, list[str]]:
    """What a report must say of it: `warnings`, in red, `remarks`, and what CLIP has `seen`."""
    if synthesises(place.study):
        sight = place.sight
        columns = [reading for i, reading in enumerate(sight.readings[1:]) if i not in sight.hidden]
        seen = [reading.said() for reading in (*sight.readings[:1], *columns) if reading.tested]
        return {"warnings": list(sight.warnings), "remarks": list(sight.notes), "seen": seen}
    unknown = ""
    if relies_on_clip(place.study):
        unknown = unknown_class(place.meaning, place.labels.classes, place.encoder.known_words)
    return {"warnings": [f"semantic.allow_unknown: {unknown}"] if unknown else [], "remarks": []}


def relies_on_clip(study: FederationConfig) -> bool:
    """Whether an arm classifies with CLIP."""
    zero_shot = any(arm.system == "zero-shot" for arm in study.arms)
    images = study.labels.kind == "images"
    return images and (zero_shot or study.model in ("clip-head", "clip"))


def check_rendering(sites: SimulatedSites) -> None:
    """Refuse domain matching with an autoencoder that does not know a simulation's images."""
    study = sites.study
    matching = any(domain_matching_enabled(study, arm) for arm in study.arms)
    if not (study.synthesis.autoencode and matching):
        return
    data = sites.images
    rows = np.sort(np.concatenate(data.train))
    some = data.table.images[rows[np.linspace(0, len(rows) - 1, RENDERED).astype(np.int64)]]
    error = rendering_error(sites.place(study).synthesiser, some)
    if error > FARTHEST:
        raise InputError(OTHER_DOMAIN.format(n=len(some), error=error))
