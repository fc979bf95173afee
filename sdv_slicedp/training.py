"""From a release to a trained generator: no data, no budget, any number of times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from sdv_slicedp import coupling, fitting, head_regression, models
from sdv_slicedp.cells import CellMap, cell_map
from sdv_slicedp.coupling import Coupling
from sdv_slicedp.denoising import Target, denoise
from sdv_slicedp.divergence import PairDivergence
from sdv_slicedp.generator import MixtureModel
from sdv_slicedp.models import Model
from sdv_slicedp.moments import Moments, denoised_target, moments
from sdv_slicedp.networks import Components, headed
from sdv_slicedp.neural import NeuralModel
from sdv_slicedp.objectives import Objective, SlicedObjective
from sdv_slicedp.progress import Progress
from sdv_slicedp.redenoising import denoise_about
from sdv_slicedp.release import ColumnRelease, Release
from sdv_slicedp.sliced_training import SlicePlan, sliced_objective
from sdv_slicedp.training_plan import (
    GROWN_FROM,
    GROWTH,
    TrainingPlan,
    enough_components,
    enough_epochs,
    entropy_pull,
)

MOMENTS_SHARE = 0.4
"""Share of the epochs on a projection that look at its denoised moments, before the slices."""
SHRINKING_BATCH = 4096
"""Latent numbers that stand for a network when laws are shrunk towards its own."""
RATES = {'pairs': 0.3, 'slices': 0.2, 'network': 2e-3}
"""First steps: of a mixture on pairs and on slices, and of a network."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What a release asks of a generator.

    Attributes:
        columns: Columns on the cells that the generator chooses from.
        target: Denoised laws of columns and pairs.
        cells: Encoding of the cells; of the projection mechanism only.
        estimates: Moments of the noisy records; of the projection mechanism only.
    """

    columns: tuple[ColumnRelease, ...]
    target: Target
    cells: CellMap | None = None
    estimates: Moments | None = None

    @property
    def sizes(self) -> list[int]:
        """Cells of each column."""
        return [column.n_bins for column in self.columns]


def train(
    release: Release,
    *,
    generator: str | nn.Module = 'mixture',
    epochs: int | None = None,
    n_components: int | None = None,
    seed: int | None = None,
    device: str = 'cpu',
    verbose: bool = False,
    plan: TrainingPlan | None = None,
    start: Model | None = None,
) -> Model:
    """Train a generator on a release.

    Args:
        release: The release; the only input that depends on the private table.
        generator: ``'mixture'``, ``'mlp'``, ``'residual_mlp'``, or a module that maps latent
            numbers ``(batch, latent_dim)`` to features ``(batch, anything)``; see `networks`.
        epochs: Overrides the plan's.
        n_components: Overrides the plan's.
        seed: Seed of the training; ``None`` for a new one each time.
        device: Torch device to train on.
        verbose: Show a progress bar.
        plan: The rest of the settings.
        start: A model trained from the same release by the same generator, to go on from.

    Returns:
        A model without devices: plain arrays, or a network on the CPU.

    Raises:
        ValueError: If ``generator`` is unknown or does not fit ``start``.
        TypeError: If a module does not keep to the protocol.
    """
    plan = plan or TrainingPlan()
    number = plan.n_components if n_components is None else n_components
    number = enough_components(release) if number is None else number
    most = plan.epochs if epochs is None else epochs
    most = enough_epochs(release, generator) if most is None else most
    progress = Progress(most, plan.patience, plan.callback, verbose)
    run = _Run(release, posed(release), plan, number, progress, torch.device(device), seed)
    if generator == 'mixture':
        return run.mixture(start)
    if isinstance(generator, nn.Module) or generator in ('mlp', 'residual_mlp'):
        return run.network(generator, start)
    raise ValueError(
        f"generator must be 'mixture', 'mlp', 'residual_mlp' or a module, got {generator!r}."
    )


def posed(release: Release) -> Problem:
    """The columns and laws that a generator is to fit."""
    if release.projection is None:
        return Problem(release.columns, denoise(release))
    cells, estimates = cell_map(release), moments(release.projection)
    return Problem(cells.columns, denoised_target(cells, estimates), cells, estimates)


@dataclass(frozen=True, eq=False)
class _Run:
    """One training, of a mixture with ``n_components`` or a network."""

    release: Release
    problem: Problem
    plan: TrainingPlan
    n_components: int
    progress: Progress
    device: torch.device
    seed: int | None

    def mixture(self, start: Model | None) -> Model:
        """Train a mixture of products: on pairs, then on the slices of a projection."""
        columns, target = self.problem.columns, self.problem.target
        divergence = PairDivergence(target, self.device)
        if start is None:
            # Without pairs, nothing would bring the scatter back.
            scale = self.plan.starting_scale if len(target.pairs) else 0.0
            number = self.n_components // self._growth(start)
            logits = fitting.starting_point(divergence.law, number, scale, self.seed)
        elif isinstance(start, MixtureModel):
            logits = models.mixture_logits(columns, target, start).to(self.device)
        else:
            raise ValueError("generator='mixture' cannot go on from a network; train it anew.")
        logits, losses = self._mixture_on_pairs(divergence, logits, start)
        if self.problem.cells is not None:
            network = Components(logits.T.contiguous())
            losses = self._on_slices(network, 'slices', losses)
            logits = network.logits.detach().T
        laws = divergence.softmax(logits).cpu().numpy()
        components = [part.T for part in np.split(laws, divergence.offsets[1:-1])]
        model = models.mixture_model(columns, target, components, losses, self._coupling())
        model.heads = head_regression.fitted(model.components, columns, target, self.seed)
        return model

    def network(self, generator: str | nn.Module, start: Model | None) -> Model:
        """Train a network: on pairs, then on the slices of a projection."""
        columns, target = self.problem.columns, self.problem.target
        divergence = PairDivergence(target, self.device)
        if start is None:
            network: nn.Module = headed(
                generator, torch.log(divergence.law.cpu().clamp_min(1e-6)), self.seed
            )
        elif isinstance(start, NeuralModel):
            network = models.network_of(start)
        else:
            raise ValueError('A network cannot go on from a mixture; train it anew.')
        network = network.to(self.device)
        losses = self.progress.losses
        if self.problem.cells is None or start is None:
            progress = self._first()
            self._minimise(network, divergence.loss, 'network', progress)
            losses = progress.losses
        if self.problem.cells is not None:
            losses = self._on_slices(network, 'network', losses)
        return models.neural_model(columns, target, network, losses, self._coupling())

    def _coupling(self) -> Coupling | None:
        """The copula inside pair cells; those of a projection are narrow."""
        if self.problem.cells is not None:
            return None
        return coupling.fitted(self.problem.columns, self.problem.target)

    def _first(self) -> Progress:
        """The epochs on pairs: all, or those on the moments of a projection."""
        if self.problem.cells is None:
            return self.progress
        return self.progress.part(round(MOMENTS_SHARE * self.progress.epochs))

    def _growth(self, start: Model | None) -> int:
        grows = self.n_components >= GROWN_FROM and self.n_components % GROWTH == 0
        return GROWTH if grows and start is None else 1

    def _mixture_on_pairs(
        self, divergence: PairDivergence, logits: torch.Tensor, start: Model | None
    ) -> tuple[torch.Tensor, pd.DataFrame]:
        if self.problem.cells is not None and start is not None:
            return logits, self.progress.losses
        progress = self._first()
        logits = fitting.minimise_pairs(
            divergence,
            logits,
            self._rates('pairs'),
            progress,
            pull=entropy_pull(self.release),
            renewal=self._about if self.problem.cells is None else None,
            growth=self._growth(start),
            seed=self.seed,
        )
        return logits, progress.losses

    def _about(self, laws: torch.Tensor) -> PairDivergence:
        """The divergence from pairs denoised again, about those of a mixture's laws."""
        parts = np.split(laws.cpu().numpy().astype(np.float64).T, np.cumsum(self.problem.sizes), 1)
        target = denoise_about(self.release, self.problem.target, parts[:-1])
        return PairDivergence(target, self.device)

    def _on_slices(self, network: nn.Module, kind: str, before: pd.DataFrame) -> pd.DataFrame:
        """The epochs on slices, unless noise explains all that they show beyond the moments."""
        if self.progress.is_told:
            return before
        objective = self._objective()
        stream = fitting.random_stream(self.seed, self.device)
        laws = fitting.sample_laws(network, self.problem.sizes, SHRINKING_BATCH, stream)
        if not objective.shrink_towards(laws):
            return before
        progress = self.progress.part(self.progress.epochs - len(before), len(before))
        self._minimise(network, objective, kind, progress)
        return progress.losses

    def _minimise(
        self, network: nn.Module, objective: Objective, kind: str, progress: Progress
    ) -> None:
        fitting.minimise_network(
            network,
            self.problem.sizes,
            objective,
            self.plan.batch_size,
            self._rates(kind),
            fitting.random_stream(self.seed, self.device),
            progress,
        )

    def _objective(self) -> SlicedObjective:
        projection, cells, estimates = (
            self.release.projection,
            self.problem.cells,
            self.problem.estimates,
        )
        if projection is None or cells is None or estimates is None:
            raise ValueError('A release of histograms has no slices to train on.')
        steps_see = self.progress.epochs * self.plan.slices_per_step
        plan = SlicePlan(
            self.plan.divergence,
            self.plan.estimator,
            min(self.plan.n_training_slices, steps_see),  # more would never be looked at
            self.plan.slices_per_step,
            self.seed,
        )
        return sliced_objective(projection, cells, estimates, plan, self.device)

    def _rates(self, kind: str) -> tuple[float, float]:
        first = self.plan.learning_rate or RATES[kind]
        return first, first * self.plan.final_rate
