"""The slices that training looks at, and the smoothed laws of the released rows on them.

All of it is post-processing of a projection release. Every linear combination of released slices
is a slice too, whose noise is known. With a full basis, any direction can be had: then slices of
one and of two columns are taken, since their laws under a generator of conditionally independent
columns are exact. Otherwise the slices are the released directions themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch

from sdv_slicedp.cells import CellMap
from sdv_slicedp.grid_divergence import count_laws, smoothing
from sdv_slicedp.moments import Moments
from sdv_slicedp.projection import Projection

Floats = npt.NDArray[np.float64]

NODES_PER_SCALE = 3.0
"""Nodes per standard deviation of the smoothing."""
CAUTION = 2.0
"""Times the noise that a distance must have to be believed at all, Eq. (32)."""
LEAST_PROBABILITY = 1e-5
"""Of a node, in the weights of Eq. (32)."""
MARGIN = 3.5
"""Standard deviations of smoothing between the generator's range and the ends of the grid."""
FINE, COARSE = 0.01, 0.06
"""Smoothing, as a share of a slice's range, of slices of one and of more columns: at least so much
is added up to. Of random slices of several columns, finer structure tells nothing more."""
_CHUNK = 64


@dataclass(frozen=True, eq=False)
class SlicePool:
    """Slices and the released laws on them; all slices have the same grid in units of smoothing.

    Attributes:
        directions: Directions w, shape ``(d, S)``.
        coefficients: Y times these are the released values, shape ``(m, S)``.
        noise: Scale of the noise of the released values, shape ``(S,)``.
        scale: Scale s of the smoothing, at least ``noise``.
        lower: First node.
        width: Distance of nodes.
        laws: Smoothed laws of the released rows, shape ``(S, nodes)``.
        error: Half the difference of the laws of two halves of the rows: as large as the noise
            of ``laws``.
    """

    directions: torch.Tensor
    coefficients: Floats
    noise: torch.Tensor
    scale: torch.Tensor
    lower: torch.Tensor
    width: torch.Tensor
    laws: torch.Tensor
    error: torch.Tensor

    @property
    def nodes(self) -> int:
        """Nodes of each slice."""
        return self.laws.shape[1]

    @cached_property
    def smoother(self) -> torch.Tensor:
        """Matrix that smooths laws of noiseless records to ``scale``, Eq. (27)."""
        return smoothing(self.nodes, NODES_PER_SCALE).to(self.laws.device)

    def __len__(self) -> int:
        """Number of slices."""
        return len(self.laws)

    def to(self, device: torch.device) -> SlicePool:
        """The same on another device."""
        return replace(
            self,
            directions=self.directions.to(device),
            noise=self.noise.to(device),
            scale=self.scale.to(device),
            lower=self.lower.to(device),
            width=self.width.to(device),
            laws=self.laws.to(device),
            error=self.error.to(device),
        )

    def shrunk(self, made: torch.Tensor, groups: torch.Tensor) -> tuple[SlicePool, bool]:
        """The same with laws that are moved to those of a model, as far as noise explains it.

        The positive-part James-Stein estimate, Eq. (32), with one factor for each group of slices:
        the noise's share of the squared distance between released laws and the model's.

        Args:
            made: Smoothed laws of the model, shape ``(S, nodes)``.
            groups: Number of each slice's group, shape ``(S,)``.

        Returns:
            The slices, and whether anything is left that noise does not explain.
        """
        weight = 1 / (made + LEAST_PROBABILITY)
        count = int(groups.max()) + 1

        def energy(values: torch.Tensor) -> torch.Tensor:
            sums = (values.square() * weight).sum(dim=1)
            return torch.zeros(count, device=sums.device).index_add_(0, groups, sums)

        noise, total = energy(self.error), energy(self.laws - made)
        kept = (1 - CAUTION * noise / total.clamp_min(1e-12)).clamp_min(0.0)[groups, None]
        moved = replace(self, laws=made + kept * (self.laws - made))
        return moved, bool(kept.any())


