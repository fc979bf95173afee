"""Releases made by hand from a known joint law, with as little noise as a release can state."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from sdv_slicedp.accounting import LedgerEntry
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.levels import Level
from sdv_slicedp.release import ColumnRelease, Marginal, Release


def categorical_column(counts: np.ndarray, sigma: float, name: str) -> ColumnRelease:
    """A discrete column without missing values, each category its own pair cell."""
    codes = np.arange(len(counts))
    domain = CategoricalDomain(name, 'categorical', tuple(f'{name}{i}' for i in codes), False)
    level = Level(codes, codes, np.asarray(counts), sigma)
    return ColumnRelease(domain, (level,), codes, codes, codes, len(codes))


def release_of(joint: np.ndarray, *, sigma: float = 0.5) -> Release:
    """The release of a joint table of whole counts, all its pairs measured, without any noise.

    Args:
        joint: Counts, one axis per column.
        sigma: The noise scale that the release states.
    """
    axes = range(joint.ndim)
    margins = [joint.sum(tuple(set(axes) - {axis})) for axis in axes]
    columns = [categorical_column(m, sigma, f'c{axis}') for axis, m in enumerate(margins)]
    marginals = [
        Marginal(pair, joint.sum(tuple(set(axes) - set(pair))), sigma)
        for pair in combinations(axes, 2)
    ]
    entry = LedgerEntry('pairs', 'made by hand', joint.ndim + len(marginals), sigma, 1)
    return Release(tuple(columns), tuple(marginals), (entry,), 1.0, 1e-6)


def whole_counts(law: np.ndarray, rows: int) -> np.ndarray:
    """Nearest whole counts of ``rows`` records with a law."""
    return np.rint(law / law.sum() * rows).astype(np.int64)
