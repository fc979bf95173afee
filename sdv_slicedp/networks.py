"""Generators as networks: from latent noise to one law per column.

A network turns a batch of latent numbers into logits, T for each row: one block per column, whose
softmax is the law of the column's cells. Given the latent numbers, columns are independent.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import nn

LATENT_DIM = 64
"""Latent numbers of a generator that does not say how many it takes."""
HIDDEN, DEPTH = 256, 2


class MLP(nn.Module):
    """Fully connected layers.

    Args:
        latent_dim: Latent numbers that it takes.
        hidden: Features of each layer.
        depth: Number of layers.
        residual: Add each layer's input to its output, but for the first.
    """

    def __init__(
        self,
        latent_dim: int = LATENT_DIM,
        hidden: int = HIDDEN,
        depth: int = DEPTH,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.residual = residual
        sizes = [latent_dim, *[hidden] * depth]
        self.layers = nn.ModuleList(nn.Linear(first, second) for first, second in pairwise(sizes))

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Features, shape ``(batch, hidden)``."""
        features = latent
        for number, layer in enumerate(self.layers):
            made = nn.functional.silu(layer(features))
            features = features + made if self.residual and number else made
        return features


class Headed(nn.Module):
    """A network with a linear layer to the logits of all cells behind it.

    Args:
        body: Takes latent numbers, shape ``(batch, latent_dim)``; returns features,
            ``(batch, anything)``.
        start: Logits at the beginning, whatever the latent numbers, shape ``(T,)``.
    """

    def __init__(self, body: nn.Module, start: torch.Tensor) -> None:
        super().__init__()
        self.body = body
        self.latent_dim = latent_dim(body)
        self.head = nn.Linear(_features(body), len(start))
        with torch.no_grad():
            self.head.bias.copy_(start)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Logits, shape ``(batch, T)``."""
        logits: torch.Tensor = self.head(self.body(latent))
        return logits


class Components(nn.Module):
    """The mixture of products as a network: all its components, whatever the latent numbers."""

    latent_dim = 1

    def __init__(self, logits: torch.Tensor) -> None:
        """Start at these logits, shape ``(N, T)``."""
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Logits, shape ``(N, T)``."""
        return self.logits


def latent_dim(module: nn.Module) -> int:
    """How many latent numbers a module takes."""
    return int(getattr(module, 'latent_dim', LATENT_DIM))


def headed(generator: str | nn.Module, start: torch.Tensor, seed: int | None) -> Headed:
    """The network of a generator.

    Args:
        generator: ``'mlp'``, ``'residual_mlp'``, or a module that maps ``(batch, latent_dim)`` to
            ``(batch, features)``. A module is copied, and starts with its own weights.
        start: Logits at the beginning.
        seed: Seed of the weights that are drawn; ``None`` for new ones each time.

    Raises:
        TypeError: If the module does not keep to the protocol.
    """
    with _own_randomness(seed):
        if isinstance(generator, nn.Module):
            return Headed(copy.deepcopy(generator), start)
        return Headed(MLP(residual=generator == 'residual_mlp'), start)


@contextmanager
def _own_randomness(seed: int | None) -> Iterator[None]:
    """PyTorch draws first weights from its global stream, which is left as it was."""
    with torch.random.fork_rng(devices=[]):
        stream = torch.default_generator
        if seed is None:
            stream.seed()
        else:
            stream.manual_seed(seed)
        yield


def _features(body: nn.Module) -> int:
    """Number of features that a module gives."""
    example = torch.zeros(2, latent_dim(body))
    training = body.training
    try:
        with torch.no_grad():
            features = body.eval()(example)
    except Exception as error:  # whatever a user's module raises
        raise TypeError(
            f'generator must take a tensor of shape (batch, {latent_dim(body)}), latent_dim being '
            f'its attribute of that name or {LATENT_DIM}; it raised: {error}'
        ) from error
    finally:
        body.train(training)
    if not isinstance(features, torch.Tensor) or features.dim() != 2 or len(features) != 2:
        raise TypeError('generator must return a tensor of shape (batch, features).')
    return int(features.shape[1])
