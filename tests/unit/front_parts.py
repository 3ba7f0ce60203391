"""Functions that tests of registered parts put into the tables."""

from __future__ import annotations

import numpy as np
import torch

STRENGTH = 3.0


def strongest(messages, threat, draws, *, shift: float = 1.0):
    """All liars send the honest mean, moved."""
    return threat.replace(messages, threat.of_honest(messages).mean(dim=-2, keepdim=True) + STRENGTH * shift)


def smallest(messages, f, *, rank: int = 0):
    """A value of low rank, per coordinate."""
    return messages.sort(dim=-2).values[..., rank, :]


def halved(messages, draws, number_bits, *, share: float = 0.5):
    """Messages made smaller."""
    return share * messages, number_bits


def clouds():
    """Two classes in a plane."""
    labels = np.arange(90) % 2
    features = np.random.default_rng(0).normal(size=(90, 2)) + 2 * labels[:, None]
    return (features[:60], labels[:60]), (torch.tensor(features[60:]), torch.tensor(labels[60:]))


def closing_over(value):
    """An attack that closes over a value."""

    def constant_lie(messages, threat, draws):
        return threat.replace(messages, torch.full_like(threat.of_liars(messages), float(np.sum(value))))

    return constant_lie
