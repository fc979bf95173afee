"""Cells of one column merged to fewer cells, by their estimated counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sdv_slicedp.domain import MISSING

if TYPE_CHECKING:
    from sdv_slicedp.grid import Cells

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SIGNIFICANCE = 4.0
"""A cell is refined, or stands alone, if its noisy count exceeds this many noise scales."""


def pool(cells: Cells, counts: Floats, spread: Floats, target: float) -> Integers:
    """Groups of neighbouring cells with at least ``target`` of the mass; spikes stay alone.

    A cell that reaches ``target`` and stands ``SIGNIFICANCE`` noise scales above zero is a spike:
    it starts and ends its own group; so does the cell of missing values. Between spikes, a group
    is closed as soon as it reaches ``target``.

    Args:
        cells: Sorted cells.
        counts: Estimated counts, shape ``(cells,)``.
        spread: Their variances, shape ``(cells,)``.
        target: Smallest count of a closed group.

    Returns:
        Group number of each cell, increasing from zero, shape ``(cells,)``.
    """
    alone = (counts >= target) & (counts > SIGNIFICANCE * np.sqrt(spread))
    alone |= cells.lower == MISSING
    groups = np.zeros(len(cells), dtype=np.int64)
    group, mass = -1, np.inf
    for i in range(len(cells)):
        if alone[i] or mass >= target:
            group, mass = group + 1, 0.0
        groups[i] = group
        mass = np.inf if alone[i] else mass + counts[i]
    return groups


def close_bins(
    score: Floats, counts: Floats, alone: npt.NDArray[np.bool_], target: float, floor: float
) -> Integers:
    """Groups of neighbouring cells, closed when they reach a score and hold enough rows.

    A cell that reaches both by itself, or is marked ``alone``, is its own group.

    Args:
        score: Share of the bins that each cell asks for, shape ``(cells,)``.
        counts: Estimated counts, not negative.
        alone: Cells that are groups in any case.
        target: Score that closes a group.
        floor: Count that closes a group.

    Returns:
        Group number of each cell, increasing from zero.
    """
    single = alone | ((score >= target) & (counts >= floor))
    groups = np.zeros(len(score), dtype=np.int64)
    group, total, count = -1, np.inf, np.inf
    for i in range(len(score)):
        if single[i] or (total >= target and count >= floor):
            group, total, count = group + 1, 0.0, 0.0
        groups[i] = group
        total = np.inf if single[i] else total + score[i]
        count = np.inf if single[i] else count + counts[i]
    return groups


def join_small(groups: Integers, counts: Floats, target: float, keep: Integers) -> Integers:
    """Groups with less than ``target`` of the mass joined to their left neighbour.

    Args:
        groups: Group number of each cell, increasing.
        counts: Estimated counts of the cells.
        target: Smallest count of a group that stays.
        keep: Groups that neither join nor are joined.
    """
    masses = np.bincount(groups, np.maximum(counts, 0.0))
    fixed = np.isin(np.arange(len(masses)), keep)
    joins = (masses < target) & ~fixed & ~np.r_[True, fixed[:-1]]
    numbers: Integers = np.cumsum(~joins) - 1
    return numbers[groups]


def pack(counts: Floats, target: float) -> Integers:
    """Groups of unordered cells with at least ``target`` of the mass, largest cells first.

    Args:
        counts: Estimated counts, shape ``(cells,)``.
        target: Smallest count of a group; only the last group may have less.

    Returns:
        Group number of each cell, shape ``(cells,)``.
    """
    groups = np.zeros(len(counts), dtype=np.int64)
    group, mass = -1, np.inf
    for i in np.argsort(-counts, kind='stable'):
        if mass >= target:
            group, mass = group + 1, 0.0
        groups[i] = group
        mass += max(counts[i], 0.0)
    return groups
