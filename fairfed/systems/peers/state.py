"""Who a peer is in a round, and what it remembers between the messages of the engine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from fairfed.systems.peers.population import Announcement
from fairfed.systems.peers.profiles import Profile, drift
from fairfed.systems.peers.relay import PeerMessage, pack, unpack

_KEY = "peer-"


@dataclass(frozen=True)
class Role:
    """Who a peer is in a round."""

    # Its number, and all numbers that it may write to
    peer: int
    everybody: tuple[int, ...]
    # The round, and what coordinating costs it
    round: int
    cost: float
    member: bool  # whether it takes part; else it is a visitor
    measuring: bool  # whether visitors ask for the models of this round
    # Whether the post took what it wrote in the phase before. If not, nobody got it, and what it
    # wrote to itself must not count either: peers would no longer decide alike.
    taken: bool


@dataclass(frozen=True, eq=False)
class Release:
    """What a peer told others of its data once, and may tell again at no further cost."""

    # Profile of the data, which stays with the peer, and the noised one, which does not
    exact: Profile
    noised: Profile


@dataclass
class PeerState:
    """A peer's memory; it never leaves the peer as a whole."""

    # Which training it belongs to (another one begins with nothing but the releases), and the last
    # round that it took part in
    run: str
    round: int = 0
    # The global model that it has, and its round; None and 0: the initial one
    model: ArrayRecord | None = None
    age: int = 0
    # The clustering that it knows: cluster by peer
    version: int = 0
    plan: dict[int, int] = field(default_factory=dict)
    leader: int = -1  # who got its profile, -1 for nobody
    # What it tells others of its data now; None before it tells anything
    release: Release | None = None
    # All that it has ever released, in this training or in an earlier one of the run
    releases: list[Release] = field(default_factory=list)
    # Profiles that it was sent, by peer, if it is or was the leader
    profiles: dict[int, Profile] = field(default_factory=dict)
    # Announcements of this round, by peer; of a peer whose own was lost, none
    heard: dict[int, Announcement] = field(default_factory=dict)
    # Whether it is heard, in the plan and up to date in this round, and so may merge
    ready: bool = False
    # For a coordinator: this round's model of its cluster, and who waits for it
    cluster_model: ArrayRecord | None = None
    visitors: tuple[int, ...] = ()
    mail: list[PeerMessage] = field(default_factory=list)  # messages to itself, of the phase before

    def released_before(self, now: Profile, most: float) -> Release | None:
        """The release whose data was most like `now`, unless it differs by more than `most`."""
        found = min(self.releases, key=lambda release: drift(release.exact, now), default=None)
        return None if found is None or drift(found.exact, now) > most else found


def to_arrays(profile: Profile) -> ArrayRecord:
    """A profile as arrays."""
    return ArrayRecord({name: Array(value) for name, value in vars(profile).items()})


def to_profile(record: ArrayRecord) -> Profile:
    """The profile that `to_arrays` wrote."""
    return Profile(record["prototype"].numpy(), record["histogram"].numpy())


def remember(records: RecordDict, state: PeerState) -> None:
    """Replace what `records` (the state of a client) say of the peer."""
    for name in [name for name in records if name.startswith(_KEY)]:
        del records[name]
    plain = {
        "run": state.run,
        "round": state.round,
        "age": state.age,
        "version": state.version,
        "plan": list(state.plan.items()),
        "convener": state.leader,
        "release": -1 if state.release is None else state.releases.index(state.release),
        "releases": len(state.releases),
        "known": sorted(state.profiles),
        "heard": [(peer, asdict(one)) for peer, one in state.heard.items()],
        "ready": state.ready,
        "visitors": list(state.visitors),
    }
    records[f"{_KEY}state"] = ConfigRecord({"json": json.dumps(plain)})
    for name, arrays in (("model", state.model), ("cluster", state.cluster_model)):
        if arrays is not None:
            records[_KEY + name] = arrays
    for number, release in enumerate(state.releases):
        for name, profile in vars(release).items():
            records[f"{_KEY}{name}-{number}"] = to_arrays(profile)
    for peer, profile in state.profiles.items():
        records[f"{_KEY}profile-{peer}"] = to_arrays(profile)
    for name, record in pack(state.mail, _KEY).items():
        records[name] = record


def recall(records: RecordDict, run: str) -> PeerState:
    """What a peer remembers of a training; of another one, only what it has released."""
    record = records.config_records.get(f"{_KEY}state")
    plain = {} if record is None else json.loads(str(record["json"]))
    arrays = records.array_records

    def kept(name: str) -> Profile:
        return to_profile(arrays[_KEY + name])

    current = plain.get("release", -1)
    releases = [
        Release(kept(f"exact-{number}"), kept(f"noised-{number}"))
        for number in range(plain.get("releases", 0))
    ]
    if plain.get("run") != run:
        return PeerState(run, releases=releases)
    return PeerState(
        run=run,
        round=plain["round"],
        model=arrays.get(f"{_KEY}model"),
        age=plain["age"],
        version=plain["version"],
        plan=dict(plain["plan"]),
        leader=plain["convener"],
        release=releases[current] if current >= 0 else None,
        releases=releases,
        profiles={p: kept(f"profile-{p}") for p in plain["known"]},
        heard={peer: Announcement(**one) for peer, one in plain["heard"]},
        ready=plain["ready"],
        cluster_model=arrays.get(f"{_KEY}cluster"),
        visitors=tuple(plain["visitors"]),
        mail=unpack(records, _KEY),
    )
