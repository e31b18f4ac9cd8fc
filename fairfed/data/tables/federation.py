"""The rows of a table, divided among the federation's clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fairfed.data import Federation, divide
from fairfed.data.tables.table import FeatureTable, load_table

if TYPE_CHECKING:
    from fairfed.config import Config


@dataclass(frozen=True, eq=False)
class FederatedRows(Federation):
    """Rows of a table, and who holds which. `test` has those that models are measured on."""

    table: FeatureTable


def load_rows(config: Config, iid: bool = False) -> FederatedRows:
    """Load the table and divide it among the clients; with `iid`, in equal shares.

    All rows are divided together, so that the clients hold the same training rows whichever of the
    held-out rows are measured. Raises `InputError` if the table or its division is not as the
    configuration says.
    """
    table = load_table(config)
    names, rows = divide(table, config, iid)
    return FederatedRows(
        table=table,
        train=tuple(part[~table.test[part]] for part in rows),
        test=tuple(part[table.measured[part]] for part in rows),
        names=names,
    )
