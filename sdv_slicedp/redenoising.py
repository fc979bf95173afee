"""Pairs denoised again, about those of a mixture that was trained on them.

All pairs together tell a mixture more of each than its own slice tells of itself. So the mixture's
pairs are a better centre for shrinkage than independence, and its contrasts of a column are better
ones than none. All of it is post-processing of a release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sdv_slicedp.denoising import (
    Target,
    hub_law,
    independent_law,
    measured_interaction,
    pair_tables,
)
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.grid import Floats
from sdv_slicedp.release import ColumnRelease, Release
from sdv_slicedp.shrinkage import cosines, shrink_contrasts

Pair = tuple[int, int]


def denoise_about(release: Release, target: Target, components: Sequence[Floats]) -> Target:
    """The pairs of a mixture and what the slices show beyond them, denoised, Eq. (49).

    Pairs of hubs stay as they are: they are measured twice, and what is predicted depends on them.

    Args:
        release: The release.
        target: Its denoised laws.
        components: Laws of a mixture that was trained on them, shape ``(N, n_bins)`` per column.
    """
    mixed = {pair: interaction(components[pair[0]], components[pair[1]]) for pair in target.pairs}
    bases = contrasts(release.columns, mixed)
    hub_columns = {law.column for law in target.hubs}
    tables = []
    for marginal, table in zip(pair_tables(release), target.tables, strict=True):
        a, b = marginal.columns
        if hub_columns.isdisjoint((a, b)):
            independent = independent_law(marginal, target.laws)
            measured = measured_interaction(marginal, independent, release.noisy_rows)
            noise = marginal.sigma / release.noisy_rows
            beyond = shrink_contrasts(measured - mixed[a, b], noise, (bases[a], bases[b]))
            table = independent + mixed[a, b] + beyond
        tables.append(table)
    about = replace(target, tables=tuple(tables))
    return replace(about, hubs=tuple(hub_law(hub.column, release, about) for hub in target.hubs))


def interaction(first: Floats, second: Floats) -> Floats:
    """Two-column law of a mixture less the product of its margins; rows and columns sum to zero.

    Args:
        first: Laws of one column, shape ``(N, a)``.
        second: Laws of the other, shape ``(N, b)``.
    """
    return np.asarray(first.T @ second / len(first) - np.outer(first.mean(0), second.mean(0)))


def contrasts(columns: Sequence[ColumnRelease], mixed: Mapping[Pair, Floats]) -> list[Floats]:
    """Orthonormal contrasts of each column's cells, the constant one first, Eq. (50).

    Those of numbers are cosines. Those of other columns are the directions in which the
    interactions of a mixture with all columns have most energy.

    Args:
        columns: The columns.
        mixed: Interactions of the mixture.

    Returns:
        One array per column, contrasts in its rows.
    """
    energy = [np.zeros((column.n_bins, column.n_bins)) for column in columns]
    for (a, b), matrix in mixed.items():
        energy[a] += matrix @ matrix.T
        energy[b] += matrix.T @ matrix
    return [
        cosines(column.n_bins) if isinstance(column.domain, NumericalDomain) else _principal(matrix)
        for column, matrix in zip(columns, energy, strict=True)
    ]


def _principal(energy: Floats) -> Floats:
    """The constant vector and, orthogonal to it, eigenvectors with falling eigenvalues, in rows."""
    vectors = np.linalg.eigh(energy)[1][:, ::-1]
    basis, _ = np.linalg.qr(np.column_stack([np.ones(len(energy)), vectors]))
    return np.asarray(basis.T)
