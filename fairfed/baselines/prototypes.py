"""Class prototypes that clients send once: noised at home, merged at the server, kept there.

They are drawn once in a run (`fairfed.releases`), whatever the number of arms that use them: the
server keeps what it got in the run directory, from which other arms and a continued run go on. Only
IID arms, whose clients hold other images, have a release of their own. Two runs of one seed differ
in the noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import Context, MetricRecord, RecordDict

from fairfed import releases, site
from fairfed.config import Arm
from semantic.conditioning import Conditioner, Description
from semantic.space import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flwr.serverapp import Grid

    from fairfed.rounds.exchange import Client
    from fairfed.rounds.run_directory import RunDirectory
    from semantic.release import NoisedPrototypes


@dataclass(frozen=True)
class ReleasedConditioner(Conditioner):
    """Conditions on a class's prototype where there is one.

    Attributes
    ----------
    otherwise
        What describes the other classes.
    """

    otherwise: Conditioner = field(kw_only=True)

    def describe(self, cell: Cell, seed: int) -> Description:
        """Description of the image with this seed."""
        if cell.class_name in self.prototypes or str(cell) in self.prototypes:
            return super().describe(cell, seed)
        return self.otherwise.describe(cell, seed)


def release(toml: str, arm: Arm, client: int, context: Context) -> RecordDict:
    """What a client answers: its noised sums and counts, the same ones whenever it is asked.

    Parameters
    ----------
    context
        The client's state, which keeps them.
    """
    key = f"{releases.RELEASE}-{_split(arm)}"
    answer = releases.kept(context, key, lambda: _noised(toml, arm, client))
    answer["metrics"] = MetricRecord({"partition-id": client})
    return answer


def _split(arm: Arm) -> str:
    """Which division of the images an arm is of; all its arms share one release."""
    return "iid" if arm.iid else "main"


def _noised(toml: str, arm: Arm, client: int) -> NoisedPrototypes:
    """A fresh release of the client's training images, by class."""
    from semantic.encoder import load_encoder
    from semantic.prototypes import sum_prototypes

    config, data = site.configuration(toml), site.images(toml, arm.iid)
    rows = data.train[client]
    encoder = load_encoder(config.semantic.encoder)
    embeddings = encoder.embed_images(data.table.images[rows]).numpy()
    labels = data.table.labels[rows]
    sums = sum_prototypes(embeddings, labels, data.table.classes, encoder=encoder.fingerprint)
    augment = config.augment
    return sums.release(augment.epsilon, augment.delta, augment.minimum)


def gather(
    grid: Grid, clients: Sequence[Client], run: RunDirectory, toml: str, arm: Arm
) -> dict[str, tuple[float, ...]]:
    """Usable prototypes of the federation by class, asked of the clients once in a run.

    ``synthetic/prototypes-main.json`` (of IID arms: ``-iid``) keeps the merged release, with its
    (ε, δ).

    Raises
    ------
    fairfed.rounds.clients.QueryError
        If a client does not answer.
    semantic.errors.InputError
        If clients use different CLIP models.
    """
    from fairfed.rounds.clients import query
    from fairfed.rounds.progress import TIMEOUT
    from semantic.release import NoisedPrototypes, merge_prototypes

    file = f"synthetic/prototypes-{_split(arm)}.json"
    kept = run.read_json(file)
    if kept is None:
        request: dict[str, str | int] = {"toml": toml, "arm": arm.slug, "round": 0}
        answers = query(grid, clients, "release", request, TIMEOUT)
        merged = merge_prototypes(map(releases.read, answers.values()))
        kept = {
            **merged.to_json(),
            "bytes": sum(a.array_records["arrays"].count_bytes() for a in answers.values()),
        }
        run.write_json(file, kept)
    found = NoisedPrototypes.from_json(kept).prototypes()
    return {name: prototype.vector for name, prototype in found.items() if prototype.usable}
