"""The zooming grid: one-column cells that become finer only where the noisy counts are.

Everything here is a pure function of public cells and noisy counts. Cells are arrays of inclusive
``lower`` and ``upper`` grid positions, sorted and disjoint; the cell of missing values is
``[MISSING, MISSING]`` and sorts first. A discrete column has one cell per category code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sdv_slicedp.domain import (
    MAX_UNITS,
    MISSING,
    CategoricalDomain,
    NumericalDomain,
)
from sdv_slicedp.levels import Level
from sdv_slicedp.pooling import SIGNIFICANCE, pool

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ROOT_CELLS = 16
BRANCHING = 8
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
    levels: Sequence[tuple[Cells, Floats, float]],
) -> tuple[Cells, Floats, Floats]:
    """Least-squares counts of the finest cells, from all levels of one column, Eq. (9).

    Up the tree, a refined cell's own count and the sum of its children are averaged by inverse
    variance; down the tree, what is left over goes to the children by their variance (Hay,
    Rastogi, Miklau, Suciu 2010, section 4, for trees with unequal branches).

    Args:
        levels: ``(cells, counts, variance)`` from coarse to fine; each level refines cells of
            the one before.

    Returns:
        The leaves in order, their counts and their variances, each of shape ``(leaves,)``.
    """
    nodes = _upward(levels)
    counts, spread = nodes[0].counts, nodes[0].spread
    leaves = [(nodes[0], counts, spread)]
    for above, below in pairwise(nodes):
        parent = above.cells.locate(below.cells.lower)
        gain = below.spread / above.children_spread[parent]
        left_over = counts - above.children
        counts, spread = (
            below.counts + gain * left_over[parent],
            below.spread * (1 - gain) + gain**2 * spread[parent],
        )
        leaves.append((below, counts, spread))
    return sorted_leaves(leaves)


class Nodes:
    """One level of the tree on the way up; cells without children are leaves.

    Attributes:
        cells: Cells of the level.
        counts: Their counts, averaged with the sums of their children.
        spread: Variances of these; counts of different cells err independently.
        children: Sums over the children of each cell.
        children_spread: Variances of these, 0 where there are no children.
    """

    def __init__(self, cells: Cells, counts: Floats, spread: Floats) -> None:
        self.cells = cells
        self.counts = np.asarray(counts, dtype=np.float64)
        self.spread = np.asarray(spread, dtype=np.float64)
        self.children = np.zeros(len(cells))
        self.children_spread = np.zeros(len(cells))

    @property
    def is_leaf(self) -> npt.NDArray[np.bool_]:
        """Cells that are not split further."""
        return np.asarray(self.children_spread == 0)


def _upward(levels: Sequence[tuple[Cells, Floats, float]]) -> list[Nodes]:
    cells, counts, variance = levels[-1]
    nodes = [Nodes(cells, counts, np.full(len(cells), variance))]
    for cells, counts, variance in reversed(levels[:-1]):
        nodes.insert(0, _with_children(cells, counts, variance, nodes[0]))
    return nodes


def _with_children(cells: Cells, counts: Floats, variance: float, below: Nodes) -> Nodes:
    nodes = Nodes(cells, counts, np.full(len(cells), variance))
    parent = cells.locate(below.cells.lower)
    nodes.children += np.bincount(parent, below.counts, len(cells))
    nodes.children_spread += np.bincount(parent, below.spread, len(cells))
    weight = np.where(nodes.is_leaf, 0.0, variance / (variance + nodes.children_spread))
    nodes.counts = (1 - weight) * nodes.counts + weight * nodes.children
    nodes.spread = np.where(nodes.is_leaf, variance, weight * nodes.children_spread)
    return nodes


def sorted_leaves(
    leaves: Sequence[tuple[Nodes, Floats, Floats]],
) -> tuple[Cells, Floats, Floats]:
    """Cells without children of all levels in order, with their counts and variances.

    Args:
        leaves: Each level with counts of its cells and their variances.
    """
    lower = np.concatenate([nodes.cells.lower[nodes.is_leaf] for nodes, _, _ in leaves])
    upper = np.concatenate([nodes.cells.upper[nodes.is_leaf] for nodes, _, _ in leaves])
    counts = np.concatenate([counts[nodes.is_leaf] for nodes, counts, _ in leaves])
    spread = np.concatenate([spread[nodes.is_leaf] for nodes, _, spread in leaves])
    order = np.argsort(lower, kind='stable')
    return Cells(lower[order], upper[order]), counts[order], spread[order]


def within(cells: Cells, lower: int, upper: int) -> npt.NDArray[np.bool_]:
    """Cells inside ``lower..upper``, and the cell of missing values."""
    return np.asarray(((cells.lower >= lower) & (cells.upper <= upper)) | (cells.lower == MISSING))


def leaves(levels: Sequence[Level]) -> tuple[Cells, Floats, Floats]:
    """Finest cells of a released column, their counts and variances, Eq. (9)."""
    return consistent_leaves(_counted(levels))


def combined(levels: Sequence[Level]) -> list[Nodes]:
    """Levels of a released column, each cell's count averaged with what is counted below it."""
    return _upward(_counted(levels))


def _counted(levels: Sequence[Level]) -> list[tuple[Cells, Floats, float]]:
    return [(Cells(v.lower, v.upper), v.counts.astype(np.float64), v.sigma**2) for v in levels]


def pooled(
    cells: Cells, counts: Floats, variance: Floats, law: Floats
) -> tuple[Cells, Floats, Integers]:
    """Cells of a number merged until significant, spikes alone.

    Args:
        cells: Leaves of the column.
        counts: Their least-squares counts, by which they are merged.
        variance: Variances of these.
        law: Counts that the merged cells get the sums of.

    Returns:
        The merged cells, their sums, and the merged cell of each leaf.
    """
    groups = pool(cells, counts, variance, SIGNIFICANCE * float(np.sqrt(variance.max())))
    first = np.flatnonzero(np.r_[True, np.diff(groups) > 0])
    last = np.r_[first[1:] - 1, len(groups) - 1]
    sums = np.asarray(np.bincount(groups, law), dtype=np.float64)
    return Cells(cells.lower[first], cells.upper[last]), sums, groups
