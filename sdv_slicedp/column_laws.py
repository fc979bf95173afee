"""Laws of single columns from their noisy slices, by a posterior for numbers: Eqs. (51) to (53).

The rows of a column of numbers are divided between halves of its range, halves of those, and so
on. At each split, what the noisy counts say of the two shares is weighed against what shares are
like: often in proportion to the widths, or nearly so, and often all on one side. All priors are
public constants, so that nothing is tuned to the data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from sdv_slicedp import grid
from sdv_slicedp.domain import MISSING, CategoricalDomain, ColumnDomain
from sdv_slicedp.grid import Cells, Floats, Integers, Nodes
from sdv_slicedp.levels import Level
from sdv_slicedp.pooling import SIGNIFICANCE

FLOOR = 0.1
"""Noise scales of count that hidden categories keep, so that no part of a domain is lost."""
SHARE_SCALES = (0.05, 0.2, 5.0)
"""Prior scales of a share about that of the width; the last one is as good as flat."""
SPLITS = (0.3, 0.45, 0.55, 0.7)
"""Where ranges are split, as a share of their cells; the mean is taken over these."""
_LEAST_MASS = 1e-9  # rows; less is divided as this would be
_LEAST = 1e-300  # so that nothing is divided by 0


def column_law(domain: ColumnDomain, levels: Sequence[Level], rows: float) -> tuple[Cells, Floats]:
    """Finest cells of a column and their estimated counts, not negative.

    Args:
        domain: Domain of the column.
        levels: Its one-column slices, coarse to fine.
        rows: Estimated number of rows.
    """
    if isinstance(domain, CategoricalDomain):
        cells, counts, variance = grid.leaves(levels)
        return cells, _category_counts(counts, variance)
    return number_counts(levels, rows)


def _category_counts(counts: Floats, variance: Floats) -> Floats:
    """Counts that the noise hides share their sum equally."""
    hidden = counts < SIGNIFICANCE / 2 * np.sqrt(variance)
    floor = FLOOR * float(np.sqrt(variance.mean()))
    shared = max(float(counts[hidden].mean()), floor) if hidden.any() else 0.0
    return np.where(hidden, shared, counts)


def number_counts(levels: Sequence[Level], rows: float) -> tuple[Cells, Floats]:
    """Leaves of a column of numbers and the mean counts over the places of ``SPLITS``, Eq. (52).

    Args:
        levels: Its slices, coarse to fine.
        rows: Estimated number of rows.
    """
    above, *finer = grid.combined(levels)
    missing = int(above.cells.lower[0] == MISSING)
    masses = np.zeros((len(SPLITS), len(above.cells)))
    masses[:, :missing] = np.clip(above.counts[:missing], 0.0, rows)
    if missing < len(above.cells):
        ranges = np.array([missing]), np.array([len(above.cells)])
        masses += _divided(above, *ranges, rows - masses[:, :missing].sum(axis=1, keepdims=True))
    leaves = [(above, masses.mean(axis=0), above.spread)]
    for below in finer:
        parent = above.cells.locate(below.cells.lower)
        first = np.flatnonzero(np.r_[True, np.diff(parent) > 0])
        masses = _divided(below, first, np.r_[first[1:], len(parent)], masses[:, parent[first]])
        leaves.append((below, masses.mean(axis=0), below.spread))
        above = below
    cells, counts, _ = grid.sorted_leaves(leaves)
    return cells, counts


def _divided(nodes: Nodes, first: Integers, last: Integers, masses: Floats) -> Floats:
    """Masses of ranges of cells, divided between their cells, split by split.

    Args:
        nodes: Cells of a level with their counts, variances and widths.
        first: First cell of each range.
        last: The cell after each range.
        masses: Their masses, a row for each place of ``SPLITS``.

    Returns:
        Shape ``(places, cells)``, 0 outside the ranges.
    """
    sums = [np.r_[0, np.cumsum(x)] for x in (nodes.counts, nodes.spread, nodes.cells.widths)]
    made = np.zeros((len(SPLITS), len(nodes.cells)))
    place = np.repeat(np.arange(len(SPLITS)), len(first))
    low, high, mass = np.tile(first, len(SPLITS)), np.tile(last, len(SPLITS)), masses.ravel()
    while len(low):
        single = high - low == 1
        made[place[single], low[single]] = mass[single]
        place, low, high, mass = (x[~single] for x in (place, low, high, mass))
        step = np.rint((high - low) * np.take(SPLITS, place)).astype(np.int64)
        middle = low + np.clip(step, 1, np.maximum(high - low - 1, 1))
        counts, variances, widths = ((x[middle] - x[low], x[high] - x[middle]) for x in sums)
        left = left_mass(counts, variances, widths, mass)
        place, mass = np.r_[place, place], np.r_[left, mass - left]
        low, high = np.r_[low, middle], np.r_[middle, high]
    return made


def left_mass(
    counts: tuple[Floats, Floats],
    variances: tuple[Floats, Floats],
    widths: tuple[Floats, Floats],
    mass: Floats,
) -> Floats:
    """Posterior mean of the left part of known masses, Eq. (51).

    Args:
        counts: Noisy counts on the left and on the right, shape ``(splits,)`` each.
        variances: Their variances.
        widths: Widths of the two sides.
        mass: What is divided, not negative.
    """
    whole = np.maximum(mass, _LEAST_MASS)
    total = variances[0] + variances[1]
    seen = (counts[0] * variances[1] + (whole - counts[1]) * variances[0]) / total
    noise = variances[0] * variances[1] / total
    even = whole * widths[0] / (widths[0] + widths[1])
    points = [even, np.zeros_like(whole), whole]
    evidence = [-((seen - x) ** 2) / (2 * noise) - np.log(noise) / 2 for x in points]
    means = list(points)
    for scale in SHARE_SCALES:
        prior = (scale * whole) ** 2
        both = prior + noise
        inside, mean = _truncated(
            (even * noise + seen * prior) / both, np.sqrt(prior * noise / both), whole
        )
        expected, _ = _truncated(even, np.sqrt(prior), whole)
        likelihood = -((seen - even) ** 2) / (2 * both) - np.log(both) / 2
        evidence.append(likelihood + np.log(inside) - np.log(expected))
        means.append(mean)
    logs = np.array(evidence)
    weights = np.exp(logs - logs.max(axis=0))
    left = np.sum(weights * np.array(means), axis=0) / weights.sum(axis=0)
    return np.asarray(np.minimum(left, mass))


def _truncated(mean: Floats, scale: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Probability of 0 to ``upper`` under a normal law, and its mean there."""
    a, b = -mean / scale, (upper - mean) / scale
    # Of the two tails, the smaller probabilities are the more exact ones.
    inside = np.maximum(np.where(a > 0, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a)), _LEAST)
    slope = (np.exp(-(a**2) / 2) - np.exp(-(b**2) / 2)) / np.sqrt(2 * np.pi)
    return inside, np.clip(mean + scale * slope / inside, 0.0, upper)


def sum_variances(levels: Sequence[Level], groups: Integers) -> Floats:
    """Variances of sums of the leaves' least-squares counts, Eq. (53), shape ``(groups,)``.

    Leaves below one cell err together, since that cell has been counted too: the variance of their
    sum is far below the sum of their variances.

    Args:
        levels: Slices of a column, coarse to fine.
        groups: Group of each leaf, numbered from 0.
    """
    cells, _, _ = grid.leaves(levels)
    found = np.zeros(int(groups.max(initial=-1)) + 1)
    places = [
        np.where(nodes.is_leaf, cells.locate(nodes.cells.lower), -1)
        for nodes in grid.combined(levels)
    ]
    for group in range(len(found)):
        member = np.append(groups == group, False)
        only = [
            (Cells(v.lower, v.upper), member[place] * v.sigma**2, v.sigma**2)
            for v, place in zip(levels, places, strict=True)
        ]
        found[group] = grid.consistent_leaves(only)[1][member[:-1]].sum()
    return found
