"""Random-slice histograms: do they earn a share of the budget? Reads real rows: not private.

A slice adds up integer scores of the pair cells of a few columns; its noisy histogram has cells of
about equal mass, crossed with the cells of a hub column. A share of what the one-column stage
leaves goes to the slices, the rest to the pairs; share 0 is the package, share 1 has no pairs.

    python benchmarks/random_slices.py --epsilon 0.2 1 5
    python benchmarks/random_slices.py --hub income --width 0 --law normal
    python benchmarks/random_slices.py --train T.csv --test E.csv --metadata M.json --target COLUMN
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import quality
import torch
from scipy.special import ndtri

from sdv_slicedp import (
    SlicedDPSynthesizer,
    accounting,
    fitting,
    models,
    slices,
    stages,
    table_stages,
    training,
    training_plan,
)
from sdv_slicedp.curator import Curator
from sdv_slicedp.denoising import denoise
from sdv_slicedp.divergence import PairDivergence
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.grid import Floats, Integers
from sdv_slicedp.ledger import LedgerEntry
from sdv_slicedp.noise import discrete_gaussian
from sdv_slicedp.progress import Progress
from sdv_slicedp.release import ColumnRelease, Release
from sdv_slicedp.shrinkage import denoised_interaction

POINTS, MAX_CELLS, CELL_NOISE = 8, 16, 16.0
"""Values of a slice per column, its cells at most, and noise scales that one holds at least."""
FIGURES = (
    'tv1', 'tv2', 'tv3', 'auc', 'logistic', 'boosting', 'forest', 'normal_tv', 'spent', 'fit_cpu_s',
)  # fmt: skip


@dataclass(frozen=True)
class SlicePlan:
    """What is asked of random slices."""

    share: float = 0.3  # of the budget that the one-column stage leaves
    number: int = 20  # of slices
    width: int = 3  # columns that a slice adds up; 0 for all
    hub: str = 'any'  # column the histograms are crossed with: its name, any (random), or none
    law: str = 'exact'  # the model's law of a slice: exact, or normal given the component
    start: float = 0.5  # share of the epochs after which the slices join the pairs


@dataclass(frozen=True)
class Slice:
    """One slice: ``scores`` of the pair cells of ``columns``; ``cells`` of their sums 0, 1, ..."""

    columns: tuple[int, ...]
    scores: tuple[Integers, ...]
    cells: Integers
    hub: int | None


class SliceCurator(Curator):
    """Answers about slices, too. The entry must be in the ledger already."""

    def slices(self, asked: Sequence[Slice], sigma: float) -> list[Integers]:
        """Noisy histograms, hub cells by cells: a row adds 1 to at most one count of each."""
        answers = []
        for one in asked:
            total, counted = np.zeros(len(self._table), dtype=np.int64), True
            for column, scores in zip(one.columns, one.scores, strict=True):
                counted = counted & (self._codes[column] < self._sizes[column])
                total += np.append(scores, 0)[self._codes[column]]
            cell, shape = one.cells[total], (1, one.cells.max() + 1)
            if one.hub is not None:
                shape = self._sizes[one.hub], shape[1]
                counted = counted & (self._codes[one.hub] < shape[0])
                cell = cell + shape[1] * self._codes[one.hub]
            counts = np.bincount(cell[counted], minlength=shape[0] * shape[1]).reshape(shape)
            answers.append(counts.astype(np.int64) + discrete_gaussian(shape, sigma))
        return answers


def choose_slices(release: Release, sigma: float, plan: SlicePlan, seed: int | None) -> list[Slice]:
    """Directions and cells; a function of the release and of public randomness."""
    chosen, rng = [], np.random.default_rng(seed)
    every, names = denoise(release).laws, [column.domain.name for column in release.columns]
    for _ in range(plan.number if plan.share else 0):
        picks = {'none': None, 'any': int(rng.integers(len(names)))}
        hub = picks[plan.hub] if plan.hub in picks else names.index(plan.hub)
        others = [i for i in range(len(names)) if i != hub]
        width = min(plan.width or len(others), len(others))
        columns = tuple(rng.choice(others, width, replace=False).tolist())
        laws = [every[i] for i in columns]
        drawn = [_direction(release.columns[i], every[i], rng) for i in columns]
        scale = (POINTS * width - 1 - width) / max(sum(d.max() for d in drawn), 1e-9)
        scores = tuple(np.rint(d * scale).astype(np.int64) for d in drawn)
        n_cells = int(np.clip(release.noisy_rows / (CELL_NOISE * sigma), 4, MAX_CELLS))
        chosen.append(Slice(columns, scores, _equal_cells(scores, laws, n_cells), hub))
    return chosen


def _direction(column: ColumnRelease, law: Floats, rng: np.random.Generator) -> Floats:
    """Scores from 0: normal scores with a random weight for numbers, random for categories."""
    weight = rng.standard_normal(len(law))
    if isinstance(column.domain, NumericalDomain):
        weight = ndtri(np.clip(np.cumsum(law) - law / 2, 1e-3, 1 - 1e-3)) * weight[0]
    mean = weight @ law
    spread = 3 * np.sqrt(law @ (weight - mean) ** 2)
    return np.clip(weight - max(weight.min(), mean - spread), 0, 2 * spread)


def _equal_cells(scores: Sequence[Integers], laws: Sequence[Floats], n_cells: int) -> Integers:
    """Cell of each possible sum: about equal mass if the columns were independent."""
    total = np.ones(1)
    for score, law in zip(scores, laws, strict=True):
        total = np.convolve(total, np.bincount(score, law))
    middle = np.clip((np.cumsum(total) - total / 2) / total.sum(), 0, 1 - 1e-9)
    return np.unique((middle * n_cells).astype(np.int64), return_inverse=True)[1].astype(np.int64)


class SliceLaw:
    """The law of one slice under a mixture of products, differentiable: hub cells by cells."""

    def __init__(self, one: Slice, offsets: Integers) -> None:
        """``offsets`` are the first rows of the columns' laws among all T rows."""
        self._blocks = [slice(offsets[j], offsets[j + 1]) for j in one.columns]
        self._hub = slice(*offsets[one.hub : one.hub + 2]) if one.hub is not None else None
        points = len(one.cells) + len(one.cells) % 2
        frequencies = np.arange(points // 2 + 1) * 2 * np.pi / points
        twice = np.r_[1, np.full(points // 2 - 1, 2), 1] / points
        back = np.exp(-1j * np.outer(frequencies, np.arange(len(one.cells)))) * twice[:, None]
        self._back = torch.tensor(back @ np.eye(one.cells.max() + 1)[one.cells]).cfloat()
        angles = [np.outer(frequencies, scores) for scores in one.scores]
        self._waves = [torch.tensor(np.stack([np.cos(a), np.sin(a)])).float() for a in angles]
        self._moments = [torch.tensor(np.stack([a, a**2])).float() for a in one.scores]
        self._edges = torch.tensor(np.flatnonzero(np.diff(one.cells)) + 0.5).float()[:, None]

    def exact(self, laws: torch.Tensor) -> torch.Tensor:
        """By the characteristic function of the sum given the component; ``laws`` is (T, N)."""
        parts = zip(self._waves, self._blocks, strict=True)
        product: Any = math.prod(torch.complex(*(waves @ laws[block])) for waves, block in parts)
        hub = torch.ones_like(laws[:1]) if self._hub is None else laws[self._hub]
        joint = torch.complex(hub @ product.real.T, hub @ product.imag.T) @ self._back
        return joint.real / laws.shape[1]

    def normal(self, laws: torch.Tensor) -> torch.Tensor:
        """As if the sum were normal given the component, with its mean and variance."""
        parts = zip(self._moments, self._blocks, strict=True)
        moments = torch.stack([table @ laws[block] for table, block in parts])
        mean, variance = moments[:, 0].sum(0), (moments[:, 1] - moments[:, 0] ** 2).sum(0)
        below = torch.special.ndtr((self._edges - mean) / (variance.clamp_min(0) + 1 / 12).sqrt())
        mass = torch.diff(torch.cat([0 * mean[None], below, 0 * mean[None] + 1]), dim=0)
        hub = torch.ones_like(laws[:1]) if self._hub is None else laws[self._hub]
        return hub @ mass.T / laws.shape[1]


@dataclass
class SlicedDivergence:
    """Loss (8) over pairs and slices; the slices join at an epoch, denoised around the model."""

    pairs: PairDivergence
    laws: Sequence[Callable[[torch.Tensor], torch.Tensor]]
    answers: Sequence[Floats]
    noise: float
    weight: float
    joins: int
    targets: Sequence[torch.Tensor] = ()

    @property
    def law(self) -> torch.Tensor:
        return self.pairs.law

    def loss_and_gradient(
        self, logits: torch.Tensor, epoch: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`PairDivergence.loss_and_gradient`; called once an epoch."""
        loss, gradient = self.pairs.loss_and_gradient(logits, epoch)
        self.joins -= 1
        if self.joins >= 0:
            return loss, gradient
        laws = self.pairs.softmax(logits).requires_grad_()
        model = [law(laws) for law in self.laws]
        if not self.targets:
            found = zip(self.answers, [m.detach().double().numpy() for m in model], strict=True)
            self.targets = [denoised(answer, law, self.noise) for answer, law in found]
        found = zip(model, self.targets, strict=True)
        extra = self.weight * sum(torch.sum((law - target) ** 2) for law, target in found)
        (slope,) = torch.autograd.grad(extra, laws)
        product, laws = laws.detach() * slope * (laws.shape[1] / 2), laws.detach()
        return loss + extra.detach(), gradient + product - laws * self.pairs._per_column(product)


def denoised(answer: Floats, law: Floats, noise: float) -> torch.Tensor:
    """The model's law of a slice, and what the answer adds beyond noise: margin, interaction."""
    rest = answer - law
    own = rest.sum(0) - rest.sum() / rest.shape[1]
    own *= max(0.0, 1 - (len(own) - 1) * len(rest) * noise**2 / max(float(own @ own), 1e-30))
    rest = rest - rest.mean(0) - rest.mean(1, keepdims=True) + rest.mean()
    both = denoised_interaction(rest, noise, (False, True))
    return torch.from_numpy(law + np.outer(law.sum(1), own) + both).float()


class RandomSliceSynthesizer(SlicedDPSynthesizer):
    """The package's synthesizer, all domains public, with another measurement and training."""

    plan = SlicePlan()

    def _fit(self, processed: pd.DataFrame) -> None:
        ledger, domains, plan = accounting.Ledger(), self._domains(), self.plan
        histogram, total = slices.HistogramPlan(), (self.epsilon, self.delta)
        most = plan.number if plan.share == 1 else len(slices.column_pairs(len(domains)))
        budget, cost = accounting.planning_budget(*total, most)
        curator, columns = SliceCurator(processed, ledger), list(map(stages.Column, domains))
        columns = stages.measure_columns(curator, columns, budget * histogram.one_column_share)
        columns = stages.drop_hidden_missing(columns, self._attested())
        left = budget - accounting.mu_squared(ledger.entries)
        for_pairs = left * (1 - plan.share) if plan.share < 1 else left
        released = table_stages.choose_bins(columns, for_pairs, histogram)
        curator.encode(released)
        marginals, self.sigma = [], 0.0
        if plan.share:
            self.sigma = stages.equal_sigma(plan.number, left * plan.share)
            entry = LedgerEntry('slices', 'random', plan.number, self.sigma, plan.number)
            if plan.share == 1:
                factor = accounting.scale_to_budget(ledger.entries, (entry,), *total, cost=cost)
                self.sigma = accounting.rescale((entry,), factor)[0].sigma
            ledger.record(replace(entry, sigma=self.sigma))
        if plan.share < 1:
            sigmas = table_stages.choose_pairs(curator, released, for_pairs, histogram)
            fill = table_stages.Fill(ledger.entries, *total, cost)
            marginals = table_stages.measure_pairs(curator, sigmas, fill)
        self._release = Release(released, marginals, ledger.entries, *total)
        self.asked = choose_slices(self._release, self.sigma, plan, self.random_state)
        self.answers = curator.slices(self.asked, self.sigma)

    def _train(self, release: Release, options: dict[str, Any], start: Any = None) -> None:
        target, rows = denoise(release), release.noisy_rows
        enough = (
            training_plan.enough_epochs(release)
            if release.marginals
            else training_plan.FEWEST_EPOCHS
        )
        steps = training_plan.TrainingPlan(epochs=options['epochs'] or enough)
        pairs = divergence = PairDivergence(target, torch.device('cpu'))
        self.slices = [SliceLaw(one, pairs.offsets) for one in self.asked]
        if self.asked:
            laws = [getattr(one, self.plan.law) for one in self.slices]
            answers, noise = [answer / rows for answer in self.answers], self.sigma / rows
            weight = 1 / np.mean(noise**2 / target.noise**2) if release.marginals else 1.0
            joins = round(self.plan.start * steps.epochs) if release.marginals else 0
            divergence = SlicedDivergence(pairs, laws, answers, noise, float(weight), joins)
        logits = fitting.starting_point(
            pairs.law,
            training_plan.FEWEST_COMPONENTS,
            steps.starting_scale,
            options['random_state'],
        )
        rate = training.RATES['pairs']
        rates, progress = (rate, rate * steps.final_rate), Progress(steps.epochs)
        logits = fitting.minimise_pairs(divergence, logits, rates, progress)
        self.laws, self.offsets = pairs.softmax(logits), pairs.offsets
        components = np.split(self.laws.numpy().T, pairs.offsets[1:-1], axis=1)
        self._model = models.mixture_model(release.columns, target, components, progress.losses)
        self._mark_as_fitted()

    def normal_error(self) -> float:
        """Mean total variation between the normal and the exact law of the model's slices."""
        apart = [(s.normal(self.laws) - s.exact(self.laws)).abs().sum() / 2 for s in self.slices]
        return float(sum(apart)) / len(apart) if apart else float('nan')


def run(
    task: quality.Task, epsilon: float, seed: int, plan: SlicePlan, options: argparse.Namespace
) -> dict[str, float]:
    """Fit once and score a sample of as many rows."""
    synthesizer = RandomSliceSynthesizer(task.metadata, epsilon, options.delta, True)
    synthesizer.plan, synthesizer.random_state, cpu = plan, seed, time.process_time()
    synthesizer.fit({task.table_name: task.train})
    cpu = time.process_time() - cpu
    synthetic = synthesizer.sample(num_rows=len(task.train))[task.table_name]
    spent = accounting.epsilon_spent(synthesizer.get_release().ledger, options.delta)
    figures = {'normal_tv': synthesizer.normal_error(), 'spent': spent, 'fit_cpu_s': cpu}
    return {**quality.scores_of(task, synthetic, seed, sdmetrics=False), **figures}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = quality._parser()
    parser.description = __doc__
    parser.set_defaults(seeds=[0, 1])
    parser.add_argument('--rows', type=int, help='fit on the first rows only')
    parser.add_argument('--share', type=float, nargs='+', default=[0, 0.3])
    for field in fields(SlicePlan)[1:]:
        parser.add_argument(f'--{field.name}', type=type(field.default), default=field.default)
    options = parser.parse_args(arguments)
    others = {field.name: getattr(options, field.name) for field in fields(SlicePlan)[1:]}
    warnings.simplefilter('ignore')  # of scikit-learn on odd columns
    task = quality.task_of(options)
    task = replace(task, train=task.train.head(options.rows or len(task.train)))
    print(f'{len(task.train):,} rows x {len(task.columns)} modelled columns\n')
    print(f'| epsilon | share | {" | ".join(FIGURES)} |\n|{"---|" * (len(FIGURES) + 2)}')
    for epsilon in options.epsilon:
        for share in options.share:
            plan = SlicePlan(share, **others)
            runs = [run(task, epsilon, seed, plan, options) for seed in options.seeds]
            figures = [quality._figure(median(r[name] for r in runs), 3) for name in FIGURES]
            print(f'| {epsilon:g} | {share:g} | {" | ".join(figures)} |', flush=True)


if __name__ == '__main__':
    main()
