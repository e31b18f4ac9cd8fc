"""The federated models, and their training at a client.

Importing this package imports PyTorch.
"""

from __future__ import annotations

from fairfed.models.build import MODEL_NAMES, build_model
from fairfed.models.clip_adapted import AdaptedClip
from fairfed.models.clip_head import ClipHead, ImageEncoder
from fairfed.models.cnn import SmallCnn
from fairfed.models.tabular import TabularModel
from fairfed.models.training import (
    class_probabilities,
    confusion_counts,
    epoch_rows,
    train_epochs,
)

__all__ = [
    "MODEL_NAMES",
    "AdaptedClip",
    "ClipHead",
    "ImageEncoder",
    "SmallCnn",
    "TabularModel",
    "build_model",
    "class_probabilities",
    "confusion_counts",
    "epoch_rows",
    "train_epochs",
]
