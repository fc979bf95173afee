"""From a release to a trained generator: no data, no budget, any number of times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tqdm import tqdm

from sdv_slicedp import slices
from sdv_slicedp.denoising import Target, denoise
from sdv_slicedp.divergence import PairDivergence
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.generator import ColumnDecoder, MixtureModel
from sdv_slicedp.release import ColumnRelease, Release

Floats = npt.NDArray[np.float64]
Tables = npt.NDArray[np.float32]

FEWEST_EPOCHS, MEDIUM_EPOCHS, MOST_EPOCHS = 300, 450, 1900
"""Bounds of :func:`enough_epochs`, and its value at ``MEDIUM_NOISE``."""
MEDIUM_NOISE = 0.1
"""Total variation that noise brings to a typical pair, at which ``MEDIUM_EPOCHS`` are enough."""
SMALL = 2 * 10**8
"""Multiplications per matrix product below which training keeps to one thread."""


@dataclass(frozen=True)
class TrainingPlan:
    """How a mixture of products is trained.

    Attributes:
        epochs: Gradient steps, each of which sees all pairs; ``None`` for :func:`enough_epochs`.
        n_components: Number N of components.
        learning_rate: First step of Adam on the logits.
        final_rate: Last step, as a share of the first; geometric in between.
        starting_scale: Spread of the first logits around the product of the one-column laws.
    """

    epochs: int | None = None
    n_components: int = 1000
    learning_rate: float = 0.3
    final_rate: float = 0.01
    starting_scale: float = 0.5


def train(
    release: Release,
    *,
    generator: str = 'mixture',
    epochs: int | None = None,
    n_components: int | None = None,
    seed: int | None = None,
    device: str = 'cpu',
    verbose: bool = False,
    plan: TrainingPlan | None = None,
) -> MixtureModel:
    """Train a generator on a release.

    Args:
        release: The release; the only input that depends on the private table.
        generator: ``'mixture'``.
        epochs: Overrides the plan's.
        n_components: Overrides the plan's.
        seed: Seed of the starting point; ``None`` for a new one each time.
        device: Torch device to train on.
        verbose: Show a progress bar.
        plan: The rest of the settings.

    Returns:
        A model of plain arrays.

    Raises:
        ValueError: If ``generator`` is unknown.
    """
    if generator != 'mixture':
        raise ValueError(f"generator must be 'mixture', got {generator!r}.")
    plan = plan or TrainingPlan()
    plan = replace(
        plan,
        epochs=plan.epochs if epochs is None else epochs,
        n_components=plan.n_components if n_components is None else n_components,
    )
    if plan.epochs is None:
        plan = replace(plan, epochs=enough_epochs(release))
    if not release.marginals:
        plan = replace(plan, starting_scale=0.0)  # nothing would bring the scatter back
    target = denoise(release)
    divergence = PairDivergence(target, torch.device(device))
    logits = starting_point(divergence, plan, seed)
    with _few_threads(logits):
        losses = minimise(divergence, logits, plan, verbose=verbose)
    probabilities = divergence.softmax(logits).cpu().numpy()
    components = [part.T for part in np.split(probabilities, divergence.offsets[1:-1])]
    return build_model(release, target, components, losses)


def enough_epochs(release: Release) -> int:
    """Gradient steps that fit a release without fitting its noise, Eq. (15).

    The less noise there is in a typical pair, the more detail is worth learning.
    """
    noise = slices.expected_noise(release)
    steps = MEDIUM_EPOCHS * float(np.sqrt(MEDIUM_NOISE / max(noise, 1e-9)))
    return round(min(max(steps, FEWEST_EPOCHS), MOST_EPOCHS))


@contextmanager
def _few_threads(logits: torch.Tensor) -> Iterator[None]:
    """One thread for small problems: there, more threads wait longer than they compute."""
    before = torch.get_num_threads()
    if logits.numel() * len(logits) < SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def starting_point(
    divergence: PairDivergence, plan: TrainingPlan, seed: int | None
) -> torch.Tensor:
    """Logits of shape ``(T, N)`` near the product of the one-column laws."""
    stream = torch.Generator(device='cpu')
    if seed is None:
        stream.seed()
    else:
        stream.manual_seed(seed)
    noise = torch.randn(len(divergence.law), plan.n_components, generator=stream)
    product = torch.log(divergence.law.clamp_min(1e-6))
    return product[:, None] + plan.starting_scale * noise.to(divergence.law.device)


def minimise(
    divergence: PairDivergence, logits: torch.Tensor, plan: TrainingPlan, *, verbose: bool
) -> pd.DataFrame:
    """Adam (Kingma and Ba, arXiv 1412.6980v9) on the logits, in place; the loss of each epoch."""
    mean, square = torch.zeros_like(logits), torch.zeros_like(logits)
    losses = []
    epochs = plan.epochs or 0
    for epoch in tqdm(range(epochs), disable=not verbose, desc='Training'):
        loss, gradient = divergence.loss_and_gradient(logits)
        mean.lerp_(gradient, 0.1)
        square.lerp_(gradient.square_(), 0.01)
        rate = plan.learning_rate * plan.final_rate ** (epoch / epochs)
        spread = square.div(1 - 0.99 ** (epoch + 1)).sqrt_().add_(1e-12)
        logits.addcdiv_(mean, spread, value=-rate / (1 - 0.9 ** (epoch + 1)))
        losses.append(float(loss))
    return pd.DataFrame({'Epoch': np.arange(epochs), 'Loss': np.array(losses, dtype=np.float64)})


def build_model(
    release: Release, target: Target, components: list[Tables], losses: pd.DataFrame
) -> MixtureModel:
    """The model without the remainder cells, which have no value to show.

    A component's mass there goes to the column's other cells by their law.
    """
    shown = [
        _visible(column, table, law)
        for column, table, law in zip(release.columns, components, target.fine_laws, strict=True)
    ]
    return MixtureModel([table for table, _ in shown], [decoder for _, decoder in shown], losses)


def _visible(column: ColumnRelease, table: Tables, law: Floats) -> tuple[Tables, ColumnDecoder]:
    domain, bins = column.domain, column.bins
    shown = np.ones(len(bins), dtype=bool)
    if isinstance(domain, CategoricalDomain) and domain.has_other and len(bins) > 1:
        shown[-1] = False
    kept = np.unique(bins[shown])
    number = np.full(column.n_bins, -1, dtype=np.int64)
    number[kept] = np.arange(len(kept))
    order = np.argsort(bins[shown], kind='stable')
    visible = np.bincount(bins, law, column.n_bins)[kept]
    hidden = np.maximum(1.0 - table[:, kept].sum(axis=1, keepdims=True), 0.0)
    decoder = ColumnDecoder(
        domain,
        column.fine_lower[shown][order],
        column.fine_upper[shown][order],
        number[bins[shown][order]],
        law[shown][order],
    )
    table = table[:, kept] + hidden * (visible / visible.sum()) + 1e-12
    return (table / table.sum(axis=1, keepdims=True)).astype(np.float32), decoder