def slice_pool(
    projection: Projection, cells: CellMap, coefficients: Floats, least: float
) -> SlicePool:
    """Slices with the smoothed laws of the released rows, Eq. (27).

    Args:
        projection: The release.
        cells: What the generator can make; sets the ranges of the grids.
        coefficients: Combinations of released slices, shape ``(m, S)``.
        least: Least smoothing, as a share of the slice's range.
    """
    directions = projection.matrix @ coefficients
    noise = projection.sigma * np.linalg.norm(coefficients, axis=0)
    low, high = _range(cells, directions)
    scale = np.maximum(np.maximum(noise, least * (high - low)), 1e-9)
    width = scale / NODES_PER_SCALE
    lower = low - MARGIN * scale
    nodes = int(np.ceil(np.max((high + MARGIN * scale - lower) / width))) + 1
    missing = np.sqrt(np.maximum(1 - (noise / scale) ** 2, 0.0)) * NODES_PER_SCALE
    halves = torch.empty(2, len(noise), nodes)
    for start in range(0, len(noise), _CHUNK):
        part = slice(start, start + _CHUNK)
        values = torch.from_numpy(projection.rows(coefficients[:, part])).T
        ends = torch.from_numpy(lower[part]).float(), torch.from_numpy(width[part]).float()
        # One row cannot be halved: nothing is known of the noise, so nothing is believed.
        parts = torch.tensor_split(values, 2, dim=1) if projection.n_rows > 1 else (values, values)
        for half, rows in zip(halves, parts, strict=True):
            counted = count_laws(rows.contiguous(), *ends, nodes)
            half[part] = _smoothed(counted, missing[part])
    error = (halves[0] - halves[1]) / 2
    return SlicePool(
        directions=torch.from_numpy(directions).float(),
        coefficients=coefficients,
        noise=torch.from_numpy(noise).float(),
        scale=torch.from_numpy(scale).float(),
        lower=torch.from_numpy(lower).float(),
        width=torch.from_numpy(width).float(),
        laws=halves.mean(dim=0),
        error=error if projection.n_rows > 1 else torch.full_like(error, torch.inf),
    )


def _smoothed(laws: torch.Tensor, scales: Floats) -> torch.Tensor:
    """Each law smoothed by its own scale, in nodes."""
    if np.ptp(scales) < 1e-3:
        return laws @ smoothing(laws.shape[1], float(scales.mean()))
    matrices = (smoothing(laws.shape[1], float(scale)) for scale in scales)
    return torch.stack([law @ matrix for law, matrix in zip(laws, matrices, strict=True)])


def _range(cells: CellMap, directions: Floats) -> tuple[Floats, Floats]:
    """Smallest and largest projection that a record can have on each direction."""
    low = high = np.zeros(directions.shape[1])
    for column in range(len(cells.columns)):
        values = cells.vectors[cells.part(column)] @ directions
        reach = cells.reach[cells.part(column)].max() * np.abs(
            directions[cells.blocks[column].start]
        )
        low = low + values.min(axis=0) - reach
        high = high + values.max(axis=0) + reach
    return low, high


def column_directions(cells: CellMap) -> Floats:
    """Every coordinate by itself, shape ``(d, d)``."""
    return np.eye(cells.vectors.shape[1])


def pair_directions(
    cells: CellMap, n_slices: int, rng: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Random directions in the coordinates of two columns each, and which two.

    Returns:
        Unit vectors, shape ``(d, S)``, and the columns, shape ``(S, 2)``; every pair equally often.
    """
    pairs = np.array(list(combinations(range(len(cells.columns)), 2)), dtype=np.int64)
    order = np.concatenate([rng.permutation(len(pairs)) for _ in range(-(-n_slices // len(pairs)))])
    chosen = pairs[order[:n_slices]]
    directions = np.zeros((cells.vectors.shape[1], n_slices))
    for number, pair in enumerate(chosen):
        for column in pair:
            block = cells.blocks[column]
            directions[block.start : block.stop, number] = rng.standard_normal(block.width)
    return directions / np.linalg.norm(directions, axis=0), chosen


def within_release(estimates: Moments, directions: Floats) -> Floats:
    """Combinations of released slices that come nearest to the directions, shape ``(m, S)``."""
    return np.asarray(estimates.coefficients @ directions)
