"""What Flower's errors mean here, and what to do."""

from __future__ import annotations

import re

MEANINGS = {
    r"\[code: 2001\]": "The coordinator takes registered sites only, and this SuperNode has shown "
    "no key: start it with `fairfed site start`.",
    r"\[code: 2004\]": "The coordinator does not know this site's key, or believes its former "
    "process to be there still (for up to a minute after it was killed). Has the coordinator "
    "registered the public key (`fairfed coordinator register`)? Otherwise wait a minute, and "
    "start again.",
    r"\[code: 1001\]|Exit Code: 606": "The coordinator has another version of Flower: install the "
    "one of the invitation.",
    r"\[code: 15\]": "The run was given a setting that the app does not have: see "
    "`[tool.flwr.app.config]`.",
    r"\[code: 22\]|Exit Code: 500": "This is no public key of a site (ECDSA, as `join` makes it).",
    r"\[code: 23\]": "This key is registered already.",
    r"Exit Code: 302": "The site's key is no OpenSSH key over a NIST curve: move it away, "
    "`fairfed site join` again, and let the coordinator register the new one.",
    r"401 Unauthorized|Invalid SuperNode authentication": "The coordinator does not accept this "
    "site's signature: its clock is off by more than 5 seconds ahead or 5 minutes behind, or the "
    "coordinator was started anew and has forgotten the site; it registers it again by itself: "
    "start the site again.",
    r"Heartbeat failed unexpectedly": "The coordinator was started anew and has forgotten this "
    "site: start the site again.",
    r"certificate has expired": "The coordinator's certificate has expired: it has to renew it "
    "(`fairfed coordinator renew`).",
    r"IP address mismatch|Hostname mismatch": "The coordinator's certificate is not made out to "
    "this address: use the address of the invitation, or ask for a certificate that names this "
    "one.",
    r"unable to get local issuer|self[- ]signed certificate": "The certificate is not of the "
    "authority in the invitation: ask the coordinator for a new invitation, or your network's "
    "people whether something on the way opens TLS.",
    r"[Aa]ddress already in use": "Another program has this port: stop it, or choose another port.",
    r"bind\(\) to \S+ failed \(13": "Ports below 1024 need rights: use the systemd unit, or a "
    "port of 1024 and above.",
    r"No connection could be made|Connection refused": "Nobody listens at the coordinator's "
    "address.",
    r"database is locked": "The SuperLink's database cannot take arrays of this size: set "
    'database = ":flwr-in-memory:" in coordinator.toml and in its unit, restart it, and continue '
    "the study.",
    r"site configuration": "The app got no site.toml: start the site with `fairfed site start "
    "SITE.toml`.",
}
"""Of patterns of what Flower writes, what each means."""


def explain(text: str) -> list[str]:
    """Sentences on all errors of Flower's in a text, each once."""
    return [meaning for pattern, meaning in MEANINGS.items() if re.search(pattern, text)]


def explained_log(text: str) -> str:
    """A log with what its errors mean below it."""
    return "\n".join((text, *(f"→ {meaning}" for meaning in explain(text))))
