"""The boundary: the only module that aggregates private rows and spends privacy budget.

Formal guarantees:
    Relation ``add_or_remove_one``. Every statistic taken here is a vector of integer counts to
    which one record adds 1 in at most one cell (sensitivity 1), released with discrete Gaussian
    noise from operating-system entropy (``noise.py``). An entry goes to the ledger before the
    rows are touched. What leaves is a ``Release``; nothing else is returned, kept or logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sdv_slicedp import discovery, grid
from sdv_slicedp.accounting import (
    Ledger,
    LedgerEntry,
    budget_mu,
    mu_squared,
    rescale,
    scale_to_budget,
)
from sdv_slicedp.domain import (
    UNCOUNTED,
    CategoricalDomain,
    Category,
    ColumnDomain,
    NumericalDomain,
    category_codes,
    grid_positions,
)
from sdv_slicedp.grid import Cells, Integers
from sdv_slicedp.noise import admissible_sigma, discrete_gaussian, partition_threshold
from sdv_slicedp.release import ColumnRelease, Level, Marginal, Release
from sdv_slicedp.slices import HistogramPlan, column_pairs, numeric_bins, pair_sigmas


@dataclass(frozen=True)
class _Column:
    """One column on its way through the stages."""

    domain: ColumnDomain
    levels: tuple[Level, ...] = ()


class Curator:
    """Holds the private rows and answers with noisy counts; every answer is in the ledger."""

    def __init__(self, processed: pd.DataFrame, ledger: Ledger) -> None:
        """Take the processed table; rows are private, column names are public."""
        self._table = processed
        self._ledger = ledger

    def positions(self, domain: ColumnDomain) -> Integers:
        """Grid positions of one column's values; private, one per row."""
        values = self._table[domain.name]
        if isinstance(domain, CategoricalDomain):
            return category_codes(values, domain)
        return grid_positions(values, domain)

    def numbers(self, name: str) -> np.ndarray:
        """One numeric column's values; private, one per row."""
        return self._table[name].to_numpy(dtype=np.float64, na_value=np.nan)

    def histograms(
        self, stage: str, text: str, slices: Sequence[tuple[Integers, int]], sigma: float
    ) -> list[Integers]:
        """Noisy counts of several slices with one noise scale.

        Args:
            stage: Ledger stage.
            text: Public description for the ledger.
            slices: Cell index of every row (negative: not counted) and number of cells.
            sigma: Admissible noise scale.

        Returns:
            One int64 array of shape ``(cells,)`` per slice.

        Formal guarantees:
            Each row has one cell index per slice, so one record changes one count by 1 in each.
        """
        self._ledger.record(LedgerEntry(stage, text, len(slices), sigma, len(slices)))
        return [
            np.bincount(index[index >= 0], minlength=cells).astype(np.int64)
            + discrete_gaussian(cells, sigma)
            for index, cells in slices
        ]

    def pairs(
        self,
        codes: Sequence[np.ndarray],
        sizes: Sequence[int],
        chosen: Sequence[tuple[int, int]],
        entries: Sequence[tuple[LedgerEntry, Sequence[int]]],
    ) -> list[tuple[tuple[int, int], Integers, float]]:
        """Noisy counts of two-column slices; as :meth:`histograms`, one ledger entry per group."""
        answers = []
        for entry, members in entries:
            self._ledger.record(entry)
            for a, b in (chosen[m] for m in members):
                cells = sizes[a] * sizes[b]
                joint = codes[a].astype(np.int32) * np.int32(sizes[b] + 1) + codes[b]
                counts = np.bincount(joint, minlength=(sizes[a] + 1) * (sizes[b] + 1))
                table = counts.reshape(sizes[a] + 1, sizes[b] + 1)[:-1, :-1]
                noise = discrete_gaussian(cells, entry.sigma).reshape(table.shape)
                answers.append(((a, b), table.astype(np.int64) + noise, entry.sigma))
        return answers

    def categories(
        self, names: Sequence[str], sigma: float, threshold_delta: float
    ) -> dict[str, tuple[Category, ...]]:
        """Values whose noisy count reaches a threshold (partition selection).

        Formal guarantees:
            One record adds 1 to one value's count per column. A value that only this record has
            is shown with probability at most ``threshold_delta`` over all columns together.
        """
        delta = threshold_delta / len(names)
        threshold = partition_threshold(sigma, delta)
        counts = {name: self._table[name].value_counts(dropna=True) for name in names}
        text = 'categories with a noisy count above a threshold'
        entry = LedgerEntry('domain', text, len(names), sigma, len(names), threshold_delta)
        self._ledger.record(entry)
        found = {}
        for name, series in counts.items():
            noisy = series.to_numpy(dtype=np.int64) + discrete_gaussian(len(series), sigma)
            values = (v.item() if isinstance(v, np.generic) else v for v in series.index)
            kept = [v for v, c in zip(values, noisy, strict=True) if c >= threshold]
            found[name] = discovery.in_public_order(v for v in kept if discovery.is_category(v))
        return found


