"""What grids of our own share; a grid that hands on to another what it does not change."""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fairfed.engines.private import Run


class MessagingGrid(Grid):
    """A grid without what Flower has deprecated and still asks for."""

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Create a message (deprecated in Flower; ``Message(...)`` does the same)."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)


class ForwardingGrid(MessagingGrid):
    """Hands everything on to the grid that does the work."""

    def __init__(self, inner: Grid) -> None:
        self._inner = inner

    @property
    def inner(self) -> Grid:
        """The grid that does the work."""
        return self._inner

    def set_run(self, run: Run) -> None:
        """Set the run that messages belong to."""
        self._inner.set_run(run)

    @property
    def run(self) -> Run:
        """The run that messages belong to."""
        return self._inner.run

    def get_node_ids(self) -> Iterable[int]:
        """Return the node ids."""
        return self._inner.get_node_ids()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages and return their ids."""
        return self._inner.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that have arrived."""
        return self._inner.pull_messages(message_ids)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Send messages and return the replies."""
        return self._inner.send_and_receive(messages, timeout=timeout)
