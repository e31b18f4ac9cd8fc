"""A peer behind a Flower client: it reads its letters, acts, and hands letters out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict

from fairfed import site
from fairfed.config import Config
from fairfed.peers.coordinate import Rules
from fairfed.peers.letters import pack, unpack
from fairfed.peers.population import members, peer_cost, settings
from fairfed.peers.roles import Role
from fairfed.peers.schedule import Peer
from fairfed.peers.state import recall, remember

if TYPE_CHECKING:
    from fairfed.config.peers import MetaName


def act(message: Message, context: Context) -> Message:
    """What a peer does in one phase; the answer holds its letters and a report for the log.

    A node's own configuration may name the `cost` of coordinating; else it is drawn by the seed.
    """
    from fairfed.peers.learning import PeerSite, training_settings

    asked = message.content.config_records["config"]
    toml, kind = str(asked["toml"]), cast("MetaName", str(asked["meta"]))
    number = int(asked["round"])  # type: ignore[arg-type]
    config = _configuration(asked)
    peer = int(context.node_config["partition-id"])
    peers = int(context.node_config["num-partitions"])
    cost = float(context.node_config.get("cost", peer_cost(config.seed, peer)))
    member = peer in members(config, peers)
    flags = bool(asked["measuring"]), bool(asked["taken"])
    role = Role(peer, tuple(range(peers)), number, cost, member, *flags)
    state = recall(context.state, kind)
    actor = Peer(
        role,
        state,
        PeerSite(toml, kind, peer, peers, number),
        Rules(kind, settings(config), training_settings(config)["lr"]),
        unpack(message.content),
    )
    letters = actor.act(str(asked["phase"]))
    remember(context.state, state)
    report = MetricRecord({"partition-id": peer, **actor.report})
    return Message(RecordDict({"metrics": report, **pack(letters)}), reply_to=message)


def adapt(message: Message, context: Context) -> Message:
    """Adapt the received model on this client's rows and count what it then gets right."""
    from fairfed.peers.learning import adapted_correct

    asked = message.content.config_records["config"]
    _configuration(asked)
    peer = int(context.node_config["partition-id"])
    arrays, number = message.content.array_records["arrays"], int(asked["round"])  # type: ignore[arg-type]
    rows, correct = adapted_correct(str(asked["toml"]), peer, arrays, number)
    report = MetricRecord({"partition-id": peer, "n-test": rows, "correct-global": correct})
    return Message(RecordDict({"metrics": report}), reply_to=message)


def _configuration(asked: ConfigRecord) -> Config:
    """The run's configuration, once this site is known to have the weights that it relies on."""
    config = site.configuration(str(asked["toml"]))
    if "encoder" in asked:
        from fairfed.adapting.classifier import require_same

        require_same(config, str(asked["encoder"]))
    return config
