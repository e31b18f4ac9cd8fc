"""A study over Flower's SuperLink, with TLS, registered keys, and a proxy."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from evaluation.files import write_text
from fairfed.cli.following import follow
from fairfed.config import Config
from fairfed.config.site import SiteConfig
from fairfed.deployment import trial
from fairfed.deployment.control import keep_key, register
from fairfed.deployment.founding import found
from fairfed.deployment.joining import join
from fairfed.deployment.running import start as start_node
from fairfed.server import LogWatcher
from tests.fairfed import golden
from tests.fairfed.deployment.conftest import free_ports, settings
from tests.fairfed.deployment.test_superlink import pytestmark as pytestmark
from tests.fairfed.runs import logged
from tests.fairfed.sites.conftest import play_here
from tests.fairfed.sites.conftest import study as study_of_sites


def test_sites_over_tls_end_with_the_bits_of_one_machine(
    small: Callable[..., Config],
    hospitals: Callable[..., list[SiteConfig]],
    tmp_path: Path,
) -> None:
    sites = hospitals(**dict.fromkeys("abc", "[compute]\nthreads = 1\n"))
    config = study_of_sites(small('arms=[{name="Ditto", personal=1.0}]'), tmp_path / "over")
    config = config.model_copy(update={"sites": ("a", "b"), "deadline": 300.0})
    file = tmp_path / "study.toml"
    file.write_text(config.to_toml())
    port, inner = free_ports(2)
    place = found(file, tmp_path / "c", settings(port=port, inner_port=inner))
    with ExitStack() as running:
        running.callback(trial.stop, place)
        trial.start(place, print)
        for site in sites[:2]:
            joined, _ = join(
                place.invitations / f"{site.name}.toml", Path(site.data.source).parent / "site.toml"
            )
            keep_key(place, joined.folder / "key.pub", site.name)
            register(place, site.name)
            running.callback(start_node(joined, print).stop)
        write_text(config.run_directory / "config.toml", config.to_toml())
        follow(config, str(place.folder), LogWatcher())
    here = config.model_copy(update={"name": "here", "out": str(tmp_path / "here")})
    play_here(here, sites[:2])
    assert golden.digests(tmp_path / "over") == golden.digests(tmp_path / "here") != {}
    assert [row["round"] for row in logged(config)] == [1, 2]
    assert not [c["error"] for row in logged(config) for c in row["clients"] if c["error"]]
