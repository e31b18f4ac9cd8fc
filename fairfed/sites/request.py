"""What a client is asked, and by whom it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    MetricRecordValues,
    RecordDict,
)

from fairfed.sites.collection import IID, MAIN, Sites, StudyReader
from fairfed.sites.personal import recall_norms, recall_personal
from fairfed.sites.receipts import RECEIPTS, digest_of
from semantic.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from fairfed.config import Arm
    from fairfed.config.federation import FederationConfig
    from fairfed.sites.site import Site
    from generators.plan import Cells

Metrics = dict[str, int | float | list[int] | list[float]]
Record = ArrayRecord | ConfigRecord | MetricRecord
STUDY, CLIENT, WHO = "study", "client", "who"
"""Keys of a message's settings: the study, the client's position; and of an answer: its name."""

EXCHANGE, VERSION, CLIENTS = "exchange", "version", "clients"
"""Keys of a message's settings over a network: the exchange's number in the run, which it keeps
where it is sent again; the server's version of fairfed; how many clients the run has."""
UNDER_WAY = "under-way"
"""Record of an answer that only says how far the site is: images ``handled``, ``of`` so many."""
PASSING = (RECEIPTS, EXCHANGE, VERSION)
"""Settings of a message that are not what it asks, and differ where it is sent again."""

_read = StudyReader()


@dataclass(frozen=True)
class Request:
    """A message, and the site that got it.

    Attributes
    ----------
    message
        What the server sent.
    context
        The client's state.
    sites
        Know which site the client is.
    noted
        What the ledger shall say of the answer and the answer does not.
    """

    message: Message
    context: Context
    sites: Sites
    noted: dict[str, Any] = field(default_factory=dict)

    @property
    def sent(self) -> ConfigRecord:
        """Settings that came with the message."""
        return self.message.content.config_records["config"]

    @cached_property
    def client(self) -> int:
        """The client's position among all, in order of names."""
        given = self.sent.get(CLIENT, self.context.node_config.get("partition-id"))
        return int(given)  # type: ignore[arg-type]

    @property
    def round(self) -> int:
        """The round that the message is of."""
        return int(self.sent["round"])  # type: ignore[arg-type]

    @cached_property
    def extra(self) -> Cells | None:
        """All synthetic images by class and group that the server wants beyond the site's plan."""
        return self._images("extra-cells")

    @cached_property
    def new(self) -> Cells | None:
        """Those of them that its last plan added."""
        return self._images("new-cells")

    def _images(self, name: str) -> Cells | None:
        sent = self.sent.get(name)
        groups, classes = self.study.labels.shape
        return None if sent is None else np.reshape(np.asarray(sent, np.int64), (classes, groups))

    @property
    def name(self) -> str:
        """What the site is called."""
        return self.sites.name(self.context)

    @property
    def has_study(self) -> bool:
        """Whether the message is of a study; without one it asks who the client is."""
        return STUDY in self.sent

    @cached_property
    def study(self) -> FederationConfig:
        """What the federation agrees on."""
        return _read(str(self.sent[STUDY]))

    @cached_property
    def question(self) -> str:
        """SHA-256 of what is asked: the same when it is asked again, as it is after a crash."""
        content, sent = self.message.content, self.sent
        asked = ConfigRecord({k: value for k, value in sent.items() if k not in PASSING})
        return digest_of(RecordDict({**content, "config": asked}))

    @cached_property
    def arm(self) -> Arm:
        """The arm that the message is about."""
        asked = self.sent["arm"]
        found = next((arm for arm in self.study.arms if arm.slug == asked), None)
        if found is None:
            raise InputError(
                f"the server asks for the arm {asked!r}, which its study does not have"
            )
        return found

    @cached_property
    def site(self) -> Site:
        """The site, with the rows that it has in the arm."""
        pooled = self.arm.system == "centralised"
        return self.sites.site(self.context, self.study, split_of(self.arm), pooled)

    @cached_property
    def own_site(self) -> Site:
        """The site, with the rows that it owns in the arm's division, wherever they are trained."""
        return self.sites.site(self.context, self.study, split_of(self.arm))

    @cached_property
    def plain_site(self) -> Site:
        """The site, in a system without arms."""
        return self.sites.site(self.context, self.study)

    def cells(self, name: str) -> NDArray[np.float64] | None:
        """What the server sent by group and class under a name, ``[G, C]``; None if nothing."""
        sent = self.sent.get(name)
        if sent is None:
            return None
        return np.reshape(np.asarray(sent, np.float64), self.study.labels.shape)

    @property
    def weights(self) -> dict[str, Tensor]:
        """Weights of the model that was sent."""
        return self.message.content.array_records["arrays"].to_torch_state_dict()

    def received_model(self) -> nn.Module:
        """A new copy of the model that was sent; if none was, of the one that all begin with."""
        place = self.site.place
        if self.arm.system == "zero-shot":
            return place.zero_shot_head()
        model = place.model(self.arm)
        if self.arm.sends_model:
            model.load_state_dict(self.weights)
            if self.study.train.batch_norm == "local":
                recall_norms(self.context, self.arm, model)
        return model

    def own_model(self) -> nn.Module:
        """The model that the client is measured with: the received one, or one of its own."""
        model = self.received_model()
        return recall_personal(self.context, self.arm, model) if self.arm.own_models else model

    def reply(self, metrics: Mapping[str, MetricRecordValues], **records: Record) -> Message:
        """An answer of numbers, with the client's position, and of what else there is."""
        record = MetricRecord({"partition-id": self.client, **metrics})
        return Message(RecordDict({"metrics": record, **records}), reply_to=self.message)


def split_of(arm: Arm) -> str:
    """Which division of the rows an arm is of."""
    return IID if arm.iid else MAIN
