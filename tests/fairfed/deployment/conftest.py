"""A small study, a coordinator's folder, and web servers with TLS in threads."""

from __future__ import annotations

import csv
import shutil
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fairfed.cli import main
from fairfed.deployment.certificates import Pair, make_authority, make_server
from fairfed.deployment.coordinator import ON_DISK, Coordinator, CoordinatorConfig
from fairfed.deployment.founding import found
from generators.writing import write_new_secret

STUDY = """\
name = "gait"
rounds = 2
[federation]
classes = ["bag", "dress", "coat"]
image_size = 16
[federation.sensitive]
sex = ["f", "m"]
"""
Reply = Callable[[str, str], tuple[int, str, bytes]]
"""Method and path → status, media type, body."""
Serve = Callable[..., str]
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="session")
def authority() -> Pair:
    return make_authority("test")


def settings(**changed: object) -> CoordinatorConfig:
    """A coordinator's settings."""
    values = {"name": "x", "address": "127.0.0.1", "port": PORT, "inner_port": INNER_PORT,
              "database": ON_DISK}  # fmt: skip
    return CoordinatorConfig.model_validate(values | changed)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, for now."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


PORT, INNER_PORT = free_ports(2)


@pytest.fixture
def place(study: Path, tmp_path: Path) -> Coordinator:
    return found(study, tmp_path / "coordinator", settings(), ["a", "b"])


@pytest.fixture
def site(image_folder: Path, tmp_path: Path) -> Path:
    """The site.toml of site a of the small federation."""
    home = tmp_path / "sites" / "a"
    shutil.copytree(image_folder, home / "images")
    with (home / "images" / "metadata.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["site"] == "a"]
    with (home / "images" / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    (home / "site.toml").write_text(
        'name = "a"\n[data]\nsource = "images"\nlabel = "label"\nsensitive = { sex = "sex" }\n'
        "[compute]\nthreads = 3\n"
    )
    return home / "site.toml"


@pytest.fixture
def serve(authority: Pair, tmp_path: Path) -> Iterator[Serve]:
    """Function that starts a server and tells its HOST:PORT."""
    servers = []

    def start(
        pair: Pair | None = None,
        reply: Reply = lambda method, path: (404, "text/html", b""),
        seconds_ahead: float = 0,
    ) -> str:
        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, kind, body = reply(self.command, self.path)
                self.send_response_only(status)
                self.send_header("Date", formatdate(time.time() + seconds_ahead, usegmt=True))
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _any  # noqa: N815 - the names are those of http.server

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: object) -> None:
                pass  # clients that do not trust the certificate break off

        shown = pair or make_server(authority, ["127.0.0.1"])
        folder = tmp_path / f"tls-{len(servers)}"
        write_new_secret(folder / "key", shown.key)
        (folder / "crt").write_bytes(shown.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "crt", folder / "key")
        server = Server(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        servers.append((server, thread))
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def fairfed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Function that does `fairfed …` in this process: exit code, both outputs."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fairfed", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run
