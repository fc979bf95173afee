"""Denoising of a release: consistent margins, and shrinkage of each pair's interaction.

All of it is post-processing in closed form; the noise scales are known, so nothing is tuned to
the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sdv_slicedp import hubs
from sdv_slicedp.column_laws import column_law, sum_variances
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.grid import Cells, Floats
from sdv_slicedp.hubs import HubLaw
from sdv_slicedp.release import ColumnRelease, Marginal, Release
from sdv_slicedp.shrinkage import denoised_interaction, denoised_three_way
from sdv_slicedp.slices import leaf_bins, leaf_fine_cells


@dataclass(frozen=True)
class Target:
    """What the generator is trained on: probabilities with the noise taken out.

    Attributes:
        laws: Law of each column over its pair cells, shape ``(n_bins,)`` each.
        fine_laws: Law of each column over its fine cells.
        pairs: Column positions of each two-column law.
        tables: Two-column laws, in the order of ``pairs``.
        noise: Noise scale of each two-column law, sigma / rows, shape ``(pairs,)``.
        hubs: Three-column laws of the hub columns.
    """

    laws: tuple[Floats, ...]
    fine_laws: tuple[Floats, ...]
    pairs: tuple[tuple[int, int], ...]
    tables: tuple[Floats, ...]
    noise: Floats
    hubs: tuple[HubLaw, ...] = ()


@dataclass(frozen=True)
class Table:
    """Estimated counts of two columns, and the noise scale of an entry."""

    columns: tuple[int, int]
    counts: Floats
    sigma: float


def denoise(release: Release, *, shrink: bool = True) -> Target:
    """Denoised laws of a release, with those of its hubs: Eqs. (9) to (11), (33) and (35)."""
    target = denoise_pairs(release, shrink=shrink)
    measured = sorted({m.columns[0] for m in release.marginals if len(m.columns) == 3})
    return replace(target, hubs=tuple(hub_law(hub, release, target) for hub in measured))


def denoise_pairs(release: Release, *, shrink: bool = True) -> Target:
    """Denoised laws of the columns and pairs of a release: Eqs. (9) to (11)."""
    rows = release.noisy_rows
    measured = pair_tables(release)
    leaves = [column_law(c.domain, c.levels, rows) for c in release.columns]
    laws = consistent_margins(release, leaves, rows)
    fine_laws = [
        _within_bins(column, *leaf, law)
        for column, leaf, law in zip(release.columns, leaves, laws, strict=True)
    ]
    tables = [denoised_pair(m, release.columns, laws, rows, shrink=shrink) for m in measured]
    return Target(
        tuple(laws),
        tuple(fine_laws),
        tuple(m.columns for m in measured),
        tuple(tables),
        np.array([m.sigma / rows for m in measured]),
    )


def pair_tables(release: Release) -> list[Table]:
    """Counts of all measured pairs: their own, and the sums of slices of three columns.

    All are averaged by inverse variance; a sum over c cells has c times the variance of one.
    """
    weighted: dict[tuple[int, int], Floats] = {}
    precision: dict[tuple[int, int], float] = {}
    for marginal in release.marginals:
        for axis in range(3) if len(marginal.columns) == 3 else (None,):
            columns, counts, variance = marginal.columns, marginal.counts, marginal.sigma**2
            if axis is not None:
                columns = (*columns[:axis], *columns[axis + 1 :])
                variance *= counts.shape[axis]
                counts = counts.sum(axis)
            if columns[0] > columns[1]:
                columns, counts = columns[::-1], counts.T
            pair = (columns[0], columns[1])
            weighted[pair] = weighted.get(pair, 0.0) + counts / variance
            precision[pair] = precision.get(pair, 0.0) + 1 / variance
    return [
        Table(pair, weighted[pair] / precision[pair], precision[pair] ** -0.5)
        for pair in sorted(weighted)
    ]


def consistent_margins(
    release: Release, leaves: Sequence[tuple[Cells, Floats]], rows: float
) -> list[Floats]:
    """One-column laws from the one-column slices and the margins of all pairs, Eq. (10).

    Every pair's row and column sums measure its columns again, with variance sigma^2 times the
    number of cells summed; all are averaged by inverse variance.

    Args:
        release: A release.
        leaves: Leaves of each column and their estimated counts.
        rows: Estimated number of rows.
    """
    precision, weighted = [], []
    for column, (cells, counts) in zip(release.columns, leaves, strict=True):
        bins = leaf_bins(column, cells)
        precision.append(1.0 / np.maximum(sum_variances(column.levels, bins), 1e-9))
        weighted.append(np.bincount(bins, counts, column.n_bins) * precision[-1])
    pairs = (marginal for marginal in release.marginals if len(marginal.columns) == 2)
    for marginal in pairs:
        for position, other in zip(marginal.columns, (1, 0), strict=True):
            variance = marginal.sigma**2 * marginal.counts.shape[other]
            precision[position] += 1.0 / variance
            weighted[position] += marginal.counts.sum(other) / variance
    estimates = [w / p for w, p in zip(weighted, precision, strict=True)]
    return [
        to_simplex(estimate, 1.0 / p, rows)
        for estimate, p in zip(estimates, precision, strict=True)
    ]


def to_simplex(counts: Floats, variance: Floats, rows: float) -> Floats:
    """Law nearest to noisy counts in the metric of their noise.

    Counts are moved in proportion to their variance until they are not negative and sum to
    ``rows`` (the projection onto the simplex in the inverse-variance metric), then divided.
    """
    low, high = (
        float(np.min((counts - rows) / variance)) - 1.0,
        float(np.max(counts / variance)) + 1.0,
    )
    for _ in range(100):
        middle = 0.5 * (low + high)
        if np.maximum(counts - middle * variance, 0.0).sum() > rows:
            low = middle
        else:
            high = middle
    projected = np.maximum(counts - high * variance, 0.0)
    total = projected.sum()
    return projected / total if total > 0 else np.full(len(counts), 1.0 / len(counts))


def _within_bins(column: ColumnRelease, cells: Cells, counts: Floats, law: Floats) -> Floats:
    """Law over the fine cells: the pair cells' law, divided by the leaves' counts inside each."""
    fine = np.bincount(leaf_fine_cells(column, cells), counts, len(column.bins))
    mass = np.bincount(column.bins, fine, column.n_bins)
    size = np.bincount(column.bins, minlength=column.n_bins)
    empty = mass[column.bins] <= 0
    share = np.where(empty, 1.0 / size[column.bins], fine / np.maximum(mass, 1e-300)[column.bins])
    return law[column.bins] * share


def denoised_pair(
    marginal: Table,
    columns: Sequence[ColumnRelease],
    laws: Sequence[Floats],
    rows: float,
    *,
    shrink: bool = True,
) -> Floats:
    """Two-column law with the given margins and a denoised interaction, Eq. (11)."""
    independent = independent_law(marginal, laws)
    interaction = measured_interaction(marginal, independent, rows)
    if shrink:
        ordered = _ordered(columns, marginal.columns)
        interaction = denoised_interaction(interaction, marginal.sigma / rows, ordered)
    return independent + interaction


def independent_law(marginal: Table, laws: Sequence[Floats]) -> Floats:
    """Law of a pair of columns if they were independent."""
    a, b = marginal.columns
    return np.outer(laws[a], laws[b])


def measured_interaction(marginal: Table, independent: Floats, rows: float) -> Floats:
    """What a slice shows beyond independence, rows and columns centred: A of Eq. (11)."""
    matrix = marginal.counts / rows - independent
    matrix -= matrix.mean(0)
    matrix -= matrix.mean(1)[:, None]
    return np.asarray(matrix)


def _ordered(columns: Sequence[ColumnRelease], pair: tuple[int, ...]) -> tuple[bool, bool]:
    """Whether neighbouring cells of two columns are alike."""
    first, second = (isinstance(columns[i].domain, NumericalDomain) for i in pair)
    return first, second


def hub_law(hub: int, release: Release, target: Target) -> HubLaw:
    """What the pairs imply of a hub, and what its slices of three columns show beyond."""
    law = hubs.lookup(target.pairs, target.tables)
    measured = {m.columns[1:]: m for m in release.marginals if m.columns[0] == hub}
    tables = {}
    for a, b in target.pairs:
        if hub in (a, b):
            continue
        tables[a, b] = hubs.implied(law(a, b), law(hub, a), law(hub, b))
        if (a, b) in measured:
            tables[a, b] += _three_way(measured[a, b], tables[a, b], release)
    return HubLaw(hub, tables)


def _three_way(marginal: Marginal, implied: Floats, release: Release) -> Floats:
    """Dependence between three columns beyond what their pairs imply, denoised, Eq. (35)."""
    difference = marginal.counts / release.noisy_rows - implied
    for axis in range(3):
        difference -= difference.mean(axis, keepdims=True)
    noise = marginal.sigma / release.noisy_rows
    return denoised_three_way(difference, noise, _ordered(release.columns, marginal.columns[1:]))
