"""The stages of single columns: what to ask next, given the noisy answers so far.

Nothing here sees a row. The curator of ``mechanism.py`` answers with noisy integers; the
decisions below are post-processing of them and of public parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sdv_slicedp import discovery, grid
from sdv_slicedp.domain import MISSING, CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.grid import Cells
from sdv_slicedp.levels import Level
from sdv_slicedp.noise import MAX_SIGMA, admissible_sigma
from sdv_slicedp.slices import HistogramPlan

if TYPE_CHECKING:
    from sdv_slicedp.curator import Curator


MOST_LEVELS = 20
"""More levels than the zooming grid of a column can have."""
COARSE_SHARE = 0.6
"""Of what is left for single columns, for the next level, where noise rules."""
CORRECTION = 2.2
"""Variance by which discrete noise falls short of Gaussian noise in the accounting, at most."""


@dataclass(frozen=True)
class Column:
    """One column on its way through the stages."""

    domain: ColumnDomain
    levels: tuple[Level, ...] = ()


def threshold_delta(domains: Sequence[ColumnDomain], share: float) -> float:
    """Delta for category thresholds: ``share``, or 0 if every list of categories is public."""
    return share if any(_lacks_categories(domain) for domain in domains) else 0.0


def discovery_slices(domains: Sequence[ColumnDomain]) -> int:
    """Slices of the domain stage, a public number."""
    stepless = sum(isinstance(d, NumericalDomain) and d.step is None for d in domains)
    return stepless + sum(_lacks_bounds(d) or _lacks_categories(d) for d in domains)


def _lacks_categories(domain: ColumnDomain) -> bool:
    return isinstance(domain, CategoricalDomain) and not domain.is_complete


def _lacks_bounds(domain: ColumnDomain) -> bool:
    return isinstance(domain, NumericalDomain) and domain.lower is None and domain.bounds is None


def equal_sigma(n_slices: float, mu_squared: float) -> float:
    """Admissible scale of ``n_slices`` slices that spend ``mu_squared`` together, Eq. (6).

    With ``CORRECTION``, since stages of small scales would else cost more than they were given.
    """
    return admissible_sigma(float(np.sqrt(n_slices / mu_squared + CORRECTION)))


def check_budget(mu_squared: float, n_columns: int, plan: HistogramPlan) -> None:
    """Raise before anything is spent if some slice would need more noise than can be drawn.

    Args:
        mu_squared: The whole budget.
        n_columns: Number of modelled columns.
        plan: Public parameters.

    Raises:
        PrivacyError: If the budget is too small for so many columns.
    """
    most_slices = n_columns * MOST_LEVELS + n_columns**2
    shares = [plan.domain_share, plan.rows_share, plan.one_column_share, plan.selection_share / 2]
    halves = (plan.hub_pair_share, 1 - plan.hub_pair_share)
    shares += [plan.hub_share * half / 2 for half in halves if plan.hub_share * half > 0]
    smallest = min(shares)
    if not most_slices / (smallest * mu_squared) <= MAX_SIGMA**2:
        raise PrivacyError(
            f'epsilon is too small for a table with {n_columns} modelled columns: the noise would '
            'be larger than can be drawn. Use a larger epsilon or fewer columns.'
        )


def discover(
    curator: Curator, domains: Sequence[ColumnDomain], mu_squared: float, threshold_delta: float
) -> list[Column]:
    """Domain stage: decimals, categories and bounds of what is not public."""
    stepless = [d for d in domains if isinstance(d, NumericalDomain) and d.step is None]
    boundless = [d.name for d in domains if _lacks_bounds(d)]
    names = [d.name for d in domains if _lacks_categories(d)]
    n_slices = discovery_slices(domains)
    if n_slices == 0:
        return [Column(domain) for domain in domains]
    sigma = equal_sigma(n_slices, mu_squared)
    steps = _discover_steps(curator, stepless, sigma)
    found = curator.categories(names, sigma, threshold_delta) if names else {}
    known: list[ColumnDomain] = []
    for domain in domains:
        if isinstance(domain, CategoricalDomain) and domain.name in found:
            domain = discovery.with_categories(domain, found[domain.name])
        elif isinstance(domain, NumericalDomain) and domain.name in steps:
            domain = discovery.with_step(domain, steps[domain.name])
        known.append(domain)
    return _discover_bounds(curator, known, boundless, sigma)


def _discover_steps(
    curator: Curator, domains: Sequence[NumericalDomain], sigma: float
) -> dict[str, tuple[int, int]]:
    if not domains:
        return {}
    answers = curator.resolutions(domains, sigma)
    return {
        domain.name: discovery.step(domain.sdtype, counts, sigma)
        for domain, counts in zip(domains, answers, strict=True)
    }


def _discover_bounds(
    curator: Curator, domains: Sequence[ColumnDomain], boundless: Sequence[str], sigma: float
) -> list[Column]:
    columns = {domain.name: Column(domain) for domain in domains}
    chosen = [d for d in domains if isinstance(d, NumericalDomain) and d.name in boundless]
    if chosen:
        slices = [(discovery.widest(domain), grid.root_cells(domain)) for domain in chosen]
        answers = curator.counts('domain', 'bounds of numbers and datetimes', slices, sigma)
        for domain, (_, cells), counts in zip(chosen, slices, answers, strict=True):
            bounded, inside = discovery.with_bounds(domain, cells, counts, sigma)
            level = Level(cells.lower[inside], cells.upper[inside], counts[inside], sigma)
            columns[domain.name] = Column(bounded, (level,))
    return list(columns.values())


def one_column_budget(
    curator: Curator,
    columns: Sequence[Column],
    mu_squared: float,
    left: float,
    plan: HistogramPlan,
) -> tuple[float, bool]:
    """Budget of the one-column stage, and whether noise rules, Eq. (42).

    Few rows under much noise show little of a column and nothing of two: there, single columns
    get most of the budget. The number of rows is asked with noise.

    Args:
        curator: Answers.
        columns: Columns on their way through the stages.
        mu_squared: The whole budget.
        left: What is left of it.
        plan: Public parameters.
    """
    if len(columns) == 1:
        return mu_squared * plan.only_column_share, False
    rows_budget = mu_squared * plan.rows_share
    rows = curator.row_count(equal_sigma(1, rows_budget))
    n_slices = sum(_levels_to_come(column) for column in columns)
    wanted = n_slices / (plan.one_column_noise * max(rows, 1)) ** 2
    least = plan.one_column_share * mu_squared
    most = plan.most_one_column_share * (left - rows_budget)
    return min(max(wanted, least), most), wanted > least


def measure_columns(
    curator: Curator, columns: list[Column], mu_squared: float, *, coarse_first: bool = False
) -> list[Column]:
    """One-column stage: every column once, then the significant cells of numbers in detail.

    Args:
        curator: Answers.
        columns: Columns on their way through the stages.
        mu_squared: Budget of the stage; what no cell is significant enough for is left over.
        coarse_first: Each level gets :data:`COARSE_SHARE` of what is left, rather than every level
            the same.
    """
    sigma = equal_sigma(max(sum(_levels_to_come(column) for column in columns), 1), mu_squared)
    for depth in range(MOST_LEVELS):
        asked = [(i, _next_cells(column)) for i, column in enumerate(columns)]
        asked = [(i, cells) for i, cells in asked if len(cells)]
        if not asked:
            break
        if coarse_first:
            to_come = sum(_levels_to_come(columns[i]) for i, _ in asked)
            sigma = equal_sigma(min(to_come, len(asked) / COARSE_SHARE), mu_squared)
            mu_squared -= len(asked) / (sigma**2 - CORRECTION)
        slices = [(columns[i].domain, cells) for i, cells in asked]
        text = f'one-column slices, level {depth + 1}'
        answers = curator.counts('one-column', text, slices, sigma)
        for (i, cells), counts in zip(asked, answers, strict=True):
            level = Level(cells.lower, cells.upper, counts, sigma)
            columns[i] = replace(columns[i], levels=(*columns[i].levels, level))
    return columns


def trim_bounds(columns: Sequence[Column], domains: Sequence[ColumnDomain]) -> list[Column]:
    """Columns whose bounds were discovered, cut to what stands out after zooming in.

    Args:
        columns: Measured columns.
        domains: The same columns' domains before discovery.
    """
    return [
        _trimmed(column) if _lacks_bounds(before) else column
        for column, before in zip(columns, domains, strict=True)
    ]


def _trimmed(column: Column) -> Column:
    ends = discovery.outermost(*grid.leaves(column.levels))
    if ends is None or not isinstance(column.domain, NumericalDomain):
        return column
    lower, upper = ends
    levels = []
    for level in column.levels:
        missing = level.lower == MISSING
        kept = missing | ((level.upper >= lower) & (level.lower <= upper))
        inside = Level(
            np.where(missing, MISSING, np.maximum(level.lower, lower))[kept],
            np.where(missing, MISSING, np.minimum(level.upper, upper))[kept],
            level.counts[kept],
            level.sigma,
        )
        levels.append(inside)
    shown = tuple(level for level in levels if level.counts.size)
    return Column(replace(column.domain, lower=lower, upper=upper), shown)


def drop_hidden_missing(columns: Sequence[Column], attested: Sequence[str]) -> list[Column]:
    """Columns without the cell of missing values where the noise hides it.

    Where missing values are attested as possible, the cell stays.
    """
    return [c if c.domain.name in attested else _without_hidden_missing(c) for c in columns]


def _without_hidden_missing(column: Column) -> Column:
    domain = column.domain
    if not column.levels:
        return column
    first = column.levels[0]
    position = MISSING
    if isinstance(domain, CategoricalDomain):
        position = len(domain.categories or ())
    missing = first.lower == position
    shown = np.any(grid.significant(first.counts, first.sigma) & missing)
    if shown or missing.all() or not domain.has_missing:
        return column
    shift = (first.lower > position) & isinstance(domain, CategoricalDomain)
    kept = Level(
        (first.lower - shift)[~missing],
        (first.upper - shift)[~missing],
        first.counts[~missing],
        first.sigma,
    )
    return Column(replace(domain, has_missing=False), (kept, *column.levels[1:]))


def _levels_to_come(column: Column) -> int:
    """One-column slices that a column still needs to reach single grid positions."""
    if not column.levels:
        widths = grid.root_cells(column.domain).widths
        return 1 + grid.levels_needed(float(widths.max(initial=1.0)))
    last = column.levels[-1]
    widths = Cells(last.lower, last.upper).widths
    shown = grid.significant(last.counts, last.sigma)
    return grid.levels_needed(float(widths[shown].max(initial=1.0)))


def _next_cells(column: Column) -> Cells:
    if not column.levels:
        return grid.root_cells(column.domain)
    last = column.levels[-1]
    return grid.refine(Cells(last.lower, last.upper), last.counts, last.sigma)