def measure(
    processed: pd.DataFrame,
    domains: Sequence[ColumnDomain],
    *,
    epsilon: float,
    delta: float,
    ledger: Ledger,
    public_columns: Sequence[str] = (),
    plan: HistogramPlan | None = None,
) -> Release:
    """Measure the slices of a table and return their release.

    Args:
        processed: Private rows in the processed space (floats with NaN, raw categories).
        domains: Public domains of the modelled columns; parts that are ``None`` are discovered.
        epsilon: Privacy budget.
        delta: Privacy budget.
        ledger: Receives an entry before each access to the rows.
        public_columns: Columns whose declared ranges were attested as public, for the release.
        plan: Public parameters of the mechanism.

    Returns:
        The release; it states ``ledger``'s new entries.

    Raises:
        PrivacyError: If the budget does not allow the plan.

    Formal guarantees:
        (epsilon, delta)-differential privacy under ``add_or_remove_one``, by adaptive composition
        of discrete Gaussian histograms (docs/privacy.md); checked against the exact privacy-loss
        distribution before the last stage draws its noise.
    """
    plan = plan or HistogramPlan()
    already = len(ledger.entries)
    curator = Curator(processed, ledger)
    complete = all(d.is_complete for d in domains)
    domain_share = 0.0 if complete else plan.domain_share
    threshold_delta = _threshold_delta(domains, delta * plan.threshold_share)
    mu2 = budget_mu(epsilon, delta - threshold_delta) ** 2
    columns = [_Column(domain) for domain in domains]
    if not complete:
        columns = _discover(curator, columns, mu2 * domain_share, threshold_delta)
    columns = _measure_columns(curator, columns, mu2 * plan.one_column_share)
    spent = ledger.entries[already:]
    pairs_mu2 = mu2 - mu_squared(spent)
    released = _choose_bins(columns, pairs_mu2, plan)
    marginals = _measure_pairs(curator, released, spent, pairs_mu2, (epsilon, delta))
    return Release(
        columns=tuple(released),
        marginals=tuple(marginals),
        ledger=tuple(ledger.entries[already:]),
        epsilon=epsilon,
        delta=delta,
        public_columns=tuple(public_columns),
    )


def _threshold_delta(domains: Sequence[ColumnDomain], share: float) -> float:
    discovered = any(isinstance(d, CategoricalDomain) and not d.is_complete for d in domains)
    return share if discovered else 0.0


def _discover(
    curator: Curator, columns: list[_Column], mu2: float, threshold_delta: float
) -> list[_Column]:
    """Domain stage: decimals, categories and bounds of what is not public."""
    stepless = [c.domain for c in columns if isinstance(c.domain, NumericalDomain)]
    stepless = [d for d in stepless if d.step is None]
    names = [c.domain.name for c in columns if _lacks_categories(c.domain)]
    boundless = [
        c.domain.name for c in columns if isinstance(c.domain, NumericalDomain)
        and c.domain.bounds is None and c.domain.lower is None
    ]
    n_slices = len(stepless) + len(names) + len(boundless)
    sigma = admissible_sigma(float(np.sqrt(n_slices / mu2)))
    steps = _discover_steps(curator, stepless, sigma)
    found = curator.categories(names, sigma, threshold_delta) if names else {}
    columns = [replace(c, domain=_with_found(c.domain, steps, found)) for c in columns]
    return _discover_bounds(curator, columns, boundless, sigma)


def _lacks_categories(domain: ColumnDomain) -> bool:
    return isinstance(domain, CategoricalDomain) and not domain.is_complete


def _with_found(
    domain: ColumnDomain,
    steps: dict[str, tuple[int, int]],
    found: dict[str, tuple[Category, ...]],
) -> ColumnDomain:
    if isinstance(domain, CategoricalDomain):
        if domain.name not in found:
            return domain
        return replace(domain, categories=found[domain.name], has_other=True)
    if domain.name in steps:
        return discovery.with_step(domain, steps[domain.name])
    return domain


def _discover_steps(
    curator: Curator, domains: Sequence[NumericalDomain], sigma: float
) -> dict[str, tuple[int, int]]:
    if not domains:
        return {}
    slices = []
    for domain in domains:
        values = curator.numbers(domain.name)
        if domain.sdtype == 'datetime':
            slices.append((discovery.time_cells(values), len(discovery.TIME_STEPS)))
        else:
            slices.append((discovery.decimal_cells(values), discovery.DECIMAL_CELLS))
    answers = curator.histograms('domain', 'decimals of numbers, steps of datetimes', slices, sigma)
    steps = {}
    for domain, counts in zip(domains, answers, strict=True):
        if domain.sdtype == 'datetime':
            steps[domain.name] = discovery.time_step(counts, sigma)
        else:
            steps[domain.name] = discovery.decimal_step(counts, sigma)
    return steps


