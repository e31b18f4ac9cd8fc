"""Attribute tables built from images: every attribute scored by CLIP, or measured.

Given class names and an attribute vocabulary only, an image's value for an attribute is the
probability that CLIP prefers the prompt with the attribute to the same prompt without it. (Negated
prompts, "no laces", are no contrast: CLIP hardly reads negation.) A class's value is the mean over
its images. Means travel as counts and sums, so that clients' tables merge by addition, and can be
released with differential privacy.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from semantic.arrays import Floats, Images, Indices
from semantic.attributes import AttributeTable
from semantic.errors import InputError
from semantic.fields import Fields
from semantic.formats import spoken
from semantic.measures import WORDS, measured_words
from semantic.privacy import Guarantee, gaussian_sigma

if TYPE_CHECKING:
    from semantic.encoder import ClipEncoder

FORMAT, VERSION = "fairfed attribute sums", 1
TEMPLATES = ("a photo of a {attribute} item", "a picture of a {attribute} item")
"""Prompts that name an attribute; without it they are the neutral prompts."""


@dataclass(frozen=True)
class AttributeSums:
    """Per class, the number of images and the sum of each attribute's values.

    `counts` are ``[n_classes]``, `sums` ``[n_classes, n_attributes]``; a single image adds values
    in [0, 1]. `variance` is that of the noise on every class's count: it grows with every noised
    part merged. `guarantee` is the privacy of what the sums come from; none for sums without noise,
    which therefore stay with the client. `encoder` is the fingerprint of the CLIP that scored.
    """

    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    counts: Floats
    sums: Floats
    variance: float = 0.0
    guarantee: Guarantee | None = None
    encoder: str = ""

    def __add__(self, other: AttributeSums) -> AttributeSums:
        """Sums over the images of both, which must be different images (as two clients' are)."""
        if self.encoder != other.encoder:
            raise InputError(
                "attribute sums scored by different CLIP models do not add; use one "
                "semantic.encoder at all sites"
            )
        for kind, mine, theirs in (
            ("classes", self.classes, other.classes),
            ("attributes", self.attributes, other.attributes),
        ):
            if mine != theirs:
                raise InputError(
                    f"attribute sums over different {kind} cannot be merged: {', '.join(mine)} "
                    f"and {', '.join(theirs)}; score one vocabulary everywhere"
                )
        both = self.guarantee and other.guarantee and self.guarantee | other.guarantee
        return AttributeSums(
            self.classes,
            self.attributes,
            self.counts + other.counts,
            self.sums + other.sums,
            self.variance + other.variance,
            both,
            self.encoder,
        )

    def noised(self, epsilon: float, delta: float, rng: np.random.Generator) -> AttributeSums:
        """Release with (ε, δ)-differential privacy for adding or removing one image.

        Gaussian noise goes on the counts and on the sums of *centred* values (value − 0.5), of
        which one image adds at most 0.5 each: it changes one class's count by 1 and its sums by at
        most 0.5 √n_attributes in L2 norm, so the sensitivity is √(1 + n_attributes / 4). Centring
        is undone with the noised counts, which costs no privacy. Releases of the same images add
        up. The source of the noise must not be known to who receives the release.
        """
        sensitivity = float(np.sqrt(1 + len(self.attributes) / 4))
        sigma = gaussian_sigma(epsilon, delta, sensitivity)
        counts = self.counts + rng.normal(0, sigma, self.counts.shape)
        centred = self.sums - self.counts[:, None] / 2 + rng.normal(0, sigma, self.sums.shape)
        spent = Guarantee(epsilon, delta)
        return replace(
            self,
            counts=counts,
            sums=centred + counts[:, None] / 2,
            variance=self.variance + sigma**2,
            guarantee=spent if self.guarantee is None else self.guarantee + spent,
        )

    def left_out(self, minimum_count: float = 1) -> dict[str, float]:
        """Classes with fewer images than the minimum, which `table` leaves out, and their counts.

        Noised counts can be negative and are no integers.
        """
        pairs = zip(self.classes, self.counts.tolist(), strict=True)
        return {name: count for name, count in pairs if count < minimum_count}

    def table(self, minimum_count: float = 1) -> AttributeTable:
        """Mean values as a table of the classes with enough images; see `left_out` for the others.

        The minimum is above 0. With noise, a value's standard error is about ``sqrt(variance) /
        count``: choose one well above ``sqrt(variance)``.
        """
        if minimum_count <= 0:
            raise InputError(f"the minimum count must be above 0, not {minimum_count}")
        kept = np.flatnonzero(self.counts >= minimum_count)
        if len(kept) == 0:
            raise InputError(
                f"no class has {minimum_count:g} images (the largest count is "
                f"{self.counts.max(initial=0):.0f}); no attribute table can be induced"
            )
        classes = tuple(self.classes[i] for i in kept)
        values = np.clip(self.sums[kept] / self.counts[kept, None], 0, 1)
        return AttributeTable(classes, tuple(map(spoken, classes)), self.attributes, values)

    def frequencies(self) -> dict[str, dict[str, float]]:
        """Mean value of every attribute, by class; a class without images is left out."""
        if not (self.counts > 0).any():
            return {}
        table = self.table(np.finfo(float).tiny)
        return {
            name: dict(zip(self.attributes, values, strict=True))
            for name, values in zip(table.classes, table.values.tolist(), strict=True)
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data; `epsilon` and `delta` are null for exact sums. See `from_json`."""
        spent = self.guarantee
        return {
            "format": FORMAT, "version": VERSION, "encoder": self.encoder,
            "classes": list(self.classes), "attributes": list(self.attributes),
            "counts": self.counts.tolist(), "sums": self.sums.tolist(), "variance": self.variance,
            "epsilon": spent.epsilon if spent else None, "delta": spent.delta if spent else None,
        }  # fmt: skip

    @classmethod
    def from_json(cls, record: Any) -> AttributeSums:
        """Read `to_json`'s data; a message names the field that is missing or malformed."""
        given = Fields.of("attribute sums", FORMAT, record)
        if (version := given["version"]) != VERSION:
            raise InputError(
                f"attribute sums of version {version!r}; this program reads {VERSION}: induce them "
                "anew"
            )
        classes, attributes = given.names("classes", 1), given.names("attributes", 1)
        counts = given.array("counts", (len(classes),))
        sums = given.array("sums", (len(classes), len(attributes)))
        exact = given["epsilon"] is None
        if exact and (counts < 0).any():
            raise InputError("attribute sums: the field 'counts' of exact sums is below 0")
        if (variance := given.number("variance")) < 0:
            raise given.wrong("variance", f"{variance}, below 0")
        guarantee = None if exact else Guarantee(given.number("epsilon"), given.number("delta"))
        return cls(classes, attributes, counts, sums, variance, guarantee, str(given["encoder"]))


def measured_sums(
    labels: Indices, words: Sequence[Collection[str]], classes: tuple[str, ...]
) -> AttributeSums:
    """Count measured words by class.

    Parameters
    ----------
    labels
        ``[n]`` indices into `classes`.
    words
        For each image, its words, as `semantic.measures.measured_words` gives them.
    classes
        Class names.
    """
    return _summed(_indicators(words, WORDS), labels, classes, WORDS)


def induce(
    encoder: ClipEncoder,
    images: Images,
    labels: Indices,
    classes: tuple[str, ...],
    attributes: tuple[str, ...],
    templates: tuple[str, ...] = TEMPLATES,
) -> AttributeSums:
    """Score a vocabulary on a client's images and sum the values by class.

    Parameters
    ----------
    encoder
        Scores every attribute but the measured words (`semantic.measures.WORDS`), which are
        measured: such a word's value is 1 or 0.
    images
        ``[n, H, W, 3]``, 0 to 255.
    labels
        ``[n]`` indices into `classes`.
    classes
        Class names.
    attributes
        The vocabulary: phrases and measured words.
    templates
        Prompts with the field `{attribute}`; an image's value is the mean over them.

    Raises
    ------
    InputError
        If the vocabulary is empty or repeats itself, or a template has no `{attribute}`.
    """
    if not attributes or len(set(attributes)) < len(attributes):
        raise InputError(f"the attribute vocabulary must name phrases once each, not {attributes}")
    for template in templates:
        if "{attribute}" not in template:
            raise InputError(f"prompt template {template!r} lacks the field {{attribute}}; add it")
    phrases = [a for a in attributes if a not in WORDS]
    words = tuple(a for a in attributes if a in WORDS)
    values = np.zeros((len(images), len(attributes)))
    if phrases and len(images):
        values[:, [attributes.index(a) for a in phrases]] = _scored(
            encoder, images, phrases, templates
        )
    if words:
        values[:, [attributes.index(a) for a in words]] = _indicators(measured_words(images), words)
    summed = _summed(values, labels, classes, attributes)
    return replace(summed, encoder=encoder.fingerprint)


def _scored(
    encoder: ClipEncoder,
    images: Images,
    phrases: list[str],
    templates: tuple[str, ...],
) -> Floats:
    """Probability of every phrase against the neutral prompt, ``[n, len(phrases)]``."""
    embedded = encoder.embed_images(images).double()

    def probabilities(template: str) -> Floats:
        prompts = [" ".join(template.format(attribute=p).split()) for p in (*phrases, "")]
        similar = embedded @ encoder.embed_texts(prompts).double().T
        logits = encoder.scale * (similar[:, :-1] - similar[:, -1:])
        found: Floats = logits.sigmoid().numpy()
        return found

    return reduce(np.add, map(probabilities, templates)) / len(templates)


def _indicators(words: Sequence[Collection[str]], vocabulary: tuple[str, ...]) -> Floats:
    """1 where an image deserves a word of the vocabulary, ``[len(words), len(vocabulary)]``."""
    rows = [[word in found for word in vocabulary] for found in words]
    return np.array(rows, dtype=np.float64).reshape(len(words), len(vocabulary))


def _summed(
    values: Floats,
    labels: Indices,
    classes: tuple[str, ...],
    attributes: tuple[str, ...],
) -> AttributeSums:
    sums = np.zeros((len(classes), len(attributes)))
    np.add.at(sums, labels, values)
    counts = np.bincount(labels, minlength=len(classes)).astype(np.float64)
    return AttributeSums(classes, attributes, counts, sums)
