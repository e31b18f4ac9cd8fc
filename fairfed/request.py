"""A message to a client, read once: whom it is for, what it is about, the model in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict

from fairfed import site
from fairfed.personal import recall_personal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from fairfed.config import Arm, Config

Metrics = dict[str, int | float | list[int] | list[float]]


@dataclass(frozen=True)
class Request:
    """A message and the client that got it.

    Attributes
    ----------
    message
        What the server sent.
    context
        The client's state.
    """

    message: Message
    context: Context

    @property
    def sent(self) -> ConfigRecord:
        """Settings that came with the message."""
        return self.message.content.config_records["config"]

    @cached_property
    def client(self) -> int:
        """The client's partition id."""
        return int(self.context.node_config["partition-id"])

    @property
    def toml(self) -> str:
        """The run's configuration, as text."""
        return str(self.sent["toml"])

    @property
    def config(self) -> Config:
        """The run's configuration."""
        return site.configuration(self.toml)

    @cached_property
    def arm(self) -> Arm:
        """The arm that the message is about."""
        return next(arm for arm in self.config.arms if arm.slug == self.sent["arm"])

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of groups and classes."""
        table = site.federation(self.toml, self.arm.iid).table
        return len(table.group_names), len(table.classes)

    def cells(self, name: str) -> NDArray[np.float64] | None:
        """What the server sent by group and class under a name, ``[G, C]``; None if nothing."""
        sent = self.sent.get(name)
        return None if sent is None else np.reshape(np.asarray(sent, np.float64), self.shape)

    def received_model(self) -> nn.Module:
        """A new copy of the model that was sent; if none was, of the one that all begin with."""
        from fairfed.models import federated_model

        if self.arm.system == "zero-shot":
            from fairfed.baselines.zero_shot import zero_shot_head

            return zero_shot_head(self.toml, self.arm.iid)
        model = federated_model(self.config, self.shape[1], self.arm)
        if "encoder" in self.sent:
            from fairfed.adapting.classifier import require_same

            require_same(self.config, str(self.sent["encoder"]))
        if self.arm.sends_model:
            model.load_state_dict(
                self.message.content.array_records["arrays"].to_torch_state_dict()
            )
        return model

    def own_model(self) -> nn.Module:
        """The model that the client is measured with: the received one, or one of its own."""
        model = self.received_model()
        return recall_personal(self.context, self.arm, model) if self.arm.own_models else model

    def reply(self, metrics: Metrics) -> Message:
        """An answer of numbers, with the client's partition id."""
        record = MetricRecord({"partition-id": self.client, **metrics})
        return Message(RecordDict({"metrics": record}), reply_to=self.message)
