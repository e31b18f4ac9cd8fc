"""A run of peer-to-peer meta-learning, from its configuration to its results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fairfed.config import Arm, Config, TrainConfig
from fairfed.config.peers import MetaName
from fairfed.peers.outcome import write_outcome
from fairfed.peers.population import settings
from fairfed.rundir import RunDirectory
from semantic.errors import InputError

if TYPE_CHECKING:
    from flwr.serverapp import Grid

    from fairfed.progress import Watcher

TITLES: dict[MetaName, str] = {"reptile": "PPFM (Reptile)", "fomaml": "PPFM (FOMAML)"}
"""What the variants are called in logs and tables."""

NO_IMAGES = (
    "peers: peers are clustered on CLIP prototypes of their images, but data.source {source!r} is "
    "a table; use images, or drop [peers]"
)
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


def check(config: Config) -> None:
    """Find a user's mistakes before anything is written or trained.

    Raises
    ------
    InputError
        If data, models or settings are not as they should be.
    """
    from fairfed.site import images
    from fairfed.strategies.build import check_arms
    from semantic.encoder import load_encoder

    if config.data.tabular:
        raise InputError(NO_IMAGES.format(source=config.data.source))
    if config.fraction != 1:
        raise InputError(ALL_TRAIN.format(fraction=config.fraction))
    _check_training(config)
    for arm in config.arms:
        _check_arm(arm)
    check_arms(config)
    unseen, clients = settings(config).unseen, len(images(config.to_toml(), False).train)
    if clients - unseen < 2:
        raise InputError(TOO_FEW.format(unseen=unseen, clients=clients, left=clients - unseen))
    load_encoder(config.semantic.encoder)
    if config.model == "clip":
        from fairfed.adapting.classifier import adapted_clip

        adapted_clip(config, None)


def _check_training(config: Config) -> None:
    """Refuse settings of training that act in some methods of the comparison and not in others."""
    train = config.train
    if train.debias != "none":
        raise InputError(NO_DEBIAS.format(debias=train.debias))
    for field in _NOT_IN_FOMAML if "fomaml" in settings(config).meta else ():
        if getattr(train, field) != TrainConfig.model_fields[field].default:
            raise InputError(NOT_FOMAML.format(field=field))


def _check_arm(arm: Arm) -> None:
    """Refuse arms that this run cannot compare with."""
    from fairfed.strategies.build import needs_probe

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


def count_clients(config: Config) -> int:
    """Number of clients, those that take no part included."""
    from fairfed.site import images

    return len(images(config.to_toml(), False).train)


def run(grid: Grid, config: Config, watcher: Watcher) -> RunDirectory:
    """Train every variant and arm, or continue; write the outcome.

    Raises
    ------
    InputError
        If the run directory belongs to another run, or this engine cannot continue it.
    fairfed.errors.RunError
        If no peer answers any more.
    """
    from fairfed.engines.exchange import handshake
    from fairfed.fingerprint import know_again
    from fairfed.peers.baseline import train_arm
    from fairfed.peers.rounds import is_measured, train_peers
    from fairfed.progress import TIMEOUT

    directory = RunDirectory(config)
    know_again(directory)
    methods: list[tuple[Arm, MetaName | None]] = [
        (variant(kind), kind) for kind in dict.fromkeys(settings(config).meta)
    ]
    methods += [(arm, None) for arm in config.arms if not settings(config).drift_round]
    directory.keep_rounds({arm.name: directory.finished(arm) for arm, _ in methods})
    sites = handshake(grid, count_clients(config), TIMEOUT)
    nodes = {peer: node for node, peer in sites.items()}
    numbers = [n for n in range(1, config.rounds + 1) if is_measured(config, n)]
    for arm, kind in methods:
        watcher.training(arm, directory.finished(arm) + 1, config.rounds)
        keep = _Measurements(directory, arm)
        log = _log(directory, watcher, arm, keep)
        if kind is None:
            left = [number for number in numbers if str(number) not in keep.rounds]
            train_arm(grid, directory, arm, nodes, TIMEOUT, log, keep, left)
        else:
            path = directory.checkpoint(arm)
            train_peers(grid, config, kind, nodes, TIMEOUT, path, log)
    write_outcome(directory, len(nodes), [arm.name for arm, _ in methods])
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
