"""What is minimised: the smoothed-sliced f-divergence of the released rows from a generator.

Two ways to see the generator's side. `PairLaws` has the exact law of slices of one and two columns
under columns that are independent given the latent numbers, Eq. (31). `RecordLaws` and
`RecordSamples` draw whole records by Gumbel-softmax, for slices of any columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    node_shares,
)
from sdv_slicedp.projection import Projection
from sdv_slicedp.slice_pool import SlicePool

TEMPERATURE = 0.7
"""Of the Gumbel-softmax."""
MOST_SAMPLES = 256
"""Rows of each side in a kernel matrix; its cost grows with their cube."""
COLUMN_WEIGHT = 2.0
"""Weight of the slices of one column beside that of the slices of two."""
_SHRINKING_ROWS = 2**15
_PARTS = 4  # points that stand for the inside of a cell of a number


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


@dataclass(frozen=True, eq=False)
class LinearLaws:
    """Laws on slices that are linear in cell probabilities, as one sparse matrix, Eq. (31).

    Attributes:
        starts: First entry of each slice, and their number at the end.
        sources: Which probability an entry multiplies.
        nodes: First of the four nodes around its place on the slice's grid.
        shares: What the probability is multiplied by for each of them, shape ``(4, entries)``.
    """

    starts: list[int]
    sources: torch.Tensor
    nodes: torch.Tensor
    shares: torch.Tensor

    def __call__(self, probabilities: torch.Tensor, chosen: slice, n_nodes: int) -> torch.Tensor:
        """Laws on the chosen slices before smoothing, shape ``(chosen, n_nodes)``."""
        count = chosen.stop - chosen.start
        here = slice(self.starts[chosen.start], self.starts[chosen.stop])
        sizes = torch.tensor(np.diff(self.starts[chosen.start : chosen.stop + 1]))
        row = torch.repeat_interleave(torch.arange(count), sizes).to(self.nodes.device)
        flat = row * n_nodes + self.nodes[here]
        mass = probabilities[self.sources[here]]
        laws = mass.new_zeros(count * n_nodes)
        for offset, share in enumerate(self.shares):
            laws = laws.index_add(0, flat + offset, mass * share[here])
        return laws.reshape(count, n_nodes)


def _linear(
    places: Sequence[torch.Tensor], sources: Sequence[torch.Tensor], n_nodes: int
) -> LinearLaws:
    """Entries at given places (in nodes), one tensor for each slice; several parts share mass."""
    starts = np.cumsum([0, *(place.numel() for place in places)]).tolist()
    index, shares = node_shares(torch.cat([place.reshape(-1) for place in places]), n_nodes)
    repeats = [place.numel() // len(source) for place, source in zip(places, sources, strict=True)]
    source = torch.cat([s.repeat_interleave(r) for s, r in zip(sources, repeats, strict=True)])
    parts = torch.cat(
        [torch.full((len(s) * r,), 1 / r) for s, r in zip(sources, repeats, strict=True)]
    )
    return LinearLaws(starts, source, index.int(), torch.stack(shares).float() * parts)


class PairLaws:
    """Divergence on slices of one and of two columns, whose laws are exact, Eq. (31)."""

    def __init__(
        self,
        cells: CellMap,
        singles: SlicePool,
        pairs: SlicePool | None,
        chosen: np.ndarray,
        divergence: FDivergence,
        slices_per_step: int,
        device: torch.device,
    ) -> None:
        """Lay the slices out.

        Args:
            cells: What the generator chooses from.
            singles: One slice for each coordinate.
            pairs: Slices of two columns; ``None`` if there is but one column.
            chosen: Columns of each of them, shape ``(S, 2)``.
            divergence: Which divergence.
            slices_per_step: Slices of two columns at a time.
            device: Where to compute.
        """
        self._divergence, self._kernel = divergence, GridKernel(None, NODE_RIDGE)
        self._singles = singles.to(device)
        self._single_laws = _on(device, _single_laws(cells, singles))
        self._pairs = None if pairs is None else pairs.to(device)
        owner = [c for c, block in enumerate(cells.blocks) for _ in range(block.width)]
        self._columns = torch.tensor(owner, device=device)
        numbers = np.unique(chosen, axis=0, return_inverse=True)[1].reshape(-1)
        self._groups = torch.from_numpy(numbers).to(device)
        if pairs is not None:
            self._pair_laws = _on(device, _pair_laws(cells, pairs, chosen))
            self._chunks = chunks(len(pairs), min(slices_per_step, len(pairs)))

    def __call__(self, laws: torch.Tensor) -> torch.Tensor:
        """Mean divergence over some slices of two columns and all of one."""
        everything = slice(0, len(self._singles))
        single = self._compare(self._singles, self._single_laws, laws.mean(dim=0), everything)
        if self._pairs is None:
            return single
        joint = (laws.T @ laws).reshape(-1) / len(laws)
        pair = self._compare(self._pairs, self._pair_laws, joint, next(self._chunks))
        return pair + COLUMN_WEIGHT * single

    def shrink_towards(self, laws: torch.Tensor) -> bool:
        """One factor for each column, and for each pair of columns."""
        with torch.no_grad():
            every = slice(0, len(self._singles))
            single = self._made(self._singles, self._single_laws, laws.mean(dim=0), every)
            self._singles, left = self._singles.shrunk(single, self._columns)
            if self._pairs is not None:
                joint = (laws.T @ laws).reshape(-1) / len(laws)
                made = self._made(self._pairs, self._pair_laws, joint, slice(0, len(self._pairs)))
                self._pairs, more = self._pairs.shrunk(made, self._groups)
                left = left or more
        return left

    def _compare(
        self, pool: SlicePool, laws: LinearLaws, probabilities: torch.Tensor, chosen: slice
    ) -> torch.Tensor:
        made = self._made(pool, laws, probabilities, chosen)
        return grid_f_divergence(pool.laws[chosen], made, self._divergence, self._kernel)

    def _made(
        self, pool: SlicePool, laws: LinearLaws, probabilities: torch.Tensor, chosen: slice
    ) -> torch.Tensor:
        """Smoothed laws of the generator on some slices."""
        made = laws(probabilities, chosen, pool.nodes)
        return made @ pool.smoother


def _single_laws(cells: CellMap, pool: SlicePool) -> LinearLaws:
    """The slice of each coordinate; the cells of its column, those of a number in parts."""
    inside = (np.arange(_PARTS) + 0.5) / _PARTS * 2 - 1
    places, sources = [], []
    for column, block in enumerate(cells.blocks):
        part = cells.part(column)
        for coordinate in range(block.start, block.stop):
            values = cells.vectors[part, coordinate][:, None]
            if coordinate == block.start:
                values = values + cells.reach[part][:, None] * inside
            placed = torch.from_numpy(values).float() - pool.lower[coordinate]
            places.append(placed / pool.width[coordinate])
            sources.append(torch.arange(part.start, part.stop))
    return _linear(places, sources, pool.nodes)


def _pair_laws(cells: CellMap, pool: SlicePool, chosen: np.ndarray) -> LinearLaws:
    """Slices of two columns; sources are positions in the flat T x T matrix of joint laws."""
    vectors = torch.from_numpy(cells.vectors).float() @ pool.directions
    every = torch.arange(len(cells.vectors))
    places, sources = [], []
    for number, (first, second) in enumerate(chosen):
        a, b = cells.part(int(first)), cells.part(int(second))
        values = vectors[a, number][:, None] + vectors[b, number]
        places.append(((values - pool.lower[number]) / pool.width[number]).reshape(-1))
        sources.append((every[a][:, None] * len(every) + every[b]).reshape(-1))
    return _linear(places, sources, pool.nodes)


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


def _on(device: torch.device, laws: LinearLaws) -> LinearLaws:
    tensors = (laws.sources, laws.nodes, laws.shares)
    return LinearLaws(laws.starts, *(tensor.to(device) for tensor in tensors))
