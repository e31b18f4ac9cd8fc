"""Rows as features, their classes, and what is known of the classes without a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semantic.attributes import AttributeTable
from semantic.errors import InputError
from semantic.naming import UNNAMED_GROUPS

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Features with their classes.

    Attributes
    ----------
    features
        ``[n, d]``.
    labels
        ``[n]`` positions in `classes`.
    test
        ``[n]``, True where a row is for testing only.
    classes
        Names.
    attributes
        ``[C, A]``, rows of length 1: mid-level attributes of the classes.
    texts
        ``[C, T]``, unit CLIP embeddings of the classes' prompts; T = 0 where no variant uses them.
    rectified
        Whether features are a CNN's after its ReLU, never negative.
    unseen, validation
        Classes that the data itself proposes for the test and for validation; empty if none.
    groups
        Groups that images of every class are shown in.
    """

    features: Floats
    labels: npt.NDArray[np.int64]
    test: npt.NDArray[np.bool_]
    classes: tuple[str, ...]
    attributes: Floats
    texts: Floats
    rectified: bool
    unseen: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    groups: tuple[str, ...] = UNNAMED_GROUPS[:1]


def unit_attributes(table: AttributeTable, classes: tuple[str, ...]) -> Floats:
    """Attribute vectors of length 1, ``[C, A]``, as xlsa17's `att` is.

    Raises
    ------
    InputError
        If a class has no row, or nothing in it.
    """
    values = table.values[[table.row(name) for name in classes]]
    lengths = np.linalg.norm(values, axis=1) if values.shape[1] else np.zeros(len(classes))
    if not lengths.all():
        raise InputError(
            f"class {classes[int(np.argmin(lengths))]!r} has no attribute in the attribute table; "
            "zero-shot learning by attributes needs every class's row filled in"
        )
    found: Floats = (values / lengths[:, np.newaxis]).astype(np.float32)
    return found
