"""The server's own examples, on which it judges the clients' models.

Of images: a balanced synthetic set. Every class x group cell has the same number of images, made by
the generator of the run and kept in a pool of their own, so that no client has trained on them. No
private data is involved. Of a table: its validation rows, which no client trains on or is measured
on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluation import get_metric
from fairfed.data.tables import encode
from fairfed.rounds.arrays import Model
from semantic.errors import InputError
from semantic.space import known_groups

if TYPE_CHECKING:
    from fairfed.config import Arm
    from fairfed.data.tables import FeatureTable
    from fairfed.models.inputs import Inputs
    from fairfed.sites.study import Study
    from fairfed.strategies.cohort import Counts, Probe

    Examples = tuple[Inputs, NDArray[np.int64], NDArray[np.int64]]
    """As a model takes them, with their classes and groups."""

SHORT = (
    "the server's probe set lacks images: curation left {found} of {wanted} of class {label!r}, "
    "group {group!r}; lower curation.margin or raise curation.max_tries"
)
UNDEFINED = (
    "fairness.metric '{metric}' is undefined on the server's {n} validation rows, which lack a "
    "class or a group: raise data.table.validation, or merge groups in data.table.groups"
)


def server_probe(study: Study, arm: Arm | None = None) -> Probe:
    """Make the probe that ``fairness.probe_source`` names, for models of an arm.

    It gives a model's confusion counts ``[G, C, C]``. Without an arm, all have the configuration's
    own model.
    """
    import torch

    from fairfed.models import confusion_counts

    validation = study.told.fairness.probe_source == "validation"
    inputs, labels, members = _validation(study) if validation else _synthetic(study, arm)
    space, place = study.told.labels, study.place
    classes, groups = len(space.classes), len(space.groups)
    truth = torch.from_numpy(labels), torch.from_numpy(members)

    def probe(arrays: Model) -> Counts:
        model = place.model_with(arrays, None if validation else arm)
        counts, _ = confusion_counts(model, inputs, *truth, n_groups=groups, n_classes=classes)
        return counts

    return probe


def check_probe(study: Study) -> None:
    """Find what is amiss with the probe, as far as that needs no training and no synthesis."""
    if study.told.fairness.probe_source == "validation":
        validation_rows(study)
    else:
        study.place.synthesiser  # noqa: B018  (loaded, or refused)


def _synthetic(study: Study, arm: Arm | None) -> Examples:
    """Make or find the synthetic set of a run: ``fairness.probe`` images of each cell.

    A cell that curation leaves short is refused: the set would not be balanced.
    """
    place, images = study.place, study.told.fairness.probe
    labels = place.labels
    known = known_groups(labels.groups)
    wanted = np.tile(images * known.astype(np.int64), (len(labels.classes), 1))
    made = place.synthesiser.fill(wanted, study.server, images, share=False)
    for label, group in np.argwhere(made.accepted < wanted):
        found = int(made.accepted[label, group])
        names = {"label": labels.classes[label], "group": labels.groups[group]}
        raise InputError(SHORT.format(found=found, wanted=images, **names))
    return place.inputs(made.images, arm), made.labels, made.groups


def _validation(study: Study) -> Examples:
    """The server's validation rows of a table (as FAIR-FATE, arXiv 2209.10678).

    The study's columns are fitted (`fairfed.data.tables.fit`). Every cell has the rows that it
    happens to have.
    """
    import torch

    table, chosen = validation_rows(study)
    inputs = torch.from_numpy(encode(study.told.table, table.features.iloc[chosen]))
    return inputs, table.labels[chosen], table.groups[chosen]


def validation_rows(study: Study) -> tuple[FeatureTable, NDArray[np.int64]]:
    """The table, and its rows that the server has, ascending.

    Refused if the sites are real, or the fairness metric is undefined on the rows, whatever is
    predicted.
    """
    table = study.simulated("fairness.probe_source = 'validation'").rows.table
    chosen = np.flatnonzero(table.server)
    by_group = table.cells(chosen).T
    # Every prediction once for every row: no rate is 0, so that ratios are defined, too.
    counts = np.repeat(by_group[:, :, np.newaxis], by_group.shape[1], axis=2)
    if np.isnan(get_metric(study.told.fairness.metric)(counts)):
        raise InputError(UNDEFINED.format(metric=study.told.fairness.metric, n=len(chosen)))
    return table, chosen
