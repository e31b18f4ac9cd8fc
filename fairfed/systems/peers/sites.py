"""Peers of a simulation, some of which hold each other's data from a round on."""

from __future__ import annotations

from fairfed.sites.request import Request
from fairfed.sites.simulated import SimulatedSites, simulated
from fairfed.sites.site import Site
from fairfed.systems.peers.population import holder

DRIFT = "peers.drift_round"


def peer_site(request: Request, peers: int) -> Site:
    """The site of a peer, with the rows that it has in the round of a message."""
    site = request.plain_site
    whose = holder(request.study, peers, site.index, request.round)
    if whose == site.index:
        return site
    return simulated(request.sites, SimulatedSites, DRIFT).cut(whose, request.study)
