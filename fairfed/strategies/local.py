"""What a strategy asks of the clients' training: weights of examples in the loss.

Reweighing: Kamiran & Calders, Knowledge and Information Systems 2012, "Data preprocessing
techniques for classification without discrimination". An example of group a and class y weighs
``P(a) P(y) / P(a, y)``: group and class are then independent in the weighted data.

FairBatch: Roh, Lee, Whang & Suh, ICLR 2021, arXiv 2012.01696. Within every class, the groups'
shares of the batches move towards the groups with the larger loss. Departures: the shares are
weights in the loss and not of the sampling (equal in expectation); they move once a round, by the
0-1 loss of the received model on the client's own rows and in proportion to it (there: at every
epoch, by a fixed step); any number of groups and classes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairfed.strategies.rules.fedfb import fedfb_shares
from fairfed.strategies.rules.groups import relative_weights

Floats = NDArray[np.float64]


def reweighing(cells: NDArray[np.generic]) -> Floats:
    """Return the weight of every cell, ``P(a) P(y) / P(a, y)``, 1 in a cell without examples.

    The cells ``[G, C]`` are one client's examples (or their total sampling weight) by group and
    class. The mean weight of the examples is at most 1, and 1 where every combination of a held
    group and a held class is held.
    """
    held = np.asarray(cells, np.float64)
    total = held.sum()
    if not total > 0:
        return np.ones_like(held)
    expected = held.sum(axis=1, keepdims=True) * held.sum(axis=0, keepdims=True) / total
    weights = np.ones_like(held)
    np.divide(expected, held, out=weights, where=held > 0)
    return weights


def fairbatch(
    counts: NDArray[np.int64], shares: Floats | None, alpha: float
) -> tuple[Floats, Floats]:
    """Move a client's shares ``[G, C]`` (None before the first round) by its own errors.

    The counts ``[G, C, C]`` are of the received model on its real rows; `alpha` >= 0 is the step.
    Returned are the shares to hand in next time, and the weights of the rows of a cell, at most 10.
    """
    moved, held = fedfb_shares(counts, shares, alpha)
    return moved, relative_weights(moved, held)


def loss_weights(
    groups: NDArray[np.int64],
    labels: NDArray[np.int64],
    shape: tuple[int, int],
    *,
    reweigh: bool,
    cell_weights: Floats | None,
    cell_target: Floats | None = None,
    sampling: Floats | None = None,
) -> Floats | None:
    """Return the weight ``[n]`` of each training example in the loss; None where all are 1.

    They are not normalised: a client that holds only an under-served group shall take larger steps
    for it. Groups and labels ``[n]`` are those of all examples, synthetic ones included; `sampling`
    ``[n]`` says how often one comes up, which counts as how many there are. `cell_weights` ``[G,
    C]`` are FairBatch's, and those that the server sent (FedFB, FedMinMax). `cell_target` ``[G,
    C]`` is what the weighted examples shall follow, as far as the client holds the cells (Parity):
    a weight is then at most 10, and 1 in a group that is in no part of it.
    """
    if not reweigh and cell_weights is None and cell_target is None:
        return None
    cells = np.zeros(shape)
    np.add.at(cells, (groups, labels), 1.0 if sampling is None else sampling)
    table = reweighing(cells) if reweigh else np.ones(shape)
    if cell_target is not None:
        wanted = relative_weights(cell_target, cells / cells.sum())
        heard_of = cell_target.any(axis=1, keepdims=True)
        table = table * np.where(heard_of, wanted, 1.0)
    if cell_weights is not None:
        table = table * cell_weights
    return np.asarray(table[groups, labels], np.float64)
