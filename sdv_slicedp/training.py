"""From a release to a trained generator; no data, no budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tqdm import tqdm

from sdv_slicedp.denoising import Target, denoise
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.generator import ColumnDecoder, MixtureModel
from sdv_slicedp.release import ColumnRelease, Release

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Schedule:
    """How a mixture is trained."""

    epochs: int = 600
    n_components: int = 1000
    learning_rate: float = 0.3
    starting_scale: float = 0.5
    decay: float = 0.01


def train(
    release: Release,
    *,
    generator: str = 'mixture',
    epochs: int | None = None,
    n_components: int | None = None,
    seed: int | None = None,
    device: str = 'cpu',
    verbose: bool = False,
    schedule: Schedule | None = None,
    callback: Callable[[int, float], None] | None = None,
) -> MixtureModel:
    base = schedule or Schedule()
    schedule = Schedule(
        epochs or base.epochs, n_components or base.n_components, base.learning_rate,
        base.starting_scale, base.decay
    )
    target = denoise(release)
    problem = GramProblem(target, torch.device(device))
    logits = problem.start(schedule, seed)
    losses = minimise(problem, logits, schedule, verbose=verbose)
    blocks = problem.softmax(logits).cpu().numpy()
    components = np.split(blocks, problem.offsets[1:-1], axis=1)
    return build_model(release, target, components, losses)


class GramProblem:
    """Loss (8) over all pairs at once: the model's two-column laws are one Gram matrix, Eq. (7)."""

    def __init__(self, target: Target, device: torch.device) -> None:
        sizes = [len(law) for law in target.laws]
        self.offsets = np.cumsum([0, *sizes])
        total = int(self.offsets[-1])
        table = np.zeros((total, total), dtype=np.float32)
        weight = np.zeros((total, total), dtype=np.float32)
        scale = float(np.mean(target.precisions)) if len(target.precisions) else 1.0
        for (a, b), law, precision in zip(
            target.pairs, target.tables, target.precisions, strict=True
        ):
            rows = slice(self.offsets[a], self.offsets[a + 1])
            cols = slice(self.offsets[b], self.offsets[b + 1])
            table[rows, cols], table[cols, rows] = law, law.T
            weight[rows, cols] = weight[cols, rows] = precision / scale
        self.table = torch.from_numpy(table).to(device)
        self.weight = torch.from_numpy(weight).to(device)
        self.law = torch.from_numpy(np.concatenate(target.laws).astype(np.float32)).to(device)
        self.column = torch.from_numpy(
            np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
        ).to(device)
        self.n_columns = len(sizes)

    def start(self, schedule: Schedule, seed: int | None) -> torch.Tensor:
        """Logits near the product of the one-column laws."""
        rng = torch.Generator(device='cpu')
        if seed is None:
            rng.seed()
        else:
            rng.manual_seed(seed)
        noise = torch.randn(schedule.n_components, len(self.law), generator=rng)
        return torch.log(self.law.clamp_min(1e-6)) + schedule.starting_scale * noise.to(
            self.law.device
        )

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        """Softmax of each column's block of logits."""
        exp = torch.exp(logits - logits.amax(1, keepdim=True).clamp_min(0))
        total = torch.zeros(len(logits), self.n_columns, device=logits.device)
        total.index_add_(1, self.column, exp)
        return exp / total.clamp_min(1e-30)[:, self.column]

    def loss_and_gradient(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss (8) and its gradient in the logits."""
        p = self.softmax(logits)
        residual = (p.T @ p) / len(p) - self.table
        weighted = self.weight * residual
        loss = 0.5 * (weighted * residual).sum()
        upstream = p @ weighted
        product = p * upstream
        inner = torch.zeros(len(p), self.n_columns, device=p.device)
        inner.index_add_(1, self.column, product)
        return loss, product - p * inner[:, self.column]


def minimise(
    problem: GramProblem, logits: torch.Tensor, schedule: Schedule, *, verbose: bool
) -> pd.DataFrame:
    """Adam on the logits with a step that decays; the loss of each epoch."""
    first, second = torch.zeros_like(logits), torch.zeros_like(logits)
    losses = []
    for epoch in tqdm(range(schedule.epochs), disable=not verbose, desc='Training'):
        loss, gradient = problem.loss_and_gradient(logits)
        first.mul_(0.9).add_(gradient, alpha=0.1)
        second.mul_(0.99).addcmul_(gradient, gradient, value=0.01)
        t = epoch + 1
        step = schedule.learning_rate * schedule.decay ** (epoch / schedule.epochs)
        direction = first / (1 - 0.9**t) / ((second / (1 - 0.99**t)).sqrt() + 1e-12)
        logits.sub_(direction, alpha=step)
        losses.append(float(loss))
    return pd.DataFrame({'Epoch': np.arange(len(losses)), 'Loss': losses})


def build_model(
    release: Release, target: Target, components: list[npt.NDArray[np.float32]], losses: pd.DataFrame
) -> MixtureModel:
    """Model without the remainder cells, which have no value to show."""
    tables, decoders = [], []
    for column, table, law in zip(release.columns, components, target.fine_laws, strict=True):
        table, decoder = _visible(column, table, law)
        tables.append(table)
        decoders.append(decoder)
    return MixtureModel(tables, decoders, losses)


def _visible(
    column: ColumnRelease, table: npt.NDArray[np.float32], law: Floats
) -> tuple[npt.NDArray[np.float32], ColumnDecoder]:
    domain, bins = column.domain, column.bins
    shown = np.ones(len(bins), dtype=bool)
    if isinstance(domain, CategoricalDomain) and domain.has_other and len(bins) > 1:
        shown[-1] = False
    kept = np.unique(bins[shown])
    renumber = np.full(column.n_bins, -1)
    renumber[kept] = np.arange(len(kept))
    order = np.argsort(bins[shown], kind='stable')
    table = table[:, kept] + np.float32(1e-12)
    decoder = ColumnDecoder(
        domain,
        column.fine_lower[shown][order],
        column.fine_upper[shown][order],
        renumber[bins[shown][order]],
        law[shown][order],
    )
    return table / table.sum(1, keepdims=True), decoder
