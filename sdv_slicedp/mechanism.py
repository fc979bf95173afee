"""The boundary: from private rows to a release.

Formal guarantees:
    All that becomes of the rows is what a ``Curator`` (``curator.py``) answers. :func:`measure`
    has relation ``add_or_remove_one``: one record changes at most one entry of a histogram, by at
    most 1. :func:`measure_projection` has relation ``replace_one``: one record changes two entries
    of a histogram, by 1, and one row of the projections, by a bounded distance. What leaves is a
    ``Release``; nothing else is returned, kept or logged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from sdv_slicedp import embedding, hubs, projection_stages, stages, table_stages
from sdv_slicedp.accounting import (
    REPLACE_ONE,
    Ledger,
    LedgerEntry,
    mu_squared,
    planning_budget,
    spendable,
    validate_budget,
)
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain
from sdv_slicedp.errors import DomainError
from sdv_slicedp.projection_stages import ProjectionPlan
from sdv_slicedp.release import ColumnRelease, Release
from sdv_slicedp.slices import HistogramPlan
from sdv_slicedp.table_stages import Fill


def measure(
    processed: pd.DataFrame,
    domains: Sequence[ColumnDomain],
    *,
    epsilon: float,
    delta: float,
    ledger: Ledger,
    public_columns: Sequence[str] = (),
    target_columns: Sequence[str] | None = None,
    plan: HistogramPlan | None = None,
) -> Release:
    """Measure the slices of a table and return their release.

    Args:
        processed: Private rows in the processed space: one column per domain, floats with NaN
            for numbers and datetimes (nanoseconds), raw values for discrete columns.
        domains: Public domains of the modelled columns; what is ``None`` is discovered.
        epsilon: Privacy budget, positive.
        delta: Privacy budget, in (0, 1).
        ledger: Receives an entry before each access to the rows.
        public_columns: Columns whose declared ranges were attested as public, for the release.
        target_columns: Columns that matter most, a public hint; ``None`` for those that seem to.
        plan: Public parameters of the mechanism.

    Returns:
        The release; its ledger has the entries of this measurement.

    Raises:
        ValueError: If the budget is not valid.
        DomainError: If a domain has no cell.
        PrivacyError: If the budget does not allow the plan.

    Formal guarantees:
        (epsilon, delta)-differential privacy under ``add_or_remove_one``. Scales may depend on
        earlier noisy answers, so the last stage is planned by a bound that holds under fully
        adaptive composition (docs/privacy.md). Public: ``domains``, ``target_columns``,
        ``plan``, the budget.
    """
    plan = plan or HistogramPlan()
    validate_budget(epsilon, delta)
    _check_domains(domains)
    already = len(ledger.entries)
    curator = Curator(processed, ledger)
    threshold_delta = stages.threshold_delta(domains, delta * plan.threshold_share)
    n_slices = max(len(domains) * (len(domains) - 1) // 2, 1)
    budget, cost = planning_budget(spendable(epsilon), delta - threshold_delta, n_slices)
    stages.check_budget(budget, len(domains), plan)
    columns = stages.discover(curator, domains, budget * plan.domain_share, threshold_delta)
    left = budget - mu_squared(ledger.entries[already:])
    share, noise_rules = stages.one_column_budget(curator, columns, budget, left, plan)
    columns = stages.measure_columns(curator, columns, share, coarse_first=noise_rules)
    columns = stages.trim_bounds(columns, domains)
    columns = stages.drop_hidden_missing(columns, public_columns)
    remaining = budget - mu_squared(ledger.entries[already:])
    for_pairs = remaining * (1 - plan.hub_share if len(domains) > 2 else 1)
    released = table_stages.choose_bins(columns, for_pairs, plan)
    has_hubs = bool(plan.hub_share and hubs.candidates(released, target_columns))
    has_hubs = has_hubs and not noise_rules
    for_pairs = for_pairs if has_hubs else remaining
    curator.encode(released)

    def rest() -> Fill:
        spent = tuple(e for e in ledger.entries[already:] if isinstance(e, LedgerEntry))
        return Fill(spent, spendable(epsilon), delta, cost)

    sigmas = table_stages.choose_pairs(curator, released, for_pairs, plan)
    marginals = table_stages.measure_pairs(curator, sigmas, None if has_hubs else rest())
    release = Release(
        columns=_without_remainders(released),
        marginals=tuple(marginals),
        ledger=tuple(ledger.entries[already:]),
        epsilon=epsilon,
        delta=delta,
        public_columns=tuple(public_columns),
    )
    if not has_hubs:
        return release
    triples = table_stages.choose_triples(release, target_columns, plan)
    marginals += table_stages.measure_hubs(curator, triples, len(domains), plan, rest())
    return replace(release, marginals=tuple(marginals), ledger=tuple(ledger.entries[already:]))


def measure_projection(
    processed: pd.DataFrame,
    domains: Sequence[ColumnDomain],
    *,
    epsilon: float,
    delta: float,
    ledger: Ledger,
    public_columns: Sequence[str] = (),
    plan: ProjectionPlan | None = None,
) -> Release:
    """Release all records on random directions with noise, Eq. (1).

    Args:
        processed: As for :func:`measure`; so are the other arguments.
        domains: Public domains of the modelled columns; what is ``None`` is discovered.
        epsilon: Privacy budget, positive.
        delta: Privacy budget, in (0, 1).
        ledger: Receives an entry before each access to the rows.
        public_columns: Columns whose declared ranges were attested as public, for the release.
        plan: Public parameters of the mechanism.

    Returns:
        The release; its rows are in random order.

    Raises:
        ValueError: If the budget is not valid or the release would be too large.
        DomainError: If a domain has no cell.
        PrivacyError: If the budget does not allow the plan.

    Formal guarantees:
        (epsilon, delta)-differential privacy under ``replace_one``. Public: ``domains``, ``plan``,
        the budget, the number of rows. With public domains by Eq. (2), else by adaptive
        composition, Eq. (20).
    """
    plan = plan or ProjectionPlan()
    _check_domains(domains)
    already = len(ledger.entries)
    curator = Curator(processed, ledger)
    budget = projection_stages.share_budget(domains, epsilon, delta, plan)
    projection_stages.check_slices(plan, len(processed))
    # A replaced record moves two counts of a histogram: half the share buys the same noise twice.
    share = budget.mu_squared * plan.domain_share / 2
    columns = stages.discover(curator, domains, share, budget.threshold_delta)
    columns = stages.trim_bounds(columns, domains)
    columns = stages.drop_hidden_missing(columns, public_columns)
    laid_out = embedding.blocks([column.domain for column in columns])
    spent = ledger.entries[already:]
    entry = projection_stages.plan_entry(laid_out, len(processed), budget, spent, plan)
    return Release(
        columns=_without_remainders(projection_stages.released_columns(columns)),
        marginals=(),
        epsilon=epsilon,
        delta=delta,
        mechanism='projection',
        neighboring_relation=REPLACE_ONE,
        public_columns=tuple(public_columns),
        projection=curator.project(laid_out, entry),
        ledger=ledger.entries[already:],
    )


def _without_remainders(columns: Sequence[ColumnRelease]) -> tuple[ColumnRelease, ...]:
    """Columns of a release, in which a named remainder is a category like any other."""
    return tuple(
        replace(column, domain=replace(column.domain, remainder=None))
        if isinstance(column.domain, CategoricalDomain)
        else column
        for column in columns
    )


def _check_domains(domains: Sequence[ColumnDomain]) -> None:
    for domain in domains:
        if domain.is_complete and isinstance(domain, CategoricalDomain) and not domain.n_cells:
            raise DomainError(f"Column '{domain.name}' has no possible value; declare categories.")
