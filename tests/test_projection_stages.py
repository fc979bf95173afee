"""What the projection mechanism asks: from public facts and noisy answers to a ledger entry."""

import math

import numpy as np
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import embedding, spending, stages
from sdv_slicedp.accounting import REPLACE_ONE, LedgerEntry
from sdv_slicedp.domain import MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.errors import PrivacyError
from sdv_slicedp.ledger import DIRECTIONS
from sdv_slicedp.levels import Level
from sdv_slicedp.projection_stages import (
    MOST_VALUES,
    ProjectionPlan,
    default_slices,
    plan_entry,
    released_columns,
    share_budget,
)
from sdv_slicedp.slice_energy import energy_bound, largest_energy
from sdv_slicedp.stages import Column, equal_sigma

EPSILON, DELTA = 1.0, 1e-6
KNOWN = (
    CategoricalDomain('word', 'categorical', ('a', 'b', 'c'), True),
    NumericalDomain('number', 'numerical', 0, 99, (1, 10), True),
    NumericalDomain('day', 'datetime', -5, 5, (86_400 * 10**9, 1), False),
)
LOOSE_WORD = CategoricalDomain('loose word', 'categorical', None, True)
LOOSE_NUMBER = NumericalDomain('loose number', 'numerical', None, None, None, True)
STEPLESS = NumericalDomain('stepless', 'numerical', None, None, None, True, (0.0, 9.0))
DOMAINS = {
    'public': KNOWN,
    'partly public': (*KNOWN, LOOSE_NUMBER),
    'stepless': (KNOWN[0], STEPLESS),
    'discovered': (LOOSE_WORD, LOOSE_NUMBER),
}
PLANS = [ProjectionPlan(kind, n_slices) for kind in DIRECTIONS for n_slices in (None, 1, 7, 40)]
quick = examples(15)


def text_of(plan: ProjectionPlan) -> str:
    return f'{plan.directions} {plan.n_slices}'


def discovered(domains, budget, plan) -> tuple[LedgerEntry, ...]:
    """What the domain stage would spend: all its slices at one scale."""
    n_slices = stages.discovery_slices(domains)
    if not n_slices:
        return ()
    sigma = equal_sigma(n_slices, budget.mu_squared * plan.domain_share / 2)
    return (LedgerEntry('domain', 'text', n_slices, sigma, n_slices, budget.threshold_delta),)


@pytest.mark.parametrize('name', DOMAINS)
@pytest.mark.parametrize('plan', PLANS, ids=text_of)
@pytest.mark.parametrize('epsilon', [0.1, 5.0])
def test_the_total_is_within_the_budget(name, plan, epsilon):
    budget = share_budget(DOMAINS[name], epsilon, DELTA, plan)
    spent = discovered(DOMAINS[name], budget, plan)

    entry = plan_entry(embedding.blocks(KNOWN), 500, budget, spent, plan)

    total = spending.epsilon_spent((*spent, entry), DELTA, REPLACE_ONE)
    assert total <= epsilon
    assert spending.delta_spent((*spent, entry), epsilon, REPLACE_ONE) <= DELTA
    if spent:
        # By the bound that holds for adaptive scales, directions that see too much included.
        adaptive = budget.cost((*spent, entry), DELTA)
        assert 0.999 * epsilon < adaptive <= epsilon
        assert entry.threshold_delta == budget.energy_delta
    else:
        assert 0.999 * epsilon < total
        assert entry.threshold_delta == 0
    assert (entry.directions, entry.dimension) == (plan.directions, 7)
    assert entry.slices == (plan.n_slices or 7)
    assert entry.sensitivity == embedding.sensitivity(embedding.blocks(KNOWN))


@pytest.mark.parametrize('kind', DIRECTIONS)
@pytest.mark.parametrize('n_slices', [None, 5])
@pytest.mark.parametrize('name', DOMAINS)
def test_delta_is_set_aside_only_where_the_energy_varies(kind, n_slices, name):
    plan = ProjectionPlan(kind, n_slices)

    budget = share_budget(DOMAINS[name], EPSILON, DELTA, plan)

    varies = name != 'public' and (kind == 'sphere' or n_slices is not None)
    assert budget.energy_delta == (DELTA * plan.energy_share if varies else 0)
    assert budget.threshold_delta == (DELTA * plan.threshold_share if name == 'discovered' else 0)
    assert (budget.epsilon, budget.delta) == (EPSILON, DELTA)


@pytest.mark.parametrize('kind', DIRECTIONS)
@pytest.mark.parametrize('n_slices', [None, 5])
def test_how_delta_is_shared_is_decided_before_anything_is_known(kind, n_slices):
    """The shares depend on what is unknown, not on what it turns out to be."""
    plan = ProjectionPlan(kind, n_slices)
    twins = [
        (CategoricalDomain('x', 'categorical', None, missing, other),)
        for missing in (False, True)
        for other in (False, True)
    ]

    shares = [share_budget(domains, EPSILON, DELTA, plan) for domains in twins]

    facts = {(s.threshold_delta, s.energy_delta, s.mu_squared) for s in shares}
    assert len(facts) == 1


@pytest.mark.parametrize('kind', DIRECTIONS)
def test_the_energy_delta_is_charged_even_where_the_energy_does_not_vary(kind):
    """Seven slices of seven dimensions: one full basis, but nobody knew before."""
    plan = ProjectionPlan(kind, 7)
    domains = DOMAINS['discovered']
    budget = share_budget(domains, EPSILON, DELTA, plan)
    spent = discovered(domains, budget, plan)

    entry = plan_entry(embedding.blocks(KNOWN), 500, budget, spent, plan)

    assert entry.threshold_delta == DELTA * plan.energy_share > 0


