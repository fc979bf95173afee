"""The stages of the projection mechanism: what to ask, given public facts and noisy answers.

Nothing here sees a row, except that the number of rows is public under ``replace_one``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sdv_slicedp import stages
from sdv_slicedp.accounting import (
    REPLACE_ONE,
    Cost,
    planning_budget,
    spendable,
    validate_budget,
)
from sdv_slicedp.domain import MISSING, CategoricalDomain, ColumnDomain
from sdv_slicedp.embedding import Block, dimension, sensitivity
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import DIRECTIONS, Entry, LedgerEntry, ProjectionEntry, positive_integer
from sdv_slicedp.noise import MAX_SIGMA
from sdv_slicedp.projection_privacy import (
    LARGEST_SIGMA,
    calibrate_projection,
    plan_projection,
)
from sdv_slicedp.release import ColumnRelease

MOST_VALUES = 2**27
"""Numbers that a release may hold: slices times rows and encoded coordinates."""


@dataclass(frozen=True)
class ProjectionPlan:
    """Public parameters of the projection mechanism.

    Attributes:
        directions: One of ``ledger.DIRECTIONS``.
        n_slices: Number of directions; ``None`` for :func:`default_slices`.
        domain_share: Share of mu^2 for the discovery of domains that are not public.
        threshold_share: Share of delta for the thresholds of category discovery.
        energy_share: Share of delta for directions that see too much, where the number of
            directions is fixed and the dimension is discovered, Eq. (20).
    """

    directions: str = 'orthonormal'
    n_slices: int | None = None
    domain_share: float = 0.12
    threshold_share: float = 0.1
    energy_share: float = 0.01

    def __post_init__(self) -> None:
        """Refuse directions that cannot be drawn."""
        if self.directions not in DIRECTIONS:
            raise ValueError(f'directions must be one of {DIRECTIONS}, got {self.directions!r}.')
        if self.n_slices is not None:
            positive_integer('n_slices', self.n_slices)


@dataclass(frozen=True)
class ProjectionBudget:
    """How the budget is shared; decided before the rows are touched.

    Attributes:
        epsilon: Of the whole, as far as it can be spent.
        delta: Of the whole.
        threshold_delta: For the thresholds of category discovery.
        energy_delta: For directions that see too much.
        mu_squared: Of the whole, under ``replace_one``.
        cost: Bound on epsilon under adaptive composition.
    """

    epsilon: float
    delta: float
    threshold_delta: float
    energy_delta: float
    mu_squared: float
    cost: Cost


def share_budget(
    domains: Sequence[ColumnDomain], epsilon: float, delta: float, plan: ProjectionPlan
) -> ProjectionBudget:
    """Share a budget between discovery and projection.

    Raises:
        ValueError: If the budget is not valid.
        PrivacyError: If it is too small whatever is discovered.
    """
    validate_budget(epsilon, delta)
    epsilon = spendable(epsilon)
    n_unknown = stages.discovery_slices(domains)
    threshold_delta = stages.threshold_delta(domains, delta * plan.threshold_share)
    # Full bases see every move alike, whatever the dimension turns out to be.
    varies = n_unknown > 0 and (plan.directions != 'orthonormal' or plan.n_slices is not None)
    energy_delta = delta * plan.energy_share if varies else 0.0
    equal = max(round(2 * n_unknown / plan.domain_share), 1)
    mu_squared, cost = planning_budget(
        epsilon, delta - threshold_delta - energy_delta, equal, REPLACE_ONE
    )
    largest = MAX_SIGMA**2 * mu_squared * plan.domain_share
    # A number alone moves by about sqrt(2); the dimension is not known yet.
    if n_unknown and not (2 * n_unknown <= largest and 2 <= LARGEST_SIGMA**2 * mu_squared):
        raise PrivacyError(
            'epsilon is too small for a projection: the noise would be larger than can be drawn. '
            'Use a larger epsilon.'
        )
    return ProjectionBudget(epsilon, delta, threshold_delta, energy_delta, mu_squared, cost)


def check_slices(plan: ProjectionPlan, n_rows: int, d: int = 1) -> None:
    """Raise if a release would hold more numbers than fit in memory.

    Args:
        plan: Public parameters.
        n_rows: Number of rows, public.
        d: Length of an encoded record, or less as long as it is not known.
    """
    most = MOST_VALUES // (n_rows + d)
    slices = plan.n_slices or 1
    if slices > most:
        raise ValueError(
            f'n_slices must be at most {most} for this table, got {slices}: a release holds a '
            'number for each slice of each row and of each encoded coordinate. Use fewer slices'
            f'{"." if most else ", fewer rows and fewer categories."}'
        )


def plan_entry(
    laid_out: Sequence[Block],
    n_rows: int,
    budget: ProjectionBudget,
    spent: Sequence[Entry],
    plan: ProjectionPlan,
) -> ProjectionEntry:
    """Ledger entry of the projection that uses what is left of the budget.

    Args:
        laid_out: Blocks of the encoded record.
        n_rows: Number of rows, public.
        budget: The whole budget.
        spent: What discovery has spent.
        plan: Public parameters.

    Raises:
        ValueError: If the projections would not fit in memory.
        PrivacyError: If there is nothing to measure, or the budget does not allow it.
    """
    d, delta_phi = dimension(laid_out), sensitivity(laid_out)
    if not (d > 0 and any(block.squared_change for block in laid_out)):
        raise PrivacyError('No modelled column has more than one possible value: nothing to do.')
    check_slices(plan, n_rows, d)
    slices = default_slices(d, n_rows) if plan.n_slices is None else plan.n_slices
    query = (plan.directions, d, slices, delta_phi, budget.epsilon, budget.delta)
    if not spent:
        return calibrate_projection(*query)
    histograms = tuple(entry for entry in spent if isinstance(entry, LedgerEntry))
    return plan_projection(*query, histograms, budget.energy_delta, budget.cost)


def default_slices(d: int, n_rows: int) -> int:
    """Number of directions: one full basis, if it fits in memory.

    A basis keeps all slices open for the training: every linear combination of released slices
    is a released slice, so that slices of few columns can be had, at the same noise. More
    directions are more noise and nothing new (docs/method.md, section 11).
    """
    return max(min(d, MOST_VALUES // (n_rows + d)), 1)


def released_columns(columns: Sequence[stages.Column]) -> tuple[ColumnRelease, ...]:
    """Columns on their plainest cells: all categories; "missing" and the range of a number."""
    released = []
    for column in columns:
        domain = column.domain
        if isinstance(domain, CategoricalDomain):
            lower = upper = np.arange(domain.n_cells, dtype=np.int64)
        else:
            missing = [MISSING] * int(domain.has_missing)
            lower = np.array([*missing, domain.lower or 0], dtype=np.int64)
            upper = np.array([*missing, domain.upper or 0], dtype=np.int64)
        bins = np.arange(len(lower), dtype=np.int64)
        released.append(ColumnRelease(domain, column.levels, lower, upper, bins, len(bins)))
    return tuple(released)
