"""Clients that die and clients that take too long on Ray; prints what came of their messages.

A program, because Ray leaves processes and files.
"""

from __future__ import annotations

import json
import os
import sys
import time

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fairfed.engines.run import run_apps


def faulty_app() -> ClientApp:
    """Count the calls; die or sleep where a message says so."""
    app = ClientApp()

    @app.query()
    def number(msg: Message, context: Context) -> Message:
        calls = 1
        if "calls" in context.state:
            calls += int(context.state.config_records["calls"]["n"])
        context.state["calls"] = ConfigRecord({"n": calls})
        here = int(context.node_config["partition-id"])
        asked = msg.content.config_records["config"]
        if asked.get("die") == here:
            os._exit(1)
        if asked.get("sleep") == here:
            time.sleep(600)
        return Message(RecordDict({"metrics": MetricRecord({"calls": calls})}), reply_to=msg)

    return app


def ask(grid: Grid, timeout: float, **asked: int) -> list[object]:
    """What each client says: its calls so far, or its error."""
    content = RecordDict({"config": ConfigRecord(dict(asked))})
    messages = [Message(content, node, "query") for node in grid.get_node_ids()]
    replies = grid.send_and_receive(messages, timeout=timeout)
    return [_said(reply) for reply in replies]


def _said(reply: Message) -> object:
    if reply.has_error():
        return reply.error.reason
    return reply.content.metric_records["metrics"]["calls"]


def main() -> None:
    """Print the answers to five questions."""
    server_app = ServerApp()
    found: list[list[object]] = []

    @server_app.main()
    def serve(grid: Grid, context: Context) -> None:
        found.append(ask(grid, 300))
        found.append(ask(grid, 300, die=1))
        found.append(ask(grid, 300))  # what takes the dead one's place loads torch for long
        found.append(ask(grid, 15, sleep=2))
        found.append(ask(grid, 300))

    run_apps(server_app, faulty_app(), 3, engine="ray", workers=2)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
