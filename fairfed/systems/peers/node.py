"""A peer behind a Flower client: it reads its messages, acts, and hands messages out."""

from __future__ import annotations

from typing import cast

from flwr.app import Message

from fairfed.config.base import required
from fairfed.config.peers import MetaName
from fairfed.sites.request import Request
from fairfed.sites.simulated import SimulatedSites, simulated
from fairfed.sites.site import Site
from fairfed.systems.peers.learning import PeerSite, adapted_correct, how_peers_train
from fairfed.systems.peers.meta import Rules
from fairfed.systems.peers.population import holder, members, peer_cost
from fairfed.systems.peers.relay import pack, unpack
from fairfed.systems.peers.schedule import Peer
from fairfed.systems.peers.state import Role, recall, remember

DRIFT = "peers.drift_round"


def act(request: Request) -> Message:
    """What a peer does in one phase; the answer holds its messages and a report for the log.

    A node's own configuration may name the `cost` of coordinating; else it is drawn by the seed.
    """
    asked, context, study = request.sent, request.context, request.study
    kind = cast("MetaName", str(asked["meta"]))
    peer, peers = request.client, int(context.node_config["num-partitions"])
    site = peer_site(request, peers)
    site.place.encoder  # noqa: B018  (who has other weights of it is refused before it announces itself)
    cost = float(context.node_config.get("cost", peer_cost(study.seed, peer)))
    member = peer in members(study, peers)
    flags = bool(asked["measuring"]), bool(asked["taken"])
    role = Role(peer, tuple(range(peers)), request.round, cost, member, *flags)
    state = recall(context.state, kind)
    actor = Peer(
        role,
        state,
        PeerSite(site, kind, peer, request.round),
        Rules(kind, required(study.peers), how_peers_train(study)["lr"]),
        unpack(request.message.content),
    )
    messages = actor.act(str(asked["phase"]))
    remember(context.state, state)
    return request.reply(actor.report, **pack(messages))


def peer_site(request: Request, peers: int) -> Site:
    """The site of a peer, with the rows that it has in the round of a message."""
    site = request.plain_site
    whose = holder(request.study, peers, site.index, request.round)
    if whose == site.index:
        return site
    return simulated(request.sites, SimulatedSites, DRIFT).cut(whose, request.study)


def adapt(request: Request) -> Message:
    """Adapt the received model on this client's rows and count what it then gets right."""
    arrays = request.message.content.array_records["arrays"]
    rows, correct = adapted_correct(request.plain_site, arrays, request.round)
    return request.reply({"n-test": rows, "correct-global": correct})
