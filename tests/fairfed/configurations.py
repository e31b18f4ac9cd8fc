"""Configurations of a small run of each system; a run, and what it makes, lie in `folder`."""

from __future__ import annotations

from pathlib import Path


def small(folder: Path, images: Path, pipeline: Path) -> str:
    """Text of a classifier's run over the small federation: every arm, two rounds."""
    return f"""
name = "small"
rounds = 2
workers = 2
out = "{folder}/run"
[data]
source = "{images}"
sensitive = ["sex"]
client = "site"
image_size = 16
[partition]
name = "column"
[train]
batch_size = 8
[semantic]
attributes = "names"
allow_unknown = true
[generator]
model = "{pipeline}"
steps = 1
batch_size = 8
device = "cpu"
[curation]
margin = -100

[synthesis]
per_class = 8
cell_target = 0
pool = 4
domain_matching_present = 4
autoencode = 0.0
store = "{folder}/store"
[[arms]]
name = "FedAvg"
[[arms]]
name = "Both"
rule = "fairfed"
augment = true
[[arms]]
name = "IID"
iid = true
reference = true
"""


def peers(folder: Path, images: Path) -> str:
    """Text of a run of six peers, one of which takes no part.

    There is too little noise to change a cluster: two runs differ in nothing that a test compares.
    """
    return f"""
name = "peers"
rounds = 3
model = "cnn-gn"
out = "{folder}/run"
[data]
source = "{images}"
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


def zsl(folder: Path, features: Path) -> str:
    """Text of a run of federated zero-shot learning of three clients."""
    return f"""
name = "zsl"
rounds = 3
workers = 1
out = "{folder}/run"
[partition]
clients = 3
[zsl]
features = "{features}"
variants = ["ska", "attributes"]
hidden = 16
batch_size = 8
lr = 0.001
per_class = 20
classifier_epochs = 2
"""


def table(folder: Path, table: Path) -> str:
    """Text of a run over the table of loans, one client a site."""
    return f"""
name = "people"
rounds = 2
workers = 1
out = "{folder}/run"
model = "mlp"
[data]
source = "{table}"
label = "loan"
sensitive = ["sex"]
client = "site"
[data.table]
positive = "yes"
[partition]
name = "column"
[train]
batch_size = 10
[[arms]]
name = "FedAvg"
[[arms]]
name = "FairFed"
rule = "fairfed"
"""
