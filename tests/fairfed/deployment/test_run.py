"""A study over Flower's SuperLink, with TLS, registered keys, a proxy, and sums under masks."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from evaluation.files import write_text
from fairfed.cli.following import follow
from fairfed.config import Config
from fairfed.config.site import SiteConfig, load_site
from fairfed.deployment import trial
from fairfed.deployment.control import keep_key, register
from fairfed.deployment.founding import found
from fairfed.deployment.joining import Node, join
from fairfed.deployment.running import start as start_node
from fairfed.server import LogWatcher
from tests.fairfed import golden
from tests.fairfed.deployment.conftest import free_ports, settings
from tests.fairfed.deployment.test_superlink import pytestmark as pytestmark
from tests.fairfed.runs import logged
from tests.fairfed.sites.conftest import play_here
from tests.fairfed.sites.conftest import study as study_of_sites


def _acquaint(nodes: dict[str, Node]) -> None:
    """Give each site the others' public keys, as they would by mail."""
    for name, node in nodes.items():
        others = (
            f'{other} = "{(one.folder / "key.pub").read_text().strip()}"'
            for other, one in nodes.items()
            if other != name
        )
        text = node.file.read_text() + "[peers]\n" + "\n".join(others) + "\n"
        node.file.write_text(text)


def test_sites_over_tls_end_with_the_bits_of_one_machine(
    small: Callable[..., Config],
    hospitals: Callable[..., list[SiteConfig]],
    tmp_path: Path,
) -> None:
    sites = hospitals(**dict.fromkeys("abc", "[compute]\nthreads = 1\n"))
    one = 'arms=[{name="Ditto", personal=1.0}]', "privacy.secure_sum=true"
    config = study_of_sites(small(*one), tmp_path / "over")
    config = config.model_copy(update={"sites": ("a", "b"), "deadline": 300.0})
    file = tmp_path / "study.toml"
    file.write_text(config.to_toml())
    port, inner = free_ports(2)
    place = found(file, tmp_path / "c", settings(port=port, inner_port=inner))
    with ExitStack() as running:
        running.callback(trial.stop, place)
        trial.start(place, print)
        nodes = {}
        for site in sites[:2]:
            nodes[site.name], _ = join(
                place.invitations / f"{site.name}.toml", Path(site.data.source).parent / "site.toml"
            )
            keep_key(place, nodes[site.name].folder / "key.pub", site.name)
            register(place, site.name)
        _acquaint(nodes)
        for joined in nodes.values():
            running.callback(start_node(joined, print).stop)
        write_text(config.run_directory / "config.toml", config.to_toml())
        follow(config, str(place.folder), LogWatcher())
    here = config.model_copy(update={"name": "here", "out": str(tmp_path / "here")})
    play_here(here, [load_site(joined.file) for joined in nodes.values()])
    assert golden.digests(tmp_path / "over") == golden.digests(tmp_path / "here") != {}
    assert [row["round"] for row in logged(config)] == [1, 2]
    ledger = (Path(sites[0].state.directory) / "ledger.jsonl").read_text().splitlines()
    assert [json.loads(line).get("asked") for line in ledger].count("query.open") == 4
    assert not [c["error"] for row in logged(config) for c in row["clients"] if c["error"]]
