"""Small models of tables: logistic regression, and one hidden layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HIDDEN = 10
"""Units of the hidden layer, as in FAIR-FATE's protocol."""


class TabularModel(nn.Module):
    """Logits that are linear in the inputs, or in `hidden` tanh units of them.

    The first class is the reference: its logit is 0. With two classes the softmax of the logits is
    thus the sigmoid of the one that is computed, and training is that of a sigmoid.

    Parameters
    ----------
    inputs
        Number of features.
    num_classes
        Number of logits.
    hidden
        Number of tanh units; 0: logistic regression.
    """

    def __init__(self, inputs: int, num_classes: int, hidden: int = 0) -> None:
        super().__init__()
        self.hidden = nn.Linear(inputs, hidden) if hidden else None
        self.head = nn.Linear(hidden or inputs, num_classes - 1)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``[n, num_classes]`` of features ``[n, inputs]``, float32."""
        if self.hidden is not None:
            features = torch.tanh(self.hidden(features))
        return F.pad(self.head(features), (1, 0))

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Draw the weights anew (Glorot & Bengio 2010); those of a linear model are 0."""
        for layer in (self.hidden, self.head):
            if layer is None:
                continue
            layer.bias.zero_()
            if self.hidden is None:
                layer.weight.zero_()
            else:
                nn.init.xavier_uniform_(layer.weight, generator=generator)
