"""Which slices are measured, on which cells, and how the budget is shared between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sdv_slicedp import pooling
from sdv_slicedp.column_laws import column_law
from sdv_slicedp.domain import MISSING, CategoricalDomain, ColumnDomain
from sdv_slicedp.grid import Cells, Floats, Integers
from sdv_slicedp.levels import estimated_rows
from sdv_slicedp.release import ColumnRelease, Release

Pair = tuple[int, int]


@dataclass(frozen=True)
class HistogramPlan:
    """Public parameters of the histogram mechanism. Shares are shares of mu^2, Eq. (6).

    Attributes:
        domain_share: For the discovery of domains that are not public (0 if all are).
        threshold_share: Share of delta for the thresholds of category discovery.
        rows_share: For the number of rows.
        one_column_share: For the one-column slices, at least.
        most_one_column_share: At most, as a share of what discovery leaves.
        one_column_noise: Between the two, noise of a cell aimed at, as a share of the rows.
        only_column_share: The same if there is but one column.
        selection_share: Share of what is left then, for the scores of the pairs.
        selection_from: Scores are taken if the noise of equally measured pairs is expected to
            exceed this total variation.
        even_share: Share of the pairs' budget that every pair gets alike when there are scores.
        hub_share: Share of what one column leaves, for the slices of the hubs.
        hub_pair_share: Share of that for their pairs, which are measured again, rather than for
            slices of three columns.
        hubs: Hub columns of these, at most, unless a user names them.
        partners: Columns that are crossed with a hub, two at a time, at most.
        max_bins: Pair cells of a numeric column, at most about.
        spread_weight: 0 gives the cells equal mass, 1 spreads them over the range.
        bin_noise: A numeric pair cell holds at least this many noise scales of a pair.
        category_noise: Categories that hold less share a pair cell.
    """

    domain_share: float = 0.12
    threshold_share: float = 0.1
    rows_share: float = 0.01
    one_column_share: float = 0.25
    most_one_column_share: float = 0.95
    one_column_noise: float = 0.03
    only_column_share: float = 0.8
    selection_share: float = 0.05
    selection_from: float = 0.3
    even_share: float = 0.5
    hub_share: float = 0.25
    hub_pair_share: float = 0.5
    hubs: int = 2
    partners: int = 15
    max_bins: int = 32
    spread_weight: float = 0.8
    bin_noise: float = 8.0
    category_noise: float = 3.0


def column_pairs(n_columns: int) -> list[Pair]:
    """All pairs of columns, in order."""
    return list(combinations(range(n_columns), 2))


def pair_cells(
    domain: ColumnDomain, cells: Cells, counts: Floats, sigma: float, plan: HistogramPlan
) -> Integers:
    """Pair cell of each fine cell of a column, numbered from zero.

    Args:
        domain: The column's complete domain.
        cells: Fine cells.
        counts: Their estimated counts, not negative.
        sigma: Noise scale expected of a pair.
        plan: Public parameters.
    """
    if isinstance(domain, CategoricalDomain):
        return pooling.pack(counts, max(plan.category_noise * sigma, 1.0))
    value = cells.lower != MISSING
    spreading = np.where(value, np.cbrt(counts * cells.widths**2), 0.0)
    score = (1 - plan.spread_weight) * counts / max(float(counts.sum()), 1.0)
    score += plan.spread_weight * spreading / max(float(spreading.sum()), 1e-300)
    floor = plan.bin_noise * sigma
    groups = pooling.close_bins(score, counts, ~value, 1.0 / plan.max_bins, floor)
    return pooling.join_small(groups, counts, floor / 2, groups[~value])


def bin_laws(columns: Sequence[ColumnRelease]) -> list[Floats]:
    """Laws over the pair cells by the one-column slices alone."""
    rows = estimated_rows([column.levels for column in columns])
    laws = []
    for column in columns:
        cells, counts = column_law(column.domain, column.levels, rows)
        sums = np.bincount(leaf_bins(column, cells), counts, column.n_bins)
        laws.append(sums / max(float(sums.sum()), 1.0))
    return laws


def leaf_bins(column: ColumnRelease, cells: Cells) -> Integers:
    """Pair cell of each leaf of a column."""
    return column.bins[leaf_fine_cells(column, cells)]


def leaf_fine_cells(column: ColumnRelease, cells: Cells) -> Integers:
    """Fine cell of each leaf of a column: itself, but in releases of before."""
    return Cells(column.fine_lower, column.fine_upper).locate(cells.lower)


def allocate(
    scores: Integers,
    expected: Sequence[Integers],
    rows: float,
    score_sigma: float,
    mu_squared: float,
    plan: HistogramPlan,
) -> Floats:
    """Noise scale of each pair, Eq. (12).

    A pair of dependence s (total variation from independence) measured with scale sigma is taken
    to be wrong by s k sigma / (s + k sigma) after denoising, k growing with its number of cells.
    Scales minimise the sum under the budget; a share of the budget is spread evenly.

    Args:
        scores: Noisy L1 distances from independence.
        expected: Expected counts under independence.
        rows: Noisy number of rows.
        score_sigma: Noise scale of the scores.
        mu_squared: Budget of all pairs.
        plan: Public parameters.
    """
    chance = np.array([np.sqrt(2 * e / np.pi).sum() for e in expected])
    strength = np.maximum(scores - chance, score_sigma) / (2 * rows)
    gain = reach([e.shape for e in expected], rows)
    share = 1 / best_scales(strength, gain, mu_squared) ** 2
    share = plan.even_share / len(share) + (1 - plan.even_share) * share / share.sum()
    return np.asarray(1 / np.sqrt(mu_squared * share))


def reach(shapes: Sequence[tuple[int, ...]], rows: float) -> Floats:
    """Total variation that a noise scale of 1 brings to a denoised pair, about, by its shape."""
    shape = np.array(shapes, dtype=np.float64)
    cells = shape.prod(1)
    return np.asarray(0.4 * np.minimum(cells, np.sqrt(cells * shape.sum(1))) / rows)


def expected_noise(release: Release) -> float:
    """Total variation that noise brings to a denoised pair, about, averaged over the pairs."""
    pairs = [marginal for marginal in release.marginals if len(marginal.columns) == 2]
    if not pairs:
        return 0.0
    gain = reach([m.counts.shape for m in pairs], release.noisy_rows)
    return float(np.mean(gain * np.array([m.sigma for m in pairs])))


def best_scales(strength: Floats, gain: Floats, mu_squared: float) -> Floats:
    """Scales that minimise the sum of s k sigma / (s + k sigma) for a given sum of 1/sigma^2.

    At the minimum, k s^2 sigma^3 / (s + k sigma)^2 is the same for all pairs; it grows with
    sigma, so two bisections find it.
    """

    def scales(level: float) -> Floats:
        return bisect(lambda x: gain * strength**2 * x**3 / (strength + gain * x) ** 2 < level)

    def bisect(below: Callable[[Floats], npt.NDArray[np.bool_]]) -> Floats:
        low, high = np.full(len(gain), 1e-4), np.full(len(gain), 1e12)
        for _ in range(60):
            middle = np.sqrt(low * high)
            up = below(middle)
            low, high = np.where(up, middle, low), np.where(up, high, middle)
        return high

    low, high = 1e-18, 1e18
    for _ in range(80):
        middle = float(np.sqrt(low * high))
        if np.sum(1 / scales(middle) ** 2) > mu_squared:
            low = middle
        else:
            high = middle
    return scales(high)


def sigma_ladder(sigmas: Floats) -> Floats:
    """Scales on powers of the square root of two, so that few are different, at the same cost."""
    base = sigmas.min()
    steps = base * 2.0 ** (np.round(2 * np.log2(sigmas / base)) / 2)
    return np.asarray(steps * np.sqrt(np.sum(1 / steps**2) / np.sum(1 / sigmas**2)))
