"""A run of closed-form heads, from its configuration to its results.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise.
"""

from __future__ import annotations

import logging

from flwr.serverapp import Grid

from fairfed.config.base import required
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.masked import masking_of
from fairfed.rounds.progress import TIMEOUT, Watcher
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.sight import unknown_class
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.study import Study, refuse_arms
from fairfed.sites.workplace import Workplace
from fairfed.systems.heads.features import size_of, text_features
from fairfed.systems.heads.results import save_results
from fairfed.systems.heads.server import HeadServer
from fairfed.systems.heads.sums import Floats
from fairfed.systems.heads.variants import variants_of
from fairfed.systems.session import begin

SITES = SimulatedSites
UNKNOWN = "a class without an image would not be predicted: %s"
logger = logging.getLogger("fairfed")


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or solved."""
    refuse_arms(study.config, "heads")
    size_of(study.place)


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Solve every head, or those that are left; write what they are like."""
    config, place = study.config, study.place
    variants = variants_of(config)
    session = begin(grid, study, watcher, [variant.arm for variant in variants])
    texts = _texts(place)
    for variant in variants:
        watcher.training(variant.arm, session.run.finished(variant.arm) + 1, config.rounds)
        plan = Plan(config.rounds, config.seed, TIMEOUT, config.fraction, variant.arm.slug)
        request = study.request()
        masking = masking_of(study.told)
        server = HeadServer(session.clients, plan, request, variant, place, texts, masking)
        session.train(variant.arm, server, plan)
    save_results(session.run, place.labels)
    return session.run


def _texts(place: Workplace) -> Floats | None:
    """What is expected of classes without an image; None where CLIP does not know their names."""
    if required(place.study.heads).prior == "none":
        return None
    unknown = unknown_class(place.meaning, place.labels.classes, place.encoder.known_words)
    if unknown:
        logger.warning(UNKNOWN, unknown)
        return None
    return text_features(place)
