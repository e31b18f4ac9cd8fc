"""The section that makes a run peer-to-peer meta-learning (`fairfed.systems.peers`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fairfed.config.base import Section

MetaName = Literal["reptile", "fomaml"]
PHASES = 7
"""Messages to a peer in a round of each (`fairfed.systems.peers.schedule.PHASES`)."""


class PeersConfig(Section):
    """Peer-to-peer meta-learning without a server; its presence alone asks for it.

    The arms of the run are then what it is compared with: averaging with a server among the same
    peers, and fine-tuning.
    """

    meta: Annotated[tuple[MetaName, ...], Field(strict=False)] = Field(
        ("reptile", "fomaml"),
        min_length=1,
        description="What is compared: `reptile` (Nichol et al. 2018), `fomaml` (first-order MAML, "
        "Finn et al. 2017), at the level of tasks, clusters and the whole. With both steps below "
        "at 1, `reptile` is averaging: the mean of the clusters' means.",
    )
    unseen: int = Field(
        4,
        ge=1,
        description="Clients that take no part, and on which the models are measured after 0, 1 "
        "and 5 local steps. Drawn by the seed.",
    )
    clusters: int = Field(
        4, ge=0, description="Clusters of peers. 0: as many as give the best silhouette, up to 8."
    )
    histogram: float = Field(
        1.0,
        ge=0,
        description="Weight of the label histogram beside the semantic prototype, in clustering.",
    )
    cluster_step: float = Field(
        1.0,
        gt=0,
        description="Step of the cluster-level meta update (`reptile` at 1: the mean of its "
        "tasks). With `fomaml` it sets only the cluster's model that a visitor is handed: upwards "
        "goes the mean of the query gradients.",
    )
    global_step: float = Field(
        1.0,
        gt=0,
        description="Step of the global-level meta update (`reptile` at 1: the mean of the "
        "clusters).",
    )
    inner_steps: int = Field(1, ge=1, description="Steps before the query gradient (`fomaml`).")
    inner_lr: float = Field(0.05, gt=0, description="Their learning rate.")
    adapt_lr: float = Field(0.05, gt=0, description="Learning rate of the measured local steps.")
    adapt_batch: int = Field(64, ge=1, description="Rows in a measured local step.")
    measure_every: int = Field(
        5, ge=1, description="Rounds from one measurement on unseen clients to the next."
    )
    drift: float = Field(
        0.3,
        gt=0,
        le=1,
        description="A peer whose prototypes have moved by more than this since it released them "
        "(total variation of its labels, or cosine distance) releases them anew, and peers are "
        "clustered again.",
    )
    share: float = Field(
        0.2, gt=0, lt=1, description="Share of the peers that leave, or whose data drifts."
    )
    leave_round: int = Field(
        0,
        ge=0,
        description="Round in which they leave for good, after their training and before anything "
        "is merged; the cheapest peer, a coordinator, is one of them. 0: nobody leaves.",
    )
    drift_round: int = Field(
        0,
        ge=0,
        description="Round from which they hold each other's data. Arms, whose clients could not "
        "follow, are then left out. 0: no drift.",
    )
    epsilon: float = Field(
        4.0,
        gt=0,
        description="Privacy ε of each release of a peer's prototypes, for adding or removing one "
        "image. A peer releases once in a run, and again only where its data has drifted.",
    )
    delta: float = Field(1e-5, gt=0, lt=1, description="The δ that goes with it.")
    minimum: int = Field(
        20, ge=1, description="A class with fewer images (by noised count) is withheld."
    )
    seeded_noise: bool = Field(
        False,
        description="Draw the noise from the run's seed, so that a simulation repeats. Others know "
        "the seed and could subtract the noise: refused unless `data.source` is `bundled`, whose "
        "images are public.",
    )
