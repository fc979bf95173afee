"""The stages of two and three columns: what to ask next, given the noisy answers so far.

Nothing here sees a row; see ``stages.py``, which these stages follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from sdv_slicedp import grid, hubs, slices
from sdv_slicedp.accounting import LedgerEntry, rescale, scale_to_budget
from sdv_slicedp.column_laws import column_law
from sdv_slicedp.denoising import denoise_pairs
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.levels import estimated_rows
from sdv_slicedp.noise import admissible_sigma
from sdv_slicedp.release import ColumnRelease, Marginal, Release
from sdv_slicedp.slices import HistogramPlan, Pair
from sdv_slicedp.stages import Column, equal_sigma

if TYPE_CHECKING:
    from sdv_slicedp.curator import Curator


@dataclass(frozen=True)
class Fill:
    """A budget, what has been spent of it, and what that costs."""

    spent: Sequence[LedgerEntry]
    epsilon: float
    delta: float
    cost: Callable[[Iterable[LedgerEntry], float], float]

    def scaled(self, planned: Sequence[LedgerEntry]) -> tuple[LedgerEntry, ...]:
        """Entries in the same proportions that use the budget up."""
        factor = scale_to_budget(self.spent, planned, self.epsilon, self.delta, cost=self.cost)
        return rescale(planned, factor)


@dataclass(frozen=True)
class Tier:
    """Slices with one noise scale, and what the ledger says of them."""

    text: str
    sigma: float
    slices: Sequence[tuple[int, ...]]


def choose_bins(
    columns: Sequence[Column], mu_squared: float, plan: HistogramPlan
) -> list[ColumnRelease]:
    """Pair cells of every column, as fine as the noise to come allows."""
    n_pairs = max(len(slices.column_pairs(len(columns))), 1)
    sigma = float(np.sqrt(n_pairs / mu_squared))
    rows = estimated_rows([column.levels for column in columns])
    released = []
    for column in columns:
        cells, counts = column_law(column.domain, column.levels, rows)
        if isinstance(column.domain, NumericalDomain):
            _, measured, variance = grid.leaves(column.levels)
            merged, counts, groups = grid.pooled(cells, measured, variance, counts)
            bins = slices.pair_cells(column.domain, merged, counts, sigma, plan)[groups]
        else:
            bins = slices.pair_cells(column.domain, cells, counts, sigma, plan)
        n_bins = int(bins.max(initial=-1)) + 1
        released.append(
            ColumnRelease(column.domain, column.levels, cells.lower, cells.upper, bins, n_bins)
        )
    return released


def choose_pairs(
    curator: Curator, columns: Sequence[ColumnRelease], mu_squared: float, plan: HistogramPlan
) -> dict[Pair, float]:
    """Noise scale of each pair: equal, or by a noisy score of dependence where noise rules.

    With equal scales every pair is measured alike, weak ones included; that is best as long as
    the noise leaves something of a typical pair. Beyond, the budget goes where scores are high.
    """
    pairs = slices.column_pairs(len(columns))
    if not pairs:
        return {}
    rows = estimated_rows([column.levels for column in columns])
    even = float(np.sqrt(len(pairs) / mu_squared))
    shapes = [(columns[a].n_bins, columns[b].n_bins) for a, b in pairs]
    if np.mean(slices.reach(shapes, rows)) * even < plan.selection_from:
        return dict.fromkeys(pairs, even)
    laws = slices.bin_laws(columns)
    expected = [np.rint(rows * np.outer(laws[a], laws[b])).astype(np.int64) for a, b in pairs]
    sigma = equal_sigma(len(pairs), mu_squared * plan.selection_share)
    scores = curator.distances(pairs, expected, sigma)
    left = mu_squared * (1 - plan.selection_share)
    sigmas = slices.allocate(scores, expected, rows, sigma, left, plan)
    return dict(zip(pairs, slices.sigma_ladder(sigmas).tolist(), strict=True))


def measure_pairs(
    curator: Curator, sigmas: dict[Pair, float], fill: Fill | None = None
) -> list[Marginal]:
    """Two-column stage.

    Args:
        curator: Answers.
        sigmas: Noise scale of each pair.
        fill: Budget that is to be used up, in the proportions of ``sigmas``; ``None`` if a stage
            is to come.
    """
    groups: dict[float, list[Pair]] = {}
    for pair, sigma in sorted(sigmas.items(), key=lambda item: item[1]):
        groups.setdefault(sigma, []).append(pair)
    names = [f', tier {i + 1}' if len(groups) > 1 else '' for i in range(len(groups))]
    tiers = [
        Tier(f'two-column slices{name}', sigma, pairs)
        for name, (sigma, pairs) in zip(names, groups.items(), strict=True)
    ]
    return _measure_tables(curator, tiers, fill)


def choose_triples(
    release: Release, names: Sequence[str] | None, plan: HistogramPlan
) -> list[tuple[int, int, int]]:
    """Slices of three columns: each hub with pairs of the columns that tell most about it.

    Args:
        release: What has been measured so far, all pairs at least.
        names: Names of the target columns, ``None`` if no user said so.
        plan: Public parameters.
    """
    target = denoise_pairs(release)
    law = hubs.lookup(target.pairs, target.tables)
    possible = hubs.candidates(release.columns, names)
    number = plan.hubs if names is None else len(possible)
    return [
        (hub, a, b)
        for hub in hubs.choose(possible, target.laws, law, number)
        for a, b in combinations(hubs.partners(hub, len(target.laws), law, plan.partners), 2)
    ]


def measure_hubs(
    curator: Curator,
    triples: Sequence[tuple[int, int, int]],
    n_columns: int,
    plan: HistogramPlan,
    fill: Fill,
) -> list[Marginal]:
    """Hub stage: their slices of three columns and, again, their pairs, Eq. (48); all that is left.

    Args:
        curator: Answers.
        triples: Slices of three columns, the hub first.
        n_columns: Number of columns.
        plan: Public parameters.
        fill: Budget.
    """
    chosen = {hub for hub, *_ in triples}
    pairs = [pair for pair in slices.column_pairs(n_columns) if chosen.intersection(pair)]
    shares = {
        'three-column slices': (1 - plan.hub_pair_share, triples),
        'two-column slices of hubs': (plan.hub_pair_share, pairs),
    }
    tiers = [
        Tier(text, float(np.sqrt(len(asked) / share)), asked)
        for text, (share, asked) in shares.items()
        if share > 0
    ]
    return _measure_tables(curator, tiers, fill)


def _measure_tables(curator: Curator, tiers: Sequence[Tier], fill: Fill | None) -> list[Marginal]:
    asked = [tier for tier in tiers if tier.slices]
    if not asked:
        return []
    entries = tuple(
        LedgerEntry(
            'pairs', tier.text, len(tier.slices), admissible_sigma(tier.sigma), len(tier.slices)
        )
        for tier in asked
    )
    if fill is not None:
        entries = fill.scaled(entries)
    marginals = []
    for entry, tier in zip(entries, asked, strict=True):
        for columns, counts in zip(tier.slices, curator.tables(tier.slices, entry), strict=True):
            marginals.append(Marginal(columns, counts, entry.sigma))
    return sorted(marginals, key=lambda marginal: marginal.columns)