def _discover_bounds(
    curator: Curator, columns: list[_Column], boundless: Sequence[str], sigma: float
) -> list[_Column]:
    if not boundless:
        return columns
    chosen = [c.domain for c in columns if isinstance(c.domain, NumericalDomain)]
    chosen = [d for d in chosen if d.name in boundless]
    roots = [grid.root_cells(domain) for domain in chosen]
    slices = [
        (cells.locate(curator.positions(discovery.widest(domain))), len(cells))
        for domain, cells in zip(chosen, roots, strict=True)
    ]
    answers = curator.histograms('domain', 'bounds of numbers and datetimes', slices, sigma)
    found = {}
    for domain, cells, counts in zip(chosen, roots, answers, strict=True):
        bounded = discovery.with_discovered_bounds(domain, cells, counts, sigma)
        inside = grid.within(cells, bounded.lower or 0, bounded.upper or 0)
        level = Level(cells.lower[inside], cells.upper[inside], counts[inside], sigma)
        found[domain.name] = _Column(bounded, (level,))
    return [found.get(c.domain.name, c) for c in columns]


def _measure_columns(curator: Curator, columns: list[_Column], mu2: float) -> list[_Column]:
    """One-column stage: every column once, then the significant cells of numbers in detail."""
    n_slices = sum(_levels_to_come(column) for column in columns)
    if n_slices == 0:
        return columns
    sigma = admissible_sigma(float(np.sqrt(n_slices / mu2)))
    positions = [curator.positions(column.domain) for column in columns]
    for depth in range(max(_levels_to_come(column) for column in columns)):
        cells = [_next_cells(column) for column in columns]
        todo = [i for i, c in enumerate(cells) if len(c)]
        if not todo:
            break
        slices = [(cells[i].locate(positions[i]), len(cells[i])) for i in todo]
        text = f'one-column slices, level {depth + 1}'
        answers = curator.histograms('one-column', text, slices, sigma)
        for i, counts in zip(todo, answers, strict=True):
            level = Level(cells[i].lower, cells[i].upper, counts, sigma)
            columns[i] = replace(columns[i], levels=(*columns[i].levels, level))
    return columns


def _levels_to_come(column: _Column) -> int:
    """One-column slices that a column still needs to reach single grid positions."""
    if column.levels:
        last = column.levels[-1]
        cells = Cells(last.lower, last.upper)
        wide = cells.widths[grid.significant(last.counts, last.sigma)]
        return grid.levels_needed(wide.max(initial=1.0))
    cells = grid.root_cells(column.domain)
    return 1 + grid.levels_needed(cells.widths.max(initial=1.0))


def _next_cells(column: _Column) -> Cells:
    if not column.levels:
        return grid.root_cells(column.domain)
    last = column.levels[-1]
    return grid.refine(Cells(last.lower, last.upper), last.counts, last.sigma)


def _choose_bins(columns: list[_Column], mu2: float, plan: HistogramPlan) -> list[ColumnRelease]:
    """Pair cells of every column; sees noisy levels only."""
    n_pairs = max(len(column_pairs(len(columns))), 1)
    sigma = float(np.sqrt(n_pairs / mu2))
    laws = [grid.column_law(column.domain, column.levels) for column in columns]
    rows = float(np.median([counts.sum() for _, counts, _ in laws])) if laws else 1.0
    released = []
    for column, (cells, counts, spread) in zip(columns, laws, strict=True):
        discrete = isinstance(column.domain, CategoricalDomain)
        bins = (
            grid.pack(counts, max(plan.category_noise * sigma, 1.0))
            if discrete
            else numeric_bins(cells, counts, spread, max(rows, 1.0), sigma, plan)
        )
        n_bins = int(bins.max(initial=-1)) + 1
        released.append(
            ColumnRelease(column.domain, column.levels, cells.lower, cells.upper, bins, n_bins)
        )
    return released


def _measure_pairs(
    curator: Curator,
    columns: Sequence[ColumnRelease],
    spent: Sequence[LedgerEntry],
    mu2: float,
    budget: tuple[float, float],
) -> list[Marginal]:
    """Two-column stage: spends what is left."""
    chosen = column_pairs(len(columns))
    if not chosen:
        return []
    sigma = admissible_sigma(float(pair_sigmas(len(chosen), mu2)[0]))
    planned = (LedgerEntry('pairs', 'two-column slices', len(chosen), sigma, len(chosen)),)
    planned = rescale(planned, scale_to_budget(spent, planned, *budget))
    codes = [_bin_codes(curator, column) for column in columns]
    sizes = [column.n_bins for column in columns]
    answers = curator.pairs(codes, sizes, chosen, [(planned[0], range(len(chosen)))])
    return [Marginal(pair, counts, sigma) for pair, counts, sigma in answers]


def _bin_codes(curator: Curator, column: ColumnRelease) -> np.ndarray:
    """Pair cell of every row; ``n_bins`` where the row is not counted."""
    cells = Cells(column.fine_lower, column.fine_upper)
    index = cells.locate(curator.positions(column.domain))
    lookup = np.r_[column.bins, column.n_bins].astype(np.int32)
    return lookup[index]
