"""A small federation of peers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.config import Config, parse_config

Peers = Callable[..., Config]


@pytest.fixture
def peers(image_folder: Path, tmp_path: Path) -> Peers:
    """Configuration of six peers, one of which takes no part, with settings replaced.

    There is too little noise to change a cluster: two runs differ in nothing that a test compares.
    """
    toml = f"""
name = "peers"
rounds = 3
model = "cnn-gn"
out = "{tmp_path}/run"
[data]
source = "{image_folder}"
sensitive = []
image_size = 16
[partition]
clients = 6
options = {{ num_classes_per_partition = 2 }}
[train]
batch_size = 8
[peers]
unseen = 1
clusters = 2
minimum = 1
epsilon = 1e9
measure_every = 2
"""
    return lambda *overrides: parse_config(toml, "peers.toml", overrides)
