"""Which slices of a projection release training looks at, and by which estimator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sdv_slicedp import slice_pool
from sdv_slicedp.cells import CellMap
from sdv_slicedp.f_divergence import f_divergence
from sdv_slicedp.fitting import random_stream
from sdv_slicedp.moments import Moments
from sdv_slicedp.objectives import RecordLaws, RecordSamples, SlicedObjective
from sdv_slicedp.pair_laws import PairLaws
from sdv_slicedp.projection import Projection

MOST_ENTRIES = 2**23
"""Cells of pairs, over all slices, that are kept in memory."""
ESTIMATORS = ('grid', 'samples')
"""Laws on a grid, of all released rows at once; or kernel density ratios of batches, Eq. (5)."""


@dataclass(frozen=True)
class SlicePlan:
    """What training looks at.

    Attributes:
        divergence: Name of the f-divergence.
        estimator: One of ``ESTIMATORS``.
        n_slices: Slices of two columns.
        slices_per_step: Slices that a step sees.
        seed: Seed of the slices and of the records that are drawn.
    """

    divergence: str
    estimator: str
    n_slices: int
    slices_per_step: int
    seed: int | None


def sliced_objective(
    projection: Projection,
    cells: CellMap,
    estimates: Moments,
    plan: SlicePlan,
    device: torch.device,
) -> SlicedObjective:
    """The smoothed-sliced f-divergence of the released rows.

    With a full basis, on slices of one and of two columns; else, and with the samples estimator,
    on the released directions themselves.

    Raises:
        ValueError: If the divergence or the estimator is unknown.
    """
    divergence = f_divergence(plan.divergence)
    if plan.estimator not in ESTIMATORS:
        raise ValueError(f'estimator must be one of {ESTIMATORS}, got {plan.estimator!r}.')
    if plan.estimator == 'grid' and estimates.is_complete:
        pools = pair_pools(projection, cells, estimates, plan)
        return PairLaws(cells, *pools, divergence, plan.slices_per_step, device)
    pool = released_pool(projection, cells)
    stream = random_stream(plan.seed, device)
    if plan.estimator == 'grid':
        return RecordLaws(cells, pool, divergence, plan.slices_per_step, stream)
    return RecordSamples(projection, cells, pool, divergence, plan.slices_per_step, stream)


def pair_pools(
    projection: Projection, cells: CellMap, estimates: Moments, plan: SlicePlan
) -> tuple[slice_pool.SlicePool, slice_pool.SlicePool | None, np.ndarray]:
    """Slices of every coordinate, random ones of two columns, and which columns these are."""

    def pool(directions: slice_pool.Floats, least: float) -> slice_pool.SlicePool:
        combinations = slice_pool.within_release(estimates, directions)
        return slice_pool.slice_pool(projection, cells, combinations, least)

    singles = pool(slice_pool.column_directions(cells), slice_pool.FINE)
    if len(cells.columns) < 2:
        return singles, None, np.zeros((0, 2), dtype=np.int64)
    sizes = np.array([column.n_bins for column in cells.columns], dtype=np.float64)
    typical = (sizes.sum() ** 2 - (sizes**2).sum()) / (len(sizes) * (len(sizes) - 1))
    count = max(min(plan.n_slices, int(MOST_ENTRIES / typical)), 1)
    directions, chosen = slice_pool.pair_directions(cells, count, np.random.default_rng(plan.seed))
    return singles, pool(directions, slice_pool.COARSE), chosen


def released_pool(projection: Projection, cells: CellMap) -> slice_pool.SlicePool:
    """The released directions themselves."""
    everything = np.eye(projection.directions.shape[1])
    return slice_pool.slice_pool(projection, cells, everything, slice_pool.COARSE)
