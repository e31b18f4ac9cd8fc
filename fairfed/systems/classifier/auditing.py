"""Federated audits: clients count a model's predictions on their test rows, the server adds up.

What a client answers is a file of counts, as `fairfed audit count` writes at a site: integers and
the names of classes and groups, with noise or without small cells where that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    ConfigRecordValues,
    RecordDict,
)

from evaluation.audit.counts_file import CountsFile, add_up, decode_counts, encode_counts
from evaluation.audit.from_counts import crossed_schema, dense_tally
from evaluation.audit.noise import Declared, protect
from fairfed.errors import PublicInputError
from fairfed.rounds.clients import QueryError, handshake, query

if TYPE_CHECKING:
    from flwr.serverapp import Grid
    from numpy.typing import NDArray
    from torch import nn

    from fairfed.config import Arm, FederationConfig
    from fairfed.sites.site import Site

ACTION = "audit"
COUNTS_KEY = "counts"
NOT_FINITE = (
    "the model's scores are not finite (its training diverged): ask for its predictions alone, "
    "with bins = 0"
)


@dataclass(frozen=True, eq=False)
class AuditSettings:
    """What clients are asked to count.

    Parameters
    ----------
    study : FederationConfig
        What clients are sent (a table's with its columns fitted).
    arm : Arm
        Whose data split, and for Ditto whose personal models, are meant.
    model : ArrayRecord
        Weights of the model that is audited.
    clients : int
        How many there are.
    bins : int
        Of score histograms; 0: count predictions alone.
    epsilon, delta, min_cell
        Protection at every client; see `evaluation.audit.noise.protect`.
    """

    study: FederationConfig
    arm: Arm
    model: ArrayRecord
    clients: int
    bins: int = 0
    epsilon: float | None = None
    delta: float | None = None
    min_cell: int = 0

    def request(self) -> dict[str, ConfigRecordValues]:
        """What the message tells a client beside the weights."""
        asked: dict[str, ConfigRecordValues] = {
            "study": self.study.to_json(), "arm": self.arm.slug, "round": 0,
            "bins": self.bins, "min-cell": self.min_cell, "clients": self.clients,
        }  # fmt: skip
        budget = {"epsilon": self.epsilon, "delta": self.delta}
        return asked | {name: value for name, value in budget.items() if value is not None}


def audit_clients(grid: Grid, settings: AuditSettings, timeout: float) -> CountsFile:
    """Ask every client for the counts of a model on its test rows, and add them up.

    Parameters
    ----------
    grid : Grid
        Any Flower grid.
    settings : AuditSettings
        What to count.
    timeout : float
        Seconds that the clients have.

    Returns
    -------
    CountsFile
        The counts of all clients, and how each protected its own.

    Raises
    ------
    fairfed.errors.RunError
        If a client does not answer.
    evaluation.errors.InputError
        If an answer is no file of counts, or was counted with other settings.
    """
    clients = handshake(grid, 1, timeout)
    answers = query(grid, clients, ACTION, settings.request(), timeout, settings.model)
    return add_up((f"client {client}", _counts_in(answers[client], client)) for client in answers)


def _counts_in(answer: RecordDict, client: int) -> CountsFile:
    """The counts that a client has answered, checked: it is a site of its own."""
    sent = answer.config_records.get(COUNTS_KEY)
    data = None if sent is None else sent.get("file")
    if not isinstance(data, bytes):
        raise QueryError(f"client {client} answered the audit without its counts")
    return decode_counts(data, f"client {client}")


def client_counts(model: nn.Module, site: Site, arm: Arm, asked: Mapping[str, Any]) -> RecordDict:
    """A client's answer: the file of counts on its test rows of a model that gives logits.

    `asked` are the request's settings; see `AuditSettings.request`.
    """
    labels, bins = site.study.labels, int(asked["bins"])
    # Numbers are padded, so that they are sorted as numbers.
    name = (
        site.name.zfill(len(str(int(asked["clients"]) - 1))) if site.name.isdecimal() else site.name
    )
    sensitive = tuple(labels.sensitive)
    schema = crossed_schema(labels.classes, labels.groups, sensitive, (name,), bins)
    confusion, scores = _counts(model, site, arm, schema.score_classes, bins)
    tally = dense_tally(
        schema,
        labels.classes,
        labels.groups,
        {name: confusion},
        None if scores is None else {name: scores},
    )
    # Classes and groups are common knowledge of the federation, so they count as declared.
    levels = {axis.name: axis.levels for axis in schema.axes}
    tally, release = protect(
        tally,
        epsilon=asked.get("epsilon"),
        delta=asked.get("delta"),
        min_cell=int(asked.get("min-cell", 0)),
        declared=Declared(schema.classes, levels, (name,), missing=False),
    )
    return RecordDict({COUNTS_KEY: ConfigRecord({"file": encode_counts(tally, (release,))})})


def _counts(
    model: nn.Module, site: Site, arm: Arm, scored: tuple[str, ...], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Confusion counts ``[groups, C, C]`` and histograms ``[groups, scored, 2, bins]``."""
    from fairfed.models import class_probabilities

    table, rows = site.table, site.said_rows(site.rows.test)
    labels, groups = table.labels[rows], table.groups[rows]
    n_groups, n_classes = site.study.labels.shape
    inputs = site.model_rows(rows, arm)
    probabilities = class_probabilities(model, inputs, n_classes, site.device)
    confusion = np.zeros((n_groups, n_classes, n_classes), np.int64)
    np.add.at(confusion, (groups, labels, probabilities.argmax(1)), 1)
    if not bins:
        return confusion, None
    if not np.isfinite(probabilities).all():
        raise PublicInputError(NOT_FINITE)
    histograms = np.zeros((n_groups, len(scored), 2, bins), np.int64)
    for place, name in enumerate(scored):
        of = table.classes.index(name)
        at = np.minimum((probabilities[:, of] * bins).astype(np.int64), bins - 1)
        np.add.at(histograms[:, place], (groups, (labels == of).astype(int), at), 1)
    return confusion, histograms
