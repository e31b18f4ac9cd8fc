"""What a peer does, phase by phase: a state machine that every peer runs alike.

A round has seven phases. In each, a peer reads the messages of the phase before, changes its state
and writes messages; nobody else decides anything. Whoever is not heard, or sends nothing, is done
without: its cluster elects another coordinator in the next round, and a peer that missed a model
gets the current one from the leader. A peer that was not heard, or is not up to date when it
would train, sits the round out: it would decide otherwise than those that were.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flwr.app import ArrayRecord, ConfigRecordValues

from fairfed.systems.peers.meta import Rules, cluster_level, global_level, make_plan
from fairfed.systems.peers.population import Announcement, coordinators, leader_of
from fairfed.systems.peers.profiles import drift, nearest_cluster
from fairfed.systems.peers.relay import LINKS, PeerMessage, Report
from fairfed.systems.peers.state import PeerState, Release, Role, to_arrays, to_profile

if TYPE_CHECKING:
    from fairfed.systems.peers.learning import PeerSite

Fields = dict[str, ConfigRecordValues]

logger = logging.getLogger("fairfed")


@dataclass
class Peer:
    """One peer in one phase; its state is changed in place."""

    role: Role
    state: PeerState
    site: PeerSite
    rules: Rules  # what all agree on
    inbox: Sequence[PeerMessage]  # what others wrote to it in the phase before
    out: list[PeerMessage] = field(default_factory=list)
    report: Report = field(default_factory=dict)

    def act(self, phase: str) -> list[PeerMessage]:
        """Do what a phase asks for; the messages that come of it."""
        state, role = self.state, self.role
        own, state.mail = state.mail if role.taken else [], []
        self.inbox = sorted([*self.inbox, *own], key=lambda message: message.sender)
        # In whatever phase it comes back, what it heard before is old.
        if phase == "hello" or state.round != role.round:
            state.round, state.ready = role.round, False
            state.heard, state.cluster_model, state.visitors = {}, None, ()
        ACTIONS[phase](self)
        return self.out

    def announce(self) -> None:
        """Say to everybody who one is."""
        state, role = self.state, self.role
        if role.member:
            moved = state.release is not None and (
                drift(state.release.exact, self.site.profile()) > self.rules.settings.drift
            )
            mine = Announcement(role.cost, state.version, state.age, moved)
            self._write("hello", role.everybody, vars(mine))

    def meet(self) -> None:
        """Find the leader; send it the profile if it lacks it or the data has drifted."""
        state, role = self.state, self.role
        heard = {
            message.sender: Announcement(**message.fields)  # type: ignore[arg-type]
            for message in self._messages("hello")
        }
        if not heard or not (role.peer in heard if role.member else role.measuring):
            return
        state.heard, leader = heard, leader_of(heard)
        moved = role.member and heard[role.peer].drifted
        if state.release is None or moved:
            state.release = self._released()
        noised = to_arrays(state.release.noised)
        if not role.member:
            self._write("visit", (leader,), arrays=noised)
        elif moved or leader != state.leader or role.peer not in state.plan:
            self._write("profile", (leader,), arrays=noised)
            state.leader = leader

    def plan(self) -> None:
        """As the leader: cluster if need be, bring others up to date, place visitors."""
        state, role = self.state, self.role
        if role.peer not in state.heard or leader_of(state.heard) != role.peer:
            return
        for message in self._messages("profile"):
            state.profiles[message.sender] = to_profile(_arrays(message))
        plan, version = make_plan(state, self.rules.settings), state.version
        if plan is not None:
            version += 1
        assigned = state.plan if plan is None else plan
        told: Fields = {
            "version": version,
            "peers": list(assigned),
            "clusters": list(assigned.values()),
        }
        late = {p for p, h in state.heard.items() if h.age < state.age}
        stale = {p for p, h in state.heard.items() if h.version != version}
        self._write("plan", sorted(stale), told)
        self._write("model", sorted(late), {"age": state.age}, state.model)
        self._place_visitors(assigned)

    def task(self) -> None:
        """Train, and send the result to the coordinator of one's cluster."""
        state, role = self.state, self.role
        self._catch_up()
        for message in self._messages("plan"):
            state.version = _whole(message, "version")
            peers, clusters = (_wholes(message, name) for name in ("peers", "clusters"))
            state.plan = dict(zip(peers, clusters, strict=True))
        visitors = sorted(_whole(v, "peer") for v in self._messages("visitor"))
        state.visitors = tuple(visitors)
        newest = max((one.age for one in state.heard.values()), default=0)
        known = role.peer in state.heard and role.peer in state.plan
        state.ready = known and state.age >= newest
        if not state.ready:
            return
        own = state.plan[role.peer]
        leader = coordinators(state.plan, state.heard)[own]
        self.report = {"cluster": own, "coordinator": leader, "version": state.version}
        sent = self._trained()
        if sent is not None:
            self._write("task", (leader,), arrays=sent)

    def cluster(self) -> None:
        """As a coordinator: merge the tasks of the cluster and tell the other coordinators."""
        state = self.state
        tasks = [_arrays(message) for message in self._messages("task")]
        if not (tasks and state.ready):
            return
        merged, sent, refused = cluster_level(self.rules, self._model(), tasks)
        if refused:
            self.report["refused"] = refused
        if merged is None or sent is None:
            return
        state.cluster_model = merged
        others = sorted(coordinators(state.plan, state.heard).values())
        number: Fields = {"cluster": state.plan[self.role.peer]}
        self._write("cluster", others, number, sent)

    def whole(self) -> None:
        """As a coordinator: merge the clusters; give the own one and visitors what they await."""
        state, role = self.state, self.role
        found = sorted(self._messages("cluster"), key=lambda message: _whole(message, "cluster"))
        sent = [_arrays(message) for message in found]
        if state.cluster_model is None or not sent:
            return
        merged = global_level(self.rules, self._model(), sent)
        if merged is None:
            return
        own = state.plan[role.peer]
        mine = [p for p, c in state.plan.items() if c == own and p in state.heard]
        self._write("model", mine, {"age": role.round}, merged)
        both = (("start", merged), ("cluster-start", state.cluster_model))
        for kind, model in both:
            self._write(kind, state.visitors, {"cluster": own}, model)

    def apply(self) -> None:
        """Take the new global model; as a visitor, adapt what came and measure it."""
        self._catch_up()
        state, role = self.state, self.role
        if role.member:
            self.report["age"] = state.age
        for message in self._messages("start") + self._messages("cluster-start"):
            name = "global" if message.kind == "start" else "cluster"
            rows, correct = self.site.measure(_arrays(message))
            self.report |= {"n-test": rows, f"correct-{name}": correct}
            self.report["nearest"] = _whole(message, "cluster")

    def _trained(self) -> ArrayRecord | None:
        """What the cluster's level is sent; None where training fails.

        A peer that cannot train may still be its cluster's coordinator, and the others' tasks count
        without its own: an error that went on would take plan and model with it.
        """
        try:
            sent, report = self.site.train(self._model())
        except Exception:
            logger.exception("peer %d could not train", self.role.peer)
            self.report["failed"] = 1
            return None
        self.report |= report
        return sent

    def _released(self) -> Release:
        """What it has released of such data before, else a new release."""
        now = self.site.profile()
        found = self.state.released_before(now, self.rules.settings.drift)
        if found is None:
            found = Release(now, self.site.release())
            self.state.releases.append(found)
            self.report["releases"] = 1
        return found

    def _model(self) -> ArrayRecord:
        return self.site.initial() if self.state.model is None else self.state.model

    def _messages(self, kind: str) -> list[PeerMessage]:
        return [message for message in self.inbox if message.kind == kind]

    def _catch_up(self) -> None:
        """Take a model that is newer than one's own."""
        for message in self._messages("model"):
            age = _whole(message, "age")
            if age > self.state.age:
                self.state.model, self.state.age = _arrays(message), age

    def _place_visitors(self, plan: dict[int, int]) -> None:
        """Tell the coordinator of the nearest cluster of every visitor."""
        state, weight = self.state, self.rules.settings.histogram
        leaders = coordinators(plan, state.heard)
        led = {p: c for p, c in plan.items() if c in leaders and p in state.profiles}
        for message in self._messages("visit") if led else ():
            visitor = to_profile(_arrays(message))
            to = (leaders[nearest_cluster(visitor, state.profiles, led, weight)],)
            fields: Fields = {"peer": message.sender}
            self._write("visitor", to, fields)

    def _write(
        self,
        kind: str,
        to: Sequence[int],
        fields: Fields | None = None,
        arrays: ArrayRecord | None = None,
    ) -> None:
        """Put a message in the outbox; one to oneself goes to the memory."""
        message = PeerMessage(kind, self.role.peer, tuple(to), LINKS[kind], fields or {}, arrays)
        others = tuple(peer for peer in to if peer != self.role.peer)
        if others:
            self.out.append(replace(message, to=others))
        if len(others) < len(to):
            self.state.mail.append(replace(message, to=(self.role.peer,)))


def _arrays(message: PeerMessage) -> ArrayRecord:
    if message.arrays is None:
        raise ValueError(f"the message {message.kind!r} of peer {message.sender} has no arrays")
    return message.arrays


def _whole(message: PeerMessage, name: str) -> int:
    """A whole number of a message."""
    return int(message.fields[name])  # type: ignore[arg-type]


def _wholes(message: PeerMessage, name: str) -> list[int]:
    """Whole numbers of a message."""
    return [int(number) for number in message.fields[name]]  # type: ignore[union-attr]


# The names of phases and kinds are on the wire and in checkpoints, and stay as they were.
ACTIONS: dict[str, Callable[[Peer], None]] = {
    "hello": Peer.announce,
    "meet": Peer.meet,
    "plan": Peer.plan,
    "task": Peer.task,
    "cluster": Peer.cluster,
    "global": Peer.whole,
    "adopt": Peer.apply,
}
PHASES = tuple(ACTIONS)
"""The phases of a round, in order."""
