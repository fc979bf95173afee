"""The zooming grid: one-column cells that become finer only where the noisy counts are.

Everything here is a pure function of public cells and noisy counts. Cells are arrays of inclusive
``lower`` and ``upper`` grid positions, sorted and disjoint; the cell of missing values is
``[MISSING, MISSING]`` and sorts first. A discrete column has one cell per category code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdv_slicedp.domain import (
    MAX_UNITS,
    MISSING,
    CategoricalDomain,
    ColumnDomain,
    NumericalDomain,
)
from sdv_slicedp.release import Level

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROOT_CELLS = 32
BRANCHING = 8
SIGNIFICANCE = 4.0
"""A cell is refined, or stands alone, if its noisy count exceeds this many noise scales."""
HIDDEN = 0.5
"""A pooled cell with less than this many noise scales looks empty."""
FLOOR = 0.1
"""Noise scales of count that an empty-looking cell keeps, so that no part of a domain is lost."""
NANOSECONDS_PER_YEAR = 31_556_952 * 10**9
FIRST_YEAR, LAST_YEAR = -292, 292
"""Years from 1970 that 64-bit nanoseconds can hold."""


@dataclass(frozen=True)
class Cells:
    """Disjoint sorted cells of one column, bounds inclusive; arrays of shape ``(cells,)``."""

    lower: Integers
    upper: Integers

    def __len__(self) -> int:
        """Number of cells."""
        return len(self.lower)

    @property
    def widths(self) -> Floats:
        """Number of grid positions in each cell."""
        return self.upper.astype(np.float64) - self.lower.astype(np.float64) + 1.0

    def locate(self, positions: Integers) -> Integers:
        """Index of the cell that holds each position; -1 where there is none."""
        if len(self) == 0:
            return np.full(len(positions), -1, dtype=np.int64)
        index = np.searchsorted(self.lower, positions, side='right') - 1
        outside = (index < 0) | (positions > self.upper[np.maximum(index, 0)])
        index[outside] = -1
        return index


def root_cells(domain: CategoricalDomain | NumericalDomain) -> Cells:
    """Public cells of a column's first slice.

    A discrete column: one cell per code. A numeric column with bounds: up to ``ROOT_CELLS`` cells
    of equal width. Without bounds: zero and the signed powers of two, or calendar years.
    """
    if isinstance(domain, CategoricalDomain):
        codes = np.arange(domain.n_cells, dtype=np.int64)
        return Cells(codes, codes)
    if domain.lower is not None and domain.upper is not None:
        lower, upper = split(domain.lower, domain.upper, ROOT_CELLS)
    elif domain.sdtype == 'datetime':
        lower, upper = _year_cells(domain)
    else:
        lower, upper = _power_cells()
    if domain.has_missing:
        lower, upper = np.r_[MISSING, lower], np.r_[MISSING, upper]
    return Cells(lower, upper)


def split(lower: int, upper: int, parts: int) -> tuple[Integers, Integers]:
    """Up to ``parts`` cells of nearly equal width that cover ``lower..upper``."""
    width = upper - lower + 1
    parts = min(parts, width)
    edges = np.array([lower + width * i // parts for i in range(parts + 1)], dtype=np.int64)
    return edges[:-1], edges[1:] - 1


def _power_cells() -> tuple[Integers, Integers]:
    exponents = np.arange(MAX_UNITS.bit_length() - 1, dtype=np.int64)
    lower, upper = 2**exponents, 2 ** (exponents + 1) - 1
    upper[-1] = MAX_UNITS
    return np.r_[-upper[::-1], 0, lower], np.r_[-lower[::-1], 0, upper]


def _year_cells(domain: NumericalDomain) -> tuple[Integers, Integers]:
    numerator, denominator = domain.step or (1, 1)
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    edges = [NANOSECONDS_PER_YEAR * y * denominator // numerator for y in years]
    unique = np.unique(np.clip(np.array(edges, dtype=object), -MAX_UNITS, MAX_UNITS))
    lower = unique.astype(np.int64)
    return lower[:-1], lower[1:] - 1


def significant(counts: Integers, sigma: float) -> npt.NDArray[np.bool_]:
    """Cells whose noisy count stands above the noise."""
    return np.asarray(counts > SIGNIFICANCE * sigma)


def refine(cells: Cells, counts: Integers, sigma: float) -> Cells:
    """Children of the significant cells that can still be split; empty when there are none."""
    chosen = significant(counts, sigma) & (cells.widths > 1)
    parts = [
        split(int(lower), int(upper), BRANCHING)
        for lower, upper in zip(cells.lower[chosen], cells.upper[chosen], strict=True)
    ]
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return Cells(empty, empty)
    return Cells(np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))


def levels_needed(width: float) -> int:
    """Refinements that take a cell of ``width`` grid positions to single positions."""
    levels = 0
    while width > 1:
        width = np.ceil(width / BRANCHING)
        levels += 1
    return levels


def consistent_leaves(
    levels: list[tuple[Cells, Floats, float]],
) -> tuple[Cells, Floats, Floats]:
    """Least-squares counts of the finest cells, from all levels of one column.

    Up the tree, a refined cell's own count and the sum of its children are averaged by inverse
    variance; down the tree, what is left over goes to the children by their variance (Hay,
    Rastogi, Miklau, Suciu 2010, section 4, for trees with unequal branches). Eq. (9).

    Args:
        levels: ``(cells, counts, variance)`` from coarse to fine; each level refines cells of
            the one before.

    Returns:
        The leaves in order, their counts and their variances, each of shape ``(leaves,)``.
    """
    cells, counts, variance = levels[0]
    own = np.asarray(counts, dtype=np.float64)
    spread = np.full(len(cells), float(variance))
    if len(levels) == 1:
        return cells, own, spread
    below, below_counts, below_spread = consistent_leaves(levels[1:])
    parent = cells.locate(below.lower)
    children = np.bincount(parent, below_counts, len(cells))
    children_spread = np.bincount(parent, below_spread, len(cells))
    refined = children_spread > 0
    weight = np.where(refined, spread / np.where(refined, spread + children_spread, 1.0), 0.0)
    combined = (1 - weight) * own + weight * children
    combined_spread = np.where(refined, weight * children_spread, spread)
    gain = below_spread / children_spread[parent]
    below_counts = below_counts + gain * (combined - children)[parent]
    below_spread = below_spread * (1 - gain) + gain**2 * combined_spread[parent]
    return _merge_leaves(
        (cells, combined, combined_spread, ~refined), (below, below_counts, below_spread)
    )


def _merge_leaves(
    above: tuple[Cells, Floats, Floats, npt.NDArray[np.bool_]],
    below: tuple[Cells, Floats, Floats],
) -> tuple[Cells, Floats, Floats]:
    cells, counts, spread, kept = above
    lower = np.concatenate([cells.lower[kept], below[0].lower])
    upper = np.concatenate([cells.upper[kept], below[0].upper])
    order = np.argsort(lower, kind='stable')
    return (
        Cells(lower[order], upper[order]),
        np.concatenate([counts[kept], below[1]])[order],
        np.concatenate([spread[kept], below[2]])[order],
    )


def within(cells: Cells, lower: int, upper: int) -> npt.NDArray[np.bool_]:
    """Cells inside ``lower..upper``, and the cell of missing values."""
    return np.asarray(((cells.lower >= lower) & (cells.upper <= upper)) | (cells.lower == MISSING))


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


def column_law(domain: ColumnDomain, levels: Sequence[Level]) -> tuple[Cells, Floats, Floats]:
    """Fine cells of a column, their estimated counts (positive) and variances.

    A discrete column: its codes; counts that the noise hides share their sum equally. A numeric
    column: spikes alone, the rest pooled until significant.
    """
    cells, counts, spread = consistent_leaves(
        [(Cells(v.lower, v.upper), v.counts.astype(np.float64), v.sigma**2) for v in levels]
    )
    if isinstance(domain, CategoricalDomain):
        hidden = counts < SIGNIFICANCE / 2 * np.sqrt(spread)
        floor = FLOOR * float(np.sqrt(spread.mean()))
        counts[hidden] = max(float(counts[hidden].mean()), floor) if hidden.any() else 0.0
        return cells, counts, spread
    groups = pool(cells, counts, spread, SIGNIFICANCE * float(np.sqrt(spread.max())))
    first = np.flatnonzero(np.r_[True, np.diff(groups) > 0])
    last = np.r_[first[1:] - 1, len(groups) - 1]
    sums: Floats = np.bincount(groups, counts).astype(np.float64)
    variances: Floats = np.bincount(groups, spread).astype(np.float64)
    hidden = sums < HIDDEN * np.sqrt(variances)
    sums[hidden] = FLOOR * np.sqrt(variances[hidden])
    return Cells(cells.lower[first], cells.upper[last]), sums, variances