def test_without_a_share_for_luck_the_largest_energy_is_planned_for():
    careful, lucky = (ProjectionPlan('sphere', 20, energy_share=s) for s in (0.0, 0.01))
    sigmas = []
    for plan in (careful, lucky):
        budget = share_budget(DOMAINS['discovered'], EPSILON, DELTA, plan)
        spent = discovered(DOMAINS['discovered'], budget, plan)
        sigmas.append(plan_entry(embedding.blocks(KNOWN), 500, budget, spent, plan).sigma)

    ratio = largest_energy('sphere', 7, 20) / energy_bound('sphere', 7, 20, DELTA * 0.01)
    assert ratio > 1.5
    assert sigmas[0] / sigmas[1] == pytest.approx(math.sqrt(ratio), rel=0.02)


@pytest.mark.parametrize('n_rows', [0, 1, 1000, 10**6, 10**9])
@pytest.mark.parametrize('d', [1, 7, 3000])
def test_the_default_is_a_basis_or_what_fits(d, n_rows):
    slices = default_slices(d, n_rows)

    assert 1 <= slices <= d
    if (n_rows + d) * d <= MOST_VALUES:
        assert slices == d
    elif slices < d:
        assert (n_rows + d) * slices <= MOST_VALUES or slices == 1
        assert (n_rows + d) * (slices + 1) > MOST_VALUES


@pytest.mark.parametrize('kind', DIRECTIONS)
def test_too_many_slices_are_refused_and_the_most_is_named(kind):
    laid_out = embedding.blocks(KNOWN)
    most = MOST_VALUES // (1000 + 7)
    budget = share_budget(KNOWN, EPSILON, DELTA, ProjectionPlan(kind))

    with pytest.raises(ValueError, match=f'at most {most} .*got {most + 1}:'):
        plan_entry(laid_out, 1000, budget, (), ProjectionPlan(kind, most + 1))
    if kind == 'orthonormal':
        assert plan_entry(laid_out, 1000, budget, (), ProjectionPlan(kind, most)).slices == most


@pytest.mark.parametrize('plan', [ProjectionPlan(), ProjectionPlan('sphere', 3)], ids=text_of)
def test_a_table_that_fits_in_no_case_is_refused(plan):
    budget = share_budget(KNOWN, EPSILON, DELTA, plan)

    with pytest.raises(ValueError, match='fewer rows'):
        plan_entry(embedding.blocks(KNOWN), MOST_VALUES, budget, (), plan)


@pytest.mark.parametrize(
    'domains',
    [
        (),
        (CategoricalDomain('none', 'categorical', (), False),),
        (NumericalDomain('constant', 'numerical', 4, 4, (1, 1), False),),
    ],
    ids=['no column', 'no category', 'one number'],
)
def test_there_must_be_something_to_measure(domains):
    budget = share_budget(domains, EPSILON, DELTA, ProjectionPlan())

    with pytest.raises(PrivacyError, match='nothing to do'):
        plan_entry(embedding.blocks(domains), 10, budget, (), ProjectionPlan())


def test_a_value_that_may_have_no_cell_is_something_to_measure():
    """One category, no cell for anything else: such a record is encoded as zero."""
    domains = (CategoricalDomain('one', 'categorical', ('a',), False),)
    budget = share_budget(domains, EPSILON, DELTA, ProjectionPlan())

    assert plan_entry(embedding.blocks(domains), 10, budget, (), ProjectionPlan()).dimension == 1


def test_what_is_spent_already_cannot_be_spent_again():
    plan = ProjectionPlan()
    budget = share_budget(DOMAINS['discovered'], EPSILON, DELTA, plan)
    spent = (LedgerEntry('domain', 'text', 9, 0.5, 9),)

    with pytest.raises(PrivacyError, match='Nothing is left'):
        plan_entry(embedding.blocks(KNOWN), 10, budget, spent, plan)


@pytest.mark.parametrize(
    ('changed', 'error'),
    [
        ({'directions': 'haar'}, ValueError),
        ({'directions': None}, ValueError),
        ({'n_slices': 0}, ValueError),
        ({'n_slices': -1}, ValueError),
        ({'n_slices': 2.0}, TypeError),
        ({'n_slices': True}, TypeError),
        ({'n_slices': '3'}, TypeError),
    ],
)
def test_plans_that_cannot_be_followed_are_refused(changed, error):
    with pytest.raises(error, match=next(iter(changed))):
        ProjectionPlan(**changed)


@quick
@given(st.booleans(), st.integers(1, 4), st.integers(-5, 5), st.integers(0, 9))
def test_columns_are_released_on_their_plainest_cells(missing, n_categories, lower, width):
    known = tuple(f'w{i}' for i in range(n_categories))
    word = CategoricalDomain('w', 'categorical', known, missing, True)
    number = NumericalDomain('n', 'numerical', lower, lower + width, (1, 1), missing)
    level = Level(np.array([lower]), np.array([lower + width]), np.array([7]), 2.0)

    first, second = released_columns([Column(word), Column(number, (level,))])

    codes = list(range(word.n_cells))
    assert first.domain == word and first.levels == ()
    assert first.fine_lower.tolist() == first.fine_upper.tolist() == first.bins.tolist() == codes
    absent = [MISSING] * missing
    assert second.domain == number and second.levels == (level,)
    assert second.fine_lower.tolist() == [*absent, lower]
    assert second.fine_upper.tolist() == [*absent, lower + width]
    assert second.n_bins == 1 + missing


def test_columns_without_a_cell_can_be_released():
    nothing = CategoricalDomain('nothing', 'categorical', (), False)

    (column,) = released_columns([Column(nothing)])

    assert column.n_bins == 0
