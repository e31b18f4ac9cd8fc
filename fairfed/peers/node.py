"""A peer behind a Flower client: it reads its letters, acts, and hands letters out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import Context, Message, MetricRecord, RecordDict

from fairfed import site
from fairfed.peers.coordinate import Rules
from fairfed.peers.letters import pack, unpack
from fairfed.peers.population import members, peer_cost, settings
from fairfed.peers.schedule import Peer, Role
from fairfed.peers.state import recall, remember

if TYPE_CHECKING:
    from fairfed.config.peers import MetaName


def act(message: Message, context: Context) -> Message:
    """What a peer does in one phase; the answer holds its letters and a report for the log.

    A node's own configuration may name the `cost` of coordinating; else it is drawn by the seed.
    """
    from fairfed.peers.learning import PeerSite

    asked = message.content.config_records["config"]
    toml, kind = str(asked["toml"]), cast("MetaName", str(asked["meta"]))
    number, measuring = int(asked["round"]), bool(asked["measuring"])  # type: ignore[arg-type]
    config = site.configuration(toml)
    peer = int(context.node_config["partition-id"])
    peers = int(context.node_config["num-partitions"])
    cost = float(context.node_config.get("cost", peer_cost(config.seed, peer)))
    member = peer in members(config, peers)
    role = Role(peer, tuple(range(peers)), number, cost, member, measuring)
    state = recall(context.state, kind)
    inbox = sorted([*unpack(message.content), *state.mail], key=lambda letter: letter.sender)
    state.mail = []
    actor = Peer(
        role,
        state,
        PeerSite(toml, kind, peer, peers, number),
        Rules(kind, settings(config), config.train.lr),
        inbox,
    )
    letters = actor.act(str(asked["phase"]))
    remember(context.state, state)
    report = MetricRecord({"partition-id": peer, **actor.report})
    return Message(RecordDict({"metrics": report, **pack(letters)}), reply_to=message)


def adapt(message: Message, context: Context) -> Message:
    """Adapt the received model on this client's rows and count what it then gets right."""
    from fairfed.peers.learning import adapted_correct

    asked = message.content.config_records["config"]
    peer = int(context.node_config["partition-id"])
    arrays, number = message.content.array_records["arrays"], int(asked["round"])  # type: ignore[arg-type]
    rows, correct = adapted_correct(str(asked["toml"]), peer, arrays, number)
    report = MetricRecord({"partition-id": peer, "n-test": rows, "correct-global": correct})
    return Message(RecordDict({"metrics": report}), reply_to=message)
