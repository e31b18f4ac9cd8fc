"""Whether a run's CLIP and generator know its data: refused before it begins, or reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fairfed import site
from fairfed.config import Config
from fairfed.sight import check_words, unknown_class
from semantic.errors import InputError

if TYPE_CHECKING:
    from semantic.encoder import ClipEncoder

FARTHEST = 25.0
"""Mean difference (0 to 255) of images and their renderings, above which an autoencoder does not
know them: the bundled one differs by 6 on clothes, and by 80 on line drawings."""
LOOKED_AT = 64
"""Images that are rendered to find out."""
OTHER_DOMAIN = (
    "augment.domain_matching sends real images through the generator's autoencoder, which does not "
    "know them: on {n} of them it errs by {error:.0f} of 255 on average. Set "
    "augment.domain_matching = false, or give a generator.model for such images"
)


def check_models(toml: str) -> None:
    """Refuse classes that the models which a run relies on do not know, before anything is made.

    Raises
    ------
    semantic.errors.InputError
        If CLIP or the generator does not know a class, a prompt does not suit the generator, or its
        autoencoder does not know the images that domain matching sends through it.
    """
    config = site.configuration(toml)
    if synthesises(config):
        maker = site.synthesiser(toml)
        shape = len(maker.space.classes), len(maker.space.groups)
        maker.check(np.full(shape, config.augment.pool, np.int64))
    elif _relies_on_clip(config):
        check_words(config.semantic, *_classes_and_clip(toml))
    if config.augment.autoencode and any(site.matches_domains(config, a) for a in config.arms):
        _check_rendering(toml)


def said(toml: str) -> dict[str, list[str]]:
    """What a report must say of it: `warnings`, in red, and `remarks`."""
    config = site.configuration(toml)
    if synthesises(config):
        seen = site.sight(toml)
        return {"warnings": list(seen.warnings), "remarks": list(seen.notes)}
    unknown = ""
    if _relies_on_clip(config):
        classes, encoder = _classes_and_clip(toml)
        unknown = unknown_class(config.semantic, classes, encoder.known_words)
    return {"warnings": [f"semantic.allow_unknown: {unknown}"] if unknown else [], "remarks": []}


def synthesises(config: Config) -> bool:
    """Whether any arm asks the generator for images."""
    return any(arm.augment or arm.server_trains for arm in config.arms)


def _relies_on_clip(config: Config) -> bool:
    zero_shot = any(arm.system == "zero-shot" for arm in config.arms)
    return not config.data.tabular and (zero_shot or config.model in ("clip-head", "clip"))


def _classes_and_clip(toml: str) -> tuple[tuple[str, ...], ClipEncoder]:
    from semantic.encoder import load_encoder

    encoder = load_encoder(site.configuration(toml).semantic.encoder)
    return site.federation(toml, False).table.classes, encoder


def _check_rendering(toml: str) -> None:
    data = site.images(toml, False)
    rows = np.sort(np.concatenate(data.train))
    some = data.table.images[rows[np.linspace(0, len(rows) - 1, LOOKED_AT).astype(np.int64)]]
    rendered = site.synthesiser(toml).autoencode(some)
    error = float(np.abs(some.astype(np.int16) - rendered).mean())
    if error > FARTHEST:
        raise InputError(OTHER_DOMAIN.format(n=len(some), error=error))
