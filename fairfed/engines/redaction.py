"""What a client says of its errors: their kind. Their text stays in its log.

The text of an error may name files and hold values of rows. Every engine, Flower's own runtime
included, makes an error reply of whatever a handler raises; so the handler must raise something
else.
"""

from __future__ import annotations

import logging

from flwr.app import Context, Message
from flwr.clientapp.typing import ClientAppCallable

from fairfed.errors import PublicInputError, WithheldError
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

WITHHELD = "{kind} at client {client}: the log of this client says what is wrong"


def redact_client_errors(
    message: Message, context: Context, call_next: ClientAppCallable
) -> Message:
    """Log a handler's error and raise one that names its class and nothing else (a Flower mod).

    Raises
    ------
    PublicInputError
        As the handler raised it: its text may leave the client.
    WithheldError
        Instead of any other error, `SystemExit` included.
    """
    try:
        return call_next(message, context)
    except PublicInputError:
        raise
    except (Exception, SystemExit) as error:
        client, kind = context.node_config.get("partition-id"), message.metadata.message_type
        if isinstance(error, InputError):  # written for whoever reads the log: no place in code
            logger.error("client %s failed on '%s': %s", client, kind, error)
        else:
            logger.error("client %s failed on '%s'", client, kind, exc_info=error)
        raise WithheldError(WITHHELD.format(kind=type(error).__name__, client=client)) from None
