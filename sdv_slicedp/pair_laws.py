"""The smoothed-sliced f-divergence on slices of one and two columns, whose laws are exact.

Columns of a generator are independent given its latent numbers, so the law of such a slice is
linear in the cell probabilities, Eq. (31).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sdv_slicedp.cells import CellMap
from sdv_slicedp.f_divergence import FDivergence
from sdv_slicedp.grid_divergence import NODE_RIDGE, GridKernel, grid_f_divergence, node_shares
from sdv_slicedp.objectives import chunks
from sdv_slicedp.slice_pool import SlicePool

COLUMN_WEIGHT = 2.0
"""Weight of the slices of one column beside that of the slices of two."""
_PARTS = 4  # points that stand for the inside of a cell of a number


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


def _on(device: torch.device, laws: LinearLaws) -> LinearLaws:
    tensors = (laws.sources, laws.nodes, laws.shares)
    return LinearLaws(laws.starts, *(tensor.to(device) for tensor in tensors))
