"""Noisy slices of one column, as a release holds them, and the number of rows that they tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdv_slicedp.artefact import Artefact, check_scale, freeze

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Level(Artefact):
    """One one-column slice: noisy counts of disjoint cells of a column.

    Attributes:
        lower: Smallest grid position of each cell, ascending, shape ``(cells,)``; for discrete
            columns the category code, for missing numbers ``domain.MISSING``.
        upper: Largest grid position of each cell, inclusive.
        counts: Noisy counts.
        sigma: Their noise scale.
    """

    lower: Integers
    upper: Integers
    counts: Integers
    sigma: float

    def __post_init__(self) -> None:
        """Check the cells and make the arrays immutable."""
        freeze(self, 'lower', 'upper', 'counts')
        check_cells(self.lower, self.upper, self.counts)
        check_scale(self)


def estimated_rows(columns: Iterable[Sequence[Level]]) -> float:
    """Number of rows, at least 1, from the slices of each column, Eq. (54).

    Every column's first slice counts all rows; the totals are averaged by inverse variance.
    """
    first = [levels[0] for levels in columns if levels and levels[0].counts.size]
    if not first:
        return 1.0
    totals = np.array([float(level.counts.sum()) for level in first])
    precision = np.array([1 / (level.counts.size * level.sigma**2) for level in first])
    return max(1.0, float(totals @ precision / precision.sum()))


def check_cells(lower: Integers, upper: Integers, values: Integers) -> None:
    """Refuse arrays that are not disjoint cells in order, with a value each."""
    if not (lower.ndim == 1 and lower.shape == upper.shape == values.shape):
        raise ValueError(f'cells must be vectors of one length, got {lower.shape}, {upper.shape}.')
    if np.any(lower > upper) or np.any(upper[:-1] >= lower[1:]):
        raise ValueError('cells must be ascending and disjoint.')
