"""Class prototypes that clients send once: noised at home, merged at the server, kept there.

They are drawn once in a run (`fairfed.sites.dp_release`), whatever the number of arms that use
them: the server keeps what it got in the run directory, from which other arms and a continued run
go on. Only IID arms, whose clients hold other images, have a release of their own. Two runs of one
seed differ in the noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flwr.app import Context, RecordDict

from fairfed.config import Arm
from fairfed.config.federation import PrototypeRows
from fairfed.config.training import uses_prototypes
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites import dp_release
from fairfed.sites.collection import IID, MAIN
from fairfed.sites.request import split_of
from fairfed.sites.site import Site
from fairfed.sites.study import Study
from fairfed.systems.session import Session
from semantic.release import NoisedPrototypes, merge_prototypes

KEPT = "synthetic/prototypes-{split}.json"


def release(site: Site, context: Context) -> RecordDict:
    """What a client answers: its noised sums and counts, the same ones whenever it is asked."""
    # All arms of a division of the images share one release.
    key = f"{dp_release.RELEASE}-{site.split}"
    return dp_release.kept(context, key, lambda: _noised(site), site.kept)


def _noised(site: Site) -> NoisedPrototypes:
    """A fresh release of the client's training images, by class."""
    how = site.study.conditioning
    return site.class_sums().release(how.epsilon, how.delta, how.minimum)


def told(session: Session) -> Session:
    """The run, with the federation's prototypes among what sites are told, where they use them."""
    study = session.study
    if not uses_prototypes(study.told):
        return session
    arms = [arm for arm in study.told.arms if arm.augment]
    arm = next((arm for arm in arms if not arm.iid), arms[0])
    return replace(session, study=_with(study, gather(session, arm)))


def as_told(study: Study, run: RunDirectory) -> Study:
    """A study with what its run has told of prototypes."""
    kept = (run.read_json(KEPT.format(split=split)) for split in (MAIN, IID))
    found = next(filter(None, kept), None) if uses_prototypes(study.told) else None
    return study if found is None else _with(study, usable(found))


def _with(study: Study, vectors: Mapping[str, tuple[float, ...]]) -> Study:
    rows = PrototypeRows(classes=tuple(vectors), vectors=tuple(vectors.values()))
    return study.with_told(study.told.model_copy(update={"prototypes": rows}))


def gather(session: Session, arm: Arm) -> dict[str, tuple[float, ...]]:
    """Usable prototypes of the federation by class, asked of the clients once in a run.

    ``synthetic/prototypes-main.json`` (of IID arms: ``-iid``) keeps the merged release, with its
    (ε, δ). Clients that do not answer, or use different CLIP models, end the run.
    """
    file = KEPT.format(split=split_of(arm))
    kept = session.run.read_json(file)
    if kept is None:
        answers = session.query("release", session.study.request(arm))
        merged = merge_prototypes(map(dp_release.read, answers.values()))
        kept = {
            **merged.to_json(),
            "bytes": sum(a.array_records["arrays"].count_bytes() for a in answers.values()),
        }
        session.run.write_json(file, kept)
    return usable(kept)


def usable(kept: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Prototypes of a kept release that noise spoils little enough."""
    found = NoisedPrototypes.from_json(kept).prototypes()
    return {name: prototype.vector for name, prototype in found.items() if prototype.usable}
