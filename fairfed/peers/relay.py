"""The relay: what the engine's server does in a topology without a server.

It is clock and post office. It tells peers which phase it is, takes the letters that they hand out
and delivers each to the peer that it is addressed to. It merges nothing, reads no array, and keeps
nothing from one phase to the next but undelivered letters; what it counts is the experiment's log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import ConfigRecord, ConfigRecordValues, Message, RecordDict
from flwr.serverapp import Grid

from fairfed.engines.exchange import ask
from fairfed.peers.letters import Letter, pack, unpack

Report = dict[str, int | float | list[int] | list[float]]


@dataclass
class Traffic:
    """What went over one kind of link."""

    messages: int = 0
    bytes: int = 0
    undelivered: int = 0


@dataclass
class Exchanged:
    """What came of one round.

    Attributes
    ----------
    reports
        What each peer told the log, by peer.
    errors
        The first error of each peer that gave no answer to a phase, by peer.
    links
        Traffic by kind of link.
    sent, received
        Bytes by peer.
    answered
        Peers that answered to the last phase.
    """

    reports: dict[int, Report] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    links: dict[str, Traffic] = field(default_factory=dict)
    sent: dict[int, int] = field(default_factory=dict)
    received: dict[int, int] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)


class Relay:
    """Passes letters between peers over a Flower grid.

    Parameters
    ----------
    grid
        Any Flower grid whose ClientApp answers ``query.peer``.
    nodes
        Node id by peer.
    timeout
        Seconds that the peers have for a phase, together.
    gone
        Says whether a peer is unreachable in a round and phase: a condition of the experiment.
    """

    def __init__(
        self,
        grid: Grid,
        nodes: Mapping[int, int],
        timeout: float,
        gone: Callable[[int, int, str], bool] = lambda peer, server_round, phase: False,
    ) -> None:
        self._grid, self._nodes, self._timeout, self._gone = grid, dict(nodes), timeout, gone

    def round(
        self, number: int, phases: tuple[str, ...], request: Mapping[str, ConfigRecordValues]
    ) -> Exchanged:
        """Run the phases of one round; letters of the last phase are for nobody.

        Parameters
        ----------
        number
            The round.
        phases
            Their names, in order.
        request
            What every peer is told beside round and phase.
        """
        seen = Exchanged()
        post: dict[int, list[Letter]] = {}
        for phase in phases:
            config: dict[str, ConfigRecordValues] = {**request, "round": number, "phase": phase}
            post = self._deliver(number, phase, config, post, seen)
        return seen

    def _deliver(
        self,
        number: int,
        phase: str,
        config: dict[str, ConfigRecordValues],
        post: dict[int, list[Letter]],
        seen: Exchanged,
    ) -> dict[int, list[Letter]]:
        """Bring one phase's letters to those that can be reached; return what they hand out.

        Each is told whether the answer with its own letters of the phase before has been taken.
        """
        there = [peer for peer in sorted(self._nodes) if not self._gone(peer, number, phase)]
        messages = [
            Message(
                RecordDict(
                    {
                        "config": ConfigRecord({**config, "taken": peer in seen.answered}),
                        **pack(post.get(peer, ())),
                    }
                ),
                self._nodes[peer],
                "query.peer",
            )
            for peer in there
        ]
        answers, errors = ask(self._grid, messages, self._timeout)
        written: list[Letter] = []
        seen.answered = {peer for peer in there if self._nodes[peer] in answers}
        for peer in there:
            if self._nodes[peer] in errors:
                seen.errors.setdefault(peer, f"{phase}: {errors[self._nodes[peer]]}")
                continue
            content = answers[self._nodes[peer]].content
            report = seen.reports.setdefault(peer, {})
            report.update(content.metric_records["metrics"])
            written += unpack(content)
        for peer, letters in post.items():
            if peer not in seen.answered:
                for letter in letters:
                    seen.links[letter.link].undelivered += 1
        return _sorted(written, seen)


def _sorted(written: list[Letter], seen: Exchanged) -> dict[int, list[Letter]]:
    """Letters by the peer that they are addressed to, counted."""
    post: dict[int, list[Letter]] = {}
    for letter in written:
        traffic, size = seen.links.setdefault(letter.link, Traffic()), letter.size
        for peer in letter.to:
            post.setdefault(peer, []).append(replace(letter, to=(peer,)))
            traffic.messages += 1
            traffic.bytes += size
            seen.sent[letter.sender] = seen.sent.get(letter.sender, 0) + size
            seen.received[peer] = seen.received.get(peer, 0) + size
    return post
