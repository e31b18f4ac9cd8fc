"""The systems that a run can be: who runs each, and who answers its messages, a row for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Action = Literal["describe", "train", "evaluate", "synthesise", "release", "sums", "mask", "audit"]
ACTIONS: tuple[Action, ...] = (
    "describe", "train", "evaluate", "synthesise", "release", "sums", "mask", "audit",
)  # fmt: skip
"""What a study may ask of a site."""


class Handled(NamedTuple):
    """A message that sites answer."""

    # `module:function` of a `fairfed.sites.request.Request`; imported with the first message.
    handler: str
    action: Action  # what the message asks of a site, which its policy may not allow


@dataclass(frozen=True)
class Row:
    """A system."""

    module: str  # what its server does; see `fairfed.system.System`
    messages: Mapping[str, Handled]  # what its sites answer, by type


_HERE = "fairfed.systems"
_CLIENT = f"{_HERE}.classifier.client"
CLASSIFIER = Row(
    f"{_HERE}.classifier.experiment",
    {
        "query.describe": Handled(f"{_CLIENT}:describe", "describe"),
        "query.summarise": Handled(f"{_CLIENT}:summarise", "describe"),
        "query.release": Handled(f"{_CLIENT}:release", "release"),
        "query.augment": Handled(f"{_CLIENT}:augment", "synthesise"),
        "query.audit": Handled(f"{_CLIENT}:audit", "audit"),
        "train": Handled(f"{_HERE}.classifier.training:train", "train"),
        "evaluate": Handled(f"{_CLIENT}:evaluate", "evaluate"),
    },
)
"""The system of a configuration that asks for no other: its arms are compared."""
SYSTEMS: dict[str, Row] = {
    "zsl": Row(
        f"{_HERE}.zsl.task",
        {"train.zsl": Handled(f"{_HERE}.zsl.client:train", "train")},
    ),
    "peers": Row(
        f"{_HERE}.peers.task",
        {
            "query.peer": Handled(f"{_HERE}.peers.node:act", "train"),
            "query.adapt": Handled(f"{_HERE}.peers.node:adapt", "evaluate"),
        },
    ),
    "specialise": Row(
        f"{_HERE}.specialise.task",
        {
            "train.specialise": Handled(f"{_HERE}.specialise.client:train", "train"),
            "evaluate.specialise": Handled(f"{_HERE}.specialise.client:evaluate", "evaluate"),
        },
    ),
    "heads": Row(
        f"{_HERE}.heads.task",
        {
            "query.heads": Handled(f"{_HERE}.heads.client:send", "sums"),
            "evaluate.heads": Handled(f"{_HERE}.heads.client:evaluate", "evaluate"),
        },
    ),
    "shared": Row(
        f"{_HERE}.shared_space.task",
        {
            "query.shared": Handled(f"{_HERE}.shared_space.client:describe", "release"),
            "train.shared": Handled(f"{_HERE}.shared_space.client:train", "train"),
            "evaluate.shared": Handled(f"{_HERE}.shared_space.client:evaluate", "evaluate"),
        },
    ),
}
"""By the section of the configuration that asks for it."""
OWN_SYSTEM: dict[str, Handled] = {
    # What a query of it sends is not known here, so that it needs as much leave as training does.
    "query.own": Handled(f"{_HERE}.own:answer", "train"),
    "train.own": Handled(f"{_HERE}.own:answer", "train"),
    "evaluate.own": Handled(f"{_HERE}.own:answer", "evaluate"),
}
"""Messages of a system of the user's own (`system = "module:object"`), which it answers itself."""
_MASKED = "fairfed.sites.masked"
MASKED: dict[str, Handled] = {
    "query.share": Handled(f"{_MASKED}:share", "mask"),
    "query.mask": Handled(f"{_MASKED}:give", "mask"),
    "query.open": Handled(f"{_MASKED}:open_up", "mask"),
}
"""The steps of a sum under masks, which is of any system (`fairfed.rounds.masked`)."""
MESSAGES: dict[str, Handled] = {
    **CLASSIFIER.messages,
    **{name: one for row in SYSTEMS.values() for name, one in row.messages.items()},
    **OWN_SYSTEM,
    **MASKED,
}
"""All that a site answers."""
