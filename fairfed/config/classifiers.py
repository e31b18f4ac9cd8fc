"""The names of the classifiers, and what rows each is of.

They stand here as well as in `fairfed.models`, because reading a configuration imports nothing
heavy; a test compares them.
"""

from __future__ import annotations

from fairfed.config.source import Kind

MODELS: dict[str, Kind] = {
    "cnn-bn": "images",
    "cnn-gn": "images",
    "lenet": "images",
    "lenet-bn": "images",
    "clip-head": "images",
    "clip": "images",
    "logistic": "table",
    "mlp": "table",
}
"""What the rows of a classifier are. One of the user's own, `module:function`, takes any."""
