"""Class prototypes that clients send once: noised at home, merged at the server, kept there.

They are drawn once in a run (`fairfed.sites.dp_release`), whatever the number of arms that use
them: the server keeps what it got in the run directory, from which other arms and a continued run
go on. Only IID arms, whose clients hold other images, have a release of their own. Two runs of one
seed differ in the noise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flwr.app import Context, RecordDict

from fairfed.config import Arm
from fairfed.sites import dp_release
from fairfed.sites.request import split_of
from fairfed.sites.site import Site
from fairfed.systems.session import Session
from semantic.conditioning import Conditioner, Description
from semantic.prototypes import PrototypeSums, sum_prototypes
from semantic.release import NoisedPrototypes, merge_prototypes
from semantic.space import Cell


@dataclass(frozen=True)
class ReleasedConditioner(Conditioner):
    """Conditions on a class's prototype where there is one."""

    otherwise: Conditioner = field(kw_only=True)  # what describes the other classes

    def describe(self, cell: Cell, seed: int) -> Description:
        """Description of the image with this seed."""
        if cell.class_name in self.prototypes or str(cell) in self.prototypes:
            return super().describe(cell, seed)
        return self.otherwise.describe(cell, seed)


def release(site: Site, context: Context) -> RecordDict:
    """What a client answers: its noised sums and counts, the same ones whenever it is asked."""
    # All arms of a division of the images share one release.
    key = f"{dp_release.RELEASE}-{site.split}"
    return dp_release.kept(context, key, lambda: _noised(site), site.kept)


def class_sums(site: Site) -> PrototypeSums:
    """Exact sums of the CLIP embeddings of a site's training images, by class."""
    table, rows, encoder = site.images, site.rows.train, site.place.encoder
    embeddings = encoder.embed_images(table.images[rows]).numpy()
    labels, classes = table.labels[rows], table.classes
    return sum_prototypes(embeddings, labels, classes, encoder=encoder.fingerprint)


def _noised(site: Site) -> NoisedPrototypes:
    """A fresh release of the client's training images, by class."""
    augment = site.study.augment
    return class_sums(site).release(augment.epsilon, augment.delta, augment.minimum)


def gather(session: Session, arm: Arm) -> dict[str, tuple[float, ...]]:
    """Usable prototypes of the federation by class, asked of the clients once in a run.

    ``synthetic/prototypes-main.json`` (of IID arms: ``-iid``) keeps the merged release, with its
    (ε, δ). Clients that do not answer, or use different CLIP models, end the run.
    """
    file = f"synthetic/prototypes-{split_of(arm)}.json"
    kept = session.run.read_json(file)
    if kept is None:
        answers = session.query("release", session.study.request(arm))
        merged = merge_prototypes(map(dp_release.read, answers.values()))
        kept = {
            **merged.to_json(),
            "bytes": sum(a.array_records["arrays"].count_bytes() for a in answers.values()),
        }
        session.run.write_json(file, kept)
    found = NoisedPrototypes.from_json(kept).prototypes()
    return {name: prototype.vector for name, prototype in found.items() if prototype.usable}
