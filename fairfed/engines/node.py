"""One client of the in-process engine: its state, its isolation, its failures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from copy import deepcopy

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.private import over_the_wire, stamp, with_content
from fairfed.errors import WithheldError

logger = logging.getLogger("fairfed")

FIRST_NODE_ID = 1000
"""Node id of partition 0; 0 and 1 mean something to Flower."""

CLIENT_APP_RAISED = 2
"""Flower's error code for a ClientApp that raised (``ErrorCode.CLIENT_APP_RAISED_EXCEPTION``)."""

NOT_A_REPLY = "the ClientApp returned {kind}: expected Message(content, reply_to=request)"
REPLY_TO_ANOTHER = (
    "the ClientApp's reply answers message '{answered}' and not the request '{asked}': build it "
    "with Message(content, reply_to=request) from the message that the handler received"
)


class Node:
    """A virtual SuperNode: one client of ``num_partitions``, by its 0-based index.

    With `wire`, messages make a protobuf round trip in both directions.
    """

    def __init__(
        self,
        partition_id: int,
        num_partitions: int,
        run_config: Mapping[str, bool | int | float | str],
        wire: bool = False,
    ) -> None:
        self.partition_id = partition_id
        self.node_id = FIRST_NODE_ID + partition_id
        self.state = RecordDict()
        self._node_config = {"partition-id": partition_id, "num-partitions": num_partitions}
        self._run_config = dict(run_config)
        self._wire = wire

    def handle(self, client_app: ClientApp, request: Message) -> Message:
        """Hand one message to the ClientApp and return its reply, an error reply if it raised.

        The state is committed only when the handler returned a proper reply. ``KeyboardInterrupt``
        passes through; ``SystemExit`` does not, because a client that exits must not end the
        federation.
        """
        try:
            return self.call(client_app, request)
        except (Exception, SystemExit) as error:
            if not isinstance(error, WithheldError):  # the client has logged that one itself
                kind = request.metadata.message_type
                logger.error("client %d failed on '%s'", self.partition_id, kind, exc_info=error)
            return self.refuse(request, error)

    def refuse(self, request: Message, error: BaseException) -> Message:
        """Return the error reply for what the handler raised."""
        reason = f"{type(error)}:<'{error}'>"
        return self._seal(Message(Error(CLIENT_APP_RAISED, reason), reply_to=request), request)

    def call(self, client_app: ClientApp, request: Message) -> Message:
        """Run the handler on copies, check its reply and commit the state; raise what it raises.

        One `RecordDict` that a strategy puts into all its messages must not be shared by all
        clients. Copies share the bytes of arrays, which nobody can change, and no container.
        """
        received = with_content(request, deepcopy(request.content))
        if self._wire:
            received = over_the_wire(received)
        context = Context(
            run_id=request.metadata.run_id,
            node_id=self.node_id,
            node_config=dict(self._node_config),
            state=deepcopy(self.state),
            run_config=dict(self._run_config),
        )
        reply: object = client_app(message=received, context=context)
        if not isinstance(reply, Message):
            raise TypeError(NOT_A_REPLY.format(kind=type(reply).__name__))
        answered, asked = reply.metadata.reply_to_message_id, request.metadata.message_id
        if answered != asked:
            raise ValueError(REPLY_TO_ANOTHER.format(answered=answered, asked=asked))
        if reply.has_content():
            reply = with_content(reply, deepcopy(reply.content))
        reply = self._seal(reply, request)
        self.state = deepcopy(context.state)
        return reply

    def _seal(self, reply: Message, request: Message) -> Message:
        """Give the reply its id and, in wire mode, send it through protobuf."""
        stamp(reply, f"{request.metadata.message_id}-reply", request.metadata.run_id)
        return over_the_wire(reply) if self._wire else reply
