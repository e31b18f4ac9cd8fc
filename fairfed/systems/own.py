"""A system of the user's own, at the sites: the object that a study names answers its messages."""

from __future__ import annotations

from typing import Any

from flwr.app import Message

from fairfed.sites.request import Request
from semantic.errors import InputError
from semantic.own_code import own_object

NEEDED = ("SITES", "check", "run", "handlers")
"""What such an object has; see `fairfed.system.OwnSystem`."""
A_CLASS = "system {name!r}: it is a class; name an object of it, such as `mine = Mine()`"
LACKS = "system {name!r}: it lacks {lacking} (fairfed.system.OwnSystem)"
UNANSWERED = "system {name!r}: handlers has no {message!r}; it has: {known}"


def own_system(name: str) -> Any:
    """The object that `system` names; one that is not there, or is no system, is refused."""
    found = own_object(name, "system")
    if isinstance(found, type):
        raise InputError(A_CLASS.format(name=name))
    lacking = [part for part in NEEDED if not hasattr(found, part)]
    if lacking:
        raise InputError(LACKS.format(name=name, lacking=", ".join(lacking)))
    return found


def answer(request: Request) -> Message:
    """What the study's own system has a site answer; a message that it does not know is refused."""
    name, message = request.study.system, request.message.metadata.message_type
    if name is None:
        raise InputError(f"{message}: the study names no system of its own")
    handlers = own_system(name).handlers
    if message not in handlers:
        known = ", ".join(handlers) or "none"
        raise InputError(UNANSWERED.format(name=name, message=message, known=known))
    reply: Message = handlers[message](request)
    return reply
