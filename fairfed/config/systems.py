"""The systems that a run can be: who runs each, and who answers its messages, a row for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

Action = Literal["describe", "train", "evaluate", "synthesise", "release", "audit"]
ACTIONS: tuple[Action, ...] = (
    "describe", "train", "evaluate", "synthesise", "release", "audit",
)  # fmt: skip
"""What a study may ask of a site."""


class Handled(NamedTuple):
    """A message that sites answer.

    Attributes
    ----------
    handler
        `module:function` of a `fairfed.sites.request.Request`; imported with the first message.
    action
        What the message asks of a site, which its policy may not allow.
    """

    handler: str
    action: Action


@dataclass(frozen=True)
class Row:
    """A system.

    Attributes
    ----------
    module
        What its server does; see `fairfed.system.System`.
    messages
        What its sites answer, by type.
    """

    module: str
    messages: Mapping[str, Handled]


_CLIENT = "fairfed.systems.classifier.client"
CLASSIFIER = Row(
    "fairfed.systems.classifier.experiment",
    {
        "query.describe": Handled(f"{_CLIENT}:describe", "describe"),
        "query.summarise": Handled(f"{_CLIENT}:summarise", "describe"),
        "query.release": Handled(f"{_CLIENT}:release", "release"),
        "query.augment": Handled(f"{_CLIENT}:augment", "synthesise"),
        "query.audit": Handled(f"{_CLIENT}:audit", "audit"),
        "train": Handled(f"{_CLIENT}:train", "train"),
        "evaluate": Handled(f"{_CLIENT}:evaluate", "evaluate"),
    },
)
"""The system of a configuration that asks for no other: its arms are compared."""
SYSTEMS: dict[str, Row] = {
    "zsl": Row("fairfed.zsl.task", {"train.zsl": Handled("fairfed.zsl.client:train", "train")}),
    "peers": Row(
        "fairfed.peers.task",
        {
            "query.peer": Handled("fairfed.peers.node:act", "train"),
            "query.adapt": Handled("fairfed.peers.node:adapt", "evaluate"),
        },
    ),
    "specialise": Row(
        "fairfed.adapting.task",
        {
            "train.specialise": Handled("fairfed.adapting.client:train", "train"),
            "evaluate.specialise": Handled("fairfed.adapting.client:evaluate", "evaluate"),
        },
    ),
    "shared": Row(
        "fairfed.shared_space.task",
        {
            "query.shared": Handled("fairfed.shared_space.client:describe", "release"),
            "train.shared": Handled("fairfed.shared_space.client:train", "train"),
            "evaluate.shared": Handled("fairfed.shared_space.client:evaluate", "evaluate"),
        },
    ),
}
"""By the section of the configuration that asks for it."""
OWN_SYSTEM: dict[str, Handled] = {
    # What a query of it sends is not known here, so that it needs as much leave as training does.
    "query.own": Handled("fairfed.systems.own:answer", "train"),
    "train.own": Handled("fairfed.systems.own:answer", "train"),
    "evaluate.own": Handled("fairfed.systems.own:answer", "evaluate"),
}
"""Messages of a system of the user's own (`system = "module:object"`), which it answers itself."""
MESSAGES: dict[str, Handled] = {
    **CLASSIFIER.messages,
    **{name: one for row in SYSTEMS.values() for name, one in row.messages.items()},
    **OWN_SYSTEM,
}
"""All that a site answers."""
