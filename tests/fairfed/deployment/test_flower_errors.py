"""Flower's errors are told with what to do."""

from __future__ import annotations

import pytest

from fairfed.deployment.flower_errors import explain, explained_log


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[code: 2001] SuperNode authentication is enabled.", "has shown no key"),
        ("Exit Code: 305\n[code: 2004] Failed to activate", "fairfed coordinator register"),
        ("Exit Code: 302", "no OpenSSH key"),
        ("[code: 23] Public key already in use", "registered already"),
        ("[code: 15] Invalid run configuration.", "a setting that the app does not have"),
        ("httpx: 401 Unauthorized for url", "clock is off"),
        ("certificate verify failed: IP address mismatch, certificate", "not made out to"),
        ("certificate verify failed: certificate has expired", "has expired"),
        ("bind() to 0.0.0.0:443 failed (13: Permission denied)", "Ports below 1024"),
        ("[Errno 98] error: Address already in use", "Another program has this port"),
        ("sqlite3.OperationalError: database is locked", ":flwr-in-memory:"),
    ],
)
def test_a_known_error_is_told_with_what_to_do(text: str, told: str) -> None:
    meanings = explain(text)
    assert len(meanings) == 1
    assert told in meanings[0]


def test_nothing_is_made_of_a_log_without_errors() -> None:
    assert explained_log("INFO: all is well") == "INFO: all is well"


def test_an_error_that_comes_often_is_told_once() -> None:
    assert explained_log("Exit Code: 302\n" * 3).count("→") == 1
