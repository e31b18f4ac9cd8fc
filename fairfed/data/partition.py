"""Dividing the images among clients with the partitioners of flwr-datasets, by name."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairfed.data.saying import say, some
from fairfed.data.table import LabelledTable, natural_order
from semantic.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from fairfed.config import PartitionConfig

logger = logging.getLogger("fairfed")

COLUMN = "column"
_ORDER_STREAM = 31
_PATHOLOGICAL = {"num_classes_per_partition": 2, "class_assignment_mode": "first-deterministic"}


def partition_rows(
    table: LabelledTable, partition: PartitionConfig, seed: int
) -> tuple[tuple[str, ...], list[npt.NDArray[np.int64]]]:
    """The clients' names and rows (ascending): all rows, training and testing divided together.

    A client's test rows therefore follow its own distribution. The rows are put in a seeded order
    in which every stretch holds the table's share of test rows, so that partitioners that cut
    stretches keep that share. Same seed, same rows.

    Raises `InputError` if the partitioner or an option is unknown or does not suit the data, or a
    client gets no training rows.
    """
    if partition.name == COLUMN:
        names, rows = _by_column(table)
    else:
        order = _mixed_order(table, seed)
        dataset = _as_dataset(table, order)
        partitioner = _build(partition, dataset, seed)
        try:
            parts = _parts(partitioner)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InputError(
                f"partition: {partition.name!r} cannot divide these {len(table)} {table.unit}: "
                f"{error}"
            ) from error
        rows = [np.sort(part) for part in parts]
        names = tuple(str(client) for client in range(len(rows)))
    held = np.unique(table.labels[np.concatenate(rows)])
    nobody = [name for label, name in enumerate(table.classes) if label not in held]
    if nobody:
        logger.warning(
            "partition: no client holds %s, for training or for testing", ", ".join(nobody)
        )
    for name, client_rows in zip(names, rows, strict=True):
        if table.test[client_rows].all():
            raise InputError(
                f"partition: client {name} gets no training {table.unit}; use fewer clients "
                f"(partition.clients), other partition.options, or give it some"
            )
    _say_unmeasured(table, names, rows)
    return names, rows


def _say_unmeasured(
    table: LabelledTable, names: tuple[str, ...], rows: list[npt.NDArray[np.int64]]
) -> None:
    """Say who has no test rows; refuse a division in which nobody has."""
    bare = [name for name, own in zip(names, rows, strict=True) if not table.test[own].any()]
    if len(bare) == len(names):
        raise InputError(
            f"partition: no client gets test {table.unit}, so that nothing can be measured; use "
            f"fewer clients, or mark more test {table.unit} in the split column"
        )
    if bare:
        measured = sum(int(table.test[own].sum()) for own in rows)
        say(
            f"partition: {len(bare):,} of {len(names):,} clients have no test {table.unit} and are "
            f"not measured ({some(bare)}); all results rest on {measured:,} test {table.unit} of "
            "the others"
        )


def _parts(partitioner: Any) -> list[npt.NDArray[np.int64]]:
    """Every client's rows.

    A Dirichlet partitioner that draws too small a client warns and draws anew, and raises where
    that does not help: only the latter is worth telling. Classes that nobody holds are told by
    name elsewhere.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will NOT be used")
        warnings.filterwarnings("ignore", message="The specified min_partition_size")
        return [
            np.asarray(partitioner.load_partition(client)["row"], np.int64)
            for client in range(partitioner.num_partitions)
        ]


def _by_column(table: LabelledTable) -> tuple[tuple[str, ...], list[npt.NDArray[np.int64]]]:
    if table.clients is None:
        raise InputError(
            "partition.name: 'column' needs data.client, the column that names a row's client"
        )
    owner = np.array(table.clients)
    names = natural_order(table.clients)
    return names, [np.flatnonzero(owner == name) for name in names]


def _mixed_order(table: LabelledTable, seed: int) -> npt.NDArray[np.int64]:
    """A random order in which each class, and its test rows, are spread evenly."""
    rng = np.random.default_rng([seed, _ORDER_STREAM])
    place = np.empty(len(table))
    for label in range(len(table.classes)):
        for is_test in (False, True):
            rows = np.flatnonzero((table.labels == label) & (table.test == is_test))
            place[rows] = (rng.permutation(rows.size) + rng.random(rows.size)) / max(rows.size, 1)
    return np.argsort(place, kind="stable")


def _as_dataset(table: LabelledTable, order: npt.NDArray[np.int64]) -> Dataset:
    import datasets

    columns: dict[str, Any] = {
        "row": order,
        "label": table.labels[order],
        "group": table.groups[order],
        "cell": (table.labels * len(table.group_names) + table.groups)[order],
    }
    if table.clients is not None:
        columns["client"] = np.array(table.clients)[order]
    return datasets.Dataset.from_dict(columns)


def _build(partition: PartitionConfig, dataset: Dataset, seed: int) -> Any:
    """The partitioner with its options checked and the dataset assigned."""
    cls = _partitioner_class(partition.name)
    parameters = inspect.signature(cls).parameters
    options = dict(partition.options)
    for option in options:
        if option not in parameters:
            close = difflib.get_close_matches(option, parameters, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(parameters)}"
            raise InputError(
                f"partition.options.{option}: {partition.name!r} has no such option; {advice}"
            )
    defaults = {"num_partitions": partition.clients, "partition_by": "label", "seed": seed}
    if "natural_id" in partition.name:
        defaults["partition_by"] = "client"
    if partition.name == "pathological":
        defaults |= _PATHOLOGICAL
    options = {name: value for name, value in defaults.items() if name in parameters} | options
    if options.get("partition_by", "row") not in dataset.column_names:
        raise InputError(
            f"partition.options.partition_by: no column {options['partition_by']!r}; there are: "
            f"{', '.join(dataset.column_names)} (`client` with data.client)"
        )
    for name, parameter in parameters.items():
        if name not in options and parameter.default is inspect.Parameter.empty:
            raise InputError(f"partition.options.{name}: missing; {partition.name!r} needs it")
    if isinstance(options.get("distribution_array"), list):
        options["distribution_array"] = np.asarray(options["distribution_array"])
    try:
        partitioner = cls(**options)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"partition.options: {partition.name!r} refuses them: {error}") from error
    partitioner.dataset = dataset
    return partitioner


def _partitioner_class(name: str) -> Any:
    """The class of flwr-datasets that divides rows and has the snake-case `name`."""
    import flwr_datasets.partitioner as module

    # Vertical partitioners divide columns; id_to_size_fnc takes a function, which TOML has not.
    classes = {
        _snake_case(cls.removesuffix("Partitioner")): getattr(module, cls)
        for cls in module.__all__
        if cls.endswith("Partitioner") and len(cls) > len("Partitioner")
        if not cls.startswith(("Vertical", "IdToSizeFnc"))
    }
    if name not in classes:
        known = [*sorted(classes), COLUMN]
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
        raise InputError(f"partition.name: no partitioner {name!r}; {advice}")
    return classes[name]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
