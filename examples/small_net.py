"""A user's own problem: a small network with its own loss, for ``problem: {name: module, module: ...}``."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SmallNet(nn.Module):
    """A hidden layer with a norm that sees one example at a time, and the focal loss (Lin et al., 2017, equation 4)."""

    def __init__(self, features: int, classes: int, hidden: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.LayerNorm(hidden), nn.Tanh(), nn.Linear(hidden, classes)
        )

    def forward(self, features: Tensor) -> Tensor:
        """The scores (n, classes) of examples (n, features)."""
        return self.layers(features)

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The losses (n,): less of those examples that are already classified with confidence."""
        of_class = functional.log_softmax(scores, dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
        return -of_class * (1 - torch.exp(of_class))
