"""A run of peer-to-peer meta-learning, from its configuration to its results.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flwr.serverapp import Grid

from fairfed.config import Arm, Config, TrainConfig
from fairfed.config.base import required
from fairfed.config.peers import MetaName
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.progress import TIMEOUT, Watcher
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.study import Study
from fairfed.systems.classifier.build import check_arms, needs_probe
from fairfed.systems.peers.arm_server import PeersServer, is_measured
from fairfed.systems.peers.baseline import train_arm
from fairfed.systems.peers.node import DRIFT
from fairfed.systems.peers.results import save_results
from fairfed.systems.session import begin
from semantic.errors import InputError

SITES = SimulatedSites
TITLES: dict[MetaName, str] = {"reptile": "PPFM (Reptile)", "fomaml": "PPFM (FOMAML)"}
"""What the variants are called in logs and tables."""

ALL_TRAIN = "fraction = {fraction}: with [peers] every peer takes part in every round; set it to 1"
TOO_FEW = (
    "peers.unseen = {unseen} of {clients} clients leaves {left} to take part, and at least 2 have "
    "to; use more clients (partition.clients)"
)
NOT_PLAIN = (
    "arms: {name!r} has {field}. Beside [peers], an arm is averaging with a server, whose clients "
    "train as peers do: it may have a rule, its options, a server optimiser or an aggregator; drop "
    "{field}"
)
SAME_NAME = "arms: {name!r} is what a variant of [peers] is called; give the arm another name"
NOT_FOMAML = (
    "train.{field} acts in the local training of 'reptile' and of arms, and not in that of "
    "'fomaml', which would be compared unequally; leave it out, or set peers.meta = ['reptile']"
)
NO_DEBIAS = (
    "train.debias = {debias!r} acts in arms, and not in the training of peers, which would be "
    "compared unequally; leave it out"
)
_NOT_PLAIN = (
    "augment", "iid", "personal", "inversion", "control_variates", "adapt", "from_scratch",
    "proximal", "augmentation", "debias",
)  # fmt: skip
_NOT_IN_FOMAML = ("proximal", "augmentation")


def variant(kind: MetaName) -> Arm:
    """What a variant is called and where its checkpoint is."""
    return Arm(name=TITLES[kind])


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or trained."""
    config = study.config
    if config.fraction != 1:
        raise InputError(ALL_TRAIN.format(fraction=config.fraction))
    _check_training(config)
    for arm in config.arms:
        _check_arm(arm)
    check_arms(config, study.place)
    unseen, clients = required(config.peers).unseen, study.clients
    if clients - unseen < 2:
        raise InputError(TOO_FEW.format(unseen=unseen, clients=clients, left=clients - unseen))
    if required(config.peers).drift_round:
        study.simulated(DRIFT)
    study.place.encoder  # noqa: B018  (loaded, or refused)
    study.place.check_model()


def _check_training(config: Config) -> None:
    """Refuse settings of training that act in some methods of the comparison and not in others."""
    train = config.train
    if train.debias != "none":
        raise InputError(NO_DEBIAS.format(debias=train.debias))
    for field in _NOT_IN_FOMAML if "fomaml" in required(config.peers).meta else ():
        if getattr(train, field) != TrainConfig.model_fields[field].default:
            raise InputError(NOT_FOMAML.format(field=field))


def _check_arm(arm: Arm) -> None:
    """Refuse arms that this run cannot compare with."""
    if arm.slug in {variant(kind).slug for kind in TITLES}:
        raise InputError(SAME_NAME.format(name=arm.name))
    given = (name for name in _NOT_PLAIN if getattr(arm, name) != Arm.model_fields[name].default)
    field = next(given, None)
    if arm.system != "federated":
        field = "system"
    if needs_probe(arm):
        field = "a probe"
    if field is not None:
        raise InputError(NOT_PLAIN.format(name=arm.name, field=field))


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Train every variant and arm, or continue; write the results."""
    config = study.config
    methods: list[tuple[Arm, MetaName | None]] = [
        (variant(kind), kind) for kind in dict.fromkeys(required(config.peers).meta)
    ]
    methods += [(arm, None) for arm in config.arms if not required(config.peers).drift_round]
    session = begin(grid, study, watcher, [arm for arm, _ in methods])
    directory, clients = session.run, session.clients
    numbers = [n for n in range(1, config.rounds + 1) if is_measured(config, n)]
    for arm, kind in methods:
        watcher.training(arm, directory.finished(arm) + 1, config.rounds)
        keep = _Measurements(directory, arm)
        log = _log(directory, watcher, arm, keep)
        if kind is None:
            left = [number for number in numbers if str(number) not in keep.rounds]
            train_arm(session, arm, log, keep, left)
        else:
            plan = Plan(config.rounds, config.seed, TIMEOUT, arm=kind)
            session.train(arm, PeersServer(study, kind, clients), plan, log)
    save_results(directory, len(clients), [arm.name for arm, _ in methods])
    return directory


class _Measurements:
    """Measurements of one method on unseen clients, kept in `unseen/SLUG.json`."""

    def __init__(self, directory: RunDirectory, arm: Arm) -> None:
        self._directory, self._file = directory, f"unseen/{arm.slug}.json"
        kept: dict[str, Any] = directory.read_json(self._file) or {}
        # Of rounds after the checkpoint, as when somebody deleted it, the measurement is repeated.
        done = directory.finished(arm)
        self.rounds = {number: rows for number, rows in kept.items() if int(number) <= done}

    def __call__(self, number: int, rows: list[dict[str, Any]]) -> None:
        """Keep what was measured after a round."""
        self.rounds[str(number)] = rows
        self._directory.write_json(self._file, self.rounds)


def _log(
    directory: RunDirectory, watcher: Watcher, arm: Arm, keep: _Measurements
) -> Callable[[dict[str, Any]], None]:
    """What takes the lines of a method: the log, its measurements, whoever watches."""
    logged = directory.logger(arm, watcher.trained_round)

    def log(line: dict[str, Any]) -> None:
        unseen = line.pop("unseen", [])
        if unseen:
            keep(line["round"], unseen)
        logged(line)

    return log
