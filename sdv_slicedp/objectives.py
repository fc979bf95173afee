"""What is minimised: the smoothed-sliced f-divergence of the released rows from a generator.

Two ways to see the generator's side. `RecordLaws` and `RecordSamples` draw whole records by
Gumbel-softmax, for slices of any columns. `pair_laws.PairLaws` has the exact law of slices of one
and two columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch

from sdv_slicedp.cells import CellMap
from sdv_slicedp.density_ratio import sliced_f_divergence
from sdv_slicedp.f_divergence import FDivergence
from sdv_slicedp.grid_divergence import (
    NODE_RIDGE,
    GridKernel,
    grid_f_divergence,
    node_laws,
)
from sdv_slicedp.projection import Projection
from sdv_slicedp.slice_pool import SlicePool

TEMPERATURE = 0.7
"""Of the Gumbel-softmax."""
MOST_SAMPLES = 256
"""Rows of each side in a kernel matrix; its cost grows with their cube."""
_SHRINKING_ROWS = 2**15


class Objective(Protocol):
    """A loss of a generator's laws."""

    def __call__(self, laws: torch.Tensor) -> torch.Tensor:
        """Loss at the laws of a batch of latent numbers, shape ``(batch, T)``."""
        ...


class SlicedObjective(Objective, Protocol):
    """One that knows how noisy the released laws are."""

    def shrink_towards(self, laws: torch.Tensor) -> bool:
        """Take off what noise explains of the distance from a model, Eq. (32).

        Args:
            laws: Of a batch of the model's latent numbers, shape ``(batch, T)``.

        Returns:
            Whether anything is left to learn.
        """
        ...


def chunks(total: int, size: int) -> Iterator[slice]:
    """Slices of a pool, so many at a time, over and over."""
    while True:
        for start in range(0, total, size):
            yield slice(start, min(start + size, total))


class Records:
    """Whole records drawn by Gumbel-softmax, and their projections.

    Forward, every column is in one cell; backward, the gradient is that of a softmax at
    ``TEMPERATURE`` (straight through). Numbers are uniform inside their cell.
    """

    def __init__(self, cells: CellMap, pool: SlicePool, stream: torch.Generator) -> None:
        """Project on the slices of a pool, with randomness from a stream."""
        device = stream.device
        self._stream, self._sizes = stream, [column.n_bins for column in cells.columns]
        self._vectors = torch.from_numpy(cells.vectors).float().to(device) @ pool.directions.to(
            device
        )
        first = np.repeat([block.start for block in cells.blocks], self._sizes)
        reach = torch.from_numpy(cells.reach).float()[:, None] * pool.directions[first]
        self._reach = reach.to(device) if cells.reach.any() else None

    def project(self, laws: torch.Tensor, chosen: slice) -> torch.Tensor:
        """Projections of one record for each row of laws, shape ``(chosen, batch)``."""
        cells = self.draw(laws)
        values = cells @ self._vectors[:, chosen]
        if self._reach is not None:
            inside = torch.rand(
                len(laws), len(self._sizes), generator=self._stream, device=laws.device
            )
            sizes = torch.tensor(self._sizes, device=laws.device)
            offset = (2 * inside - 1).repeat_interleave(sizes, dim=1)
            values = values + (cells * offset) @ self._reach[:, chosen]
        return values.T

    def draw(self, laws: torch.Tensor) -> torch.Tensor:
        """One cell of each column, one-hot, shape ``(batch, T)``."""
        uniform = torch.rand(laws.shape, generator=self._stream, device=laws.device)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
        logits = torch.log(laws.clamp_min(1e-12)) + gumbel
        drawn = []
        for part in torch.split(logits, self._sizes, dim=1):
            soft = torch.softmax(part / TEMPERATURE, dim=1)
            hard = torch.zeros_like(soft).scatter_(1, part.argmax(dim=1, keepdim=True), 1.0)
            drawn.append(hard - soft.detach() + soft)
        return torch.cat(drawn, dim=1)


class RecordLaws:
    """Divergence on slices of any columns: records drawn, laws on the grid."""

    def __init__(
        self,
        cells: CellMap,
        pool: SlicePool,
        divergence: FDivergence,
        slices_per_step: int,
        stream: torch.Generator,
    ) -> None:
        """Look at ``slices_per_step`` slices of the pool at a time."""
        self._records = Records(cells, pool, stream)
        self._pool = pool.to(stream.device)
        self._divergence, self._kernel = divergence, GridKernel(None, NODE_RIDGE)
        self._chunks = chunks(len(pool), slices_per_step)

    def __call__(self, laws: torch.Tensor) -> torch.Tensor:
        """Mean divergence over some slices."""
        chosen = next(self._chunks)
        made = self._made(laws, chosen)
        return grid_f_divergence(self._pool.laws[chosen], made, self._divergence, self._kernel)

    def shrink_towards(self, laws: torch.Tensor) -> bool:
        """One factor for each slice."""
        every = slice(0, len(self._pool))
        with torch.no_grad():
            draws = [self._made(laws, every) for _ in range(-(-_SHRINKING_ROWS // len(laws)))]
            groups = torch.arange(len(self._pool), device=laws.device)
            self._pool, left = self._pool.shrunk(torch.stack(draws).mean(dim=0), groups)
        return left

    def _made(self, laws: torch.Tensor, chosen: slice) -> torch.Tensor:
        """Smoothed laws of records drawn from the generator."""
        pool = self._pool
        values = self._records.project(laws, chosen)
        made = node_laws(values, pool.lower[chosen], pool.width[chosen], pool.nodes)
        return made @ pool.smoother


class RecordSamples:
    """Divergence by the kernel density ratio of samples, Eq. (5): the estimator of the paper.

    Released rows carry their noise; generated ones get as much.

    Attributes:
        most_samples: Rows of each side.
    """

    most_samples = MOST_SAMPLES

    def __init__(
        self,
        projection: Projection,
        cells: CellMap,
        pool: SlicePool,
        divergence: FDivergence,
        slices_per_step: int,
        stream: torch.Generator,
    ) -> None:
        """Compare batches of released and of generated rows on some slices at a time."""
        self._projection, self._divergence = projection, divergence
        self._records = Records(cells, pool, stream)
        self._pool, self._stream = pool.to(stream.device), stream
        self._chunks = chunks(len(pool), slices_per_step)

    def __call__(self, laws: torch.Tensor) -> torch.Tensor:
        """Mean divergence over some slices."""
        return self.compare(*self.batches(laws))

    def shrink_towards(self, laws: torch.Tensor) -> bool:
        """Batches are as they are."""
        return True

    def batches(self, laws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Released and generated projections, noise in both, shape ``(slices, batch)`` each."""
        chosen = next(self._chunks)
        size, device = (min(len(laws), self.most_samples),), laws.device
        some = torch.randint(len(laws), size, generator=self._stream, device=device)
        made = self._records.project(laws[some], chosen)
        rows = torch.randint(self._projection.n_rows, size, generator=self._stream, device=device)
        coefficients = self._pool.coefficients[:, chosen] * self._projection.pitch
        values = self._projection.values[rows.cpu().numpy()] @ coefficients
        noise = torch.randn(made.shape, generator=self._stream, device=laws.device)
        real = torch.from_numpy(values.T).to(made)
        return real, made + self._pool.noise[chosen][:, None] * noise

    def compare(self, real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """Divergence of two batches."""
        return sliced_f_divergence(real, made, self._divergence)
