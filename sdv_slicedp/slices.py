"""Which slices are measured, and how the budget is shared between them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sdv_slicedp import grid
from sdv_slicedp.domain import MISSING
from sdv_slicedp.grid import Cells, Floats, Integers


@dataclass(frozen=True)
class HistogramPlan:
    """Public parameters of the histogram mechanism. All shares are shares of mu^2, Eq. (6).

    Attributes:
        domain_share: For the discovery of domains that are not public (0 if all are).
        threshold_share: Share of delta for the thresholds of category discovery.
        one_column_share: For the one-column slices.
        max_bins: Cells of a numeric column in the two-column slices, at most about.
        bin_noise: A numeric bin's expected count is at least this many pair noise scales.
        category_noise: A category whose expected count is below this many pair noise scales
            shares a cell with other rare categories.
    """

    domain_share: float = 0.08
    threshold_share: float = 0.1
    one_column_share: float = 0.15
    max_bins: int = 32
    bin_noise: float = 8.0
    category_noise: float = 3.0


def column_pairs(n_columns: int) -> list[tuple[int, int]]:
    """All pairs of columns, in order."""
    return list(combinations(range(n_columns), 2))


def pair_sigmas(n_pairs: int, mu_squared: float) -> npt.NDArray[np.float64]:
    """Equal noise scales of ``n_pairs`` slices that together spend ``mu_squared``."""
    return np.full(n_pairs, np.sqrt(n_pairs / mu_squared))


def numeric_bins(
    cells: Cells, counts: Floats, spread: Floats, rows: float, sigma: float, plan: HistogramPlan
) -> Integers:
    """Pair cell of each fine cell of a numeric column.

    Args:
        cells: Fine cells.
        counts: Their noisy counts.
        spread: Their variances.
        rows: Noisy number of rows.
        sigma: Noise scale of a pair.
        plan: Public parameters.
    """
    target = max(rows / plan.max_bins, plan.bin_noise * sigma)
    groups = grid.pool(cells, counts, spread, target)
    keep = groups[cells.lower == MISSING]
    return grid.join_small(groups, counts, target / 4, keep)
