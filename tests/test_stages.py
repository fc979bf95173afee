import numpy as np
import pandas as pd
import pytest
from dp_accounting import get_epsilon_gaussian
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import accounting, noise, slices, stages, table_stages
from sdv_slicedp.accounting import Ledger, LedgerEntry, mu_squared
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.levels import Level
from sdv_slicedp.stages import Column

pytestmark = pytest.mark.filterwarnings('error')

PLAN = slices.HistogramPlan()
PLENTY = 1e3
"""A budget so large that the noise is at about its smallest scale."""
DAY = 86_400 * 10**9


def table(n_rows: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    amount = rng.integers(-400, 9_000, n_rows) / 100
    days = rng.integers(15_000, 18_000, n_rows) * float(DAY)
    return pd.DataFrame(
        {
            'amount': np.where(rng.random(n_rows) < 0.2, np.nan, amount),
            'day': days,
            'kind': np.where(amount > 40, 'dear', 'cheap').astype(object),
            'size': rng.choice([1, 2, 3], n_rows).astype(object),
        }
    )


UNKNOWN = (
    NumericalDomain('amount', 'numerical', None, None, None, True),
    NumericalDomain('day', 'datetime', None, None, None, True),
    CategoricalDomain('kind', 'categorical', None, True),
    CategoricalDomain('size', 'ordinal', None, True),
)
KNOWN = (
    NumericalDomain('amount', 'numerical', -500, 10_000, (1, 100), True),
    NumericalDomain('day', 'datetime', 14_000, 19_000, (DAY, 1), False),
    CategoricalDomain('kind', 'categorical', ('cheap', 'dear'), False),
    CategoricalDomain('size', 'ordinal', (1, 2, 3), True),
)


def open_curator(frame: pd.DataFrame | None = None) -> tuple[Curator, Ledger]:
    ledger = Ledger()
    return Curator(table() if frame is None else frame, ledger), ledger


def measured(budget: float = PLENTY) -> tuple[Curator, Ledger, list]:
    curator, ledger = open_curator()
    columns = stages.measure_columns(curator, [Column(domain) for domain in KNOWN], budget)
    released = table_stages.choose_bins(columns, budget, PLAN)
    curator.encode(released)
    return curator, ledger, released


@given(st.integers(1, 5000), st.floats(1e-5, 100))
def test_equal_scales_stay_within_their_share(n_slices, share):
    sigma = stages.equal_sigma(n_slices, share)

    assert noise.is_admissible(sigma)
    wanted = n_slices / share + stages.CORRECTION
    assert sigma == noise.MAX_SIGMA or wanted * (1 - 1e-9) <= sigma**2 < 1.01 * wanted


@given(st.integers(1, 10**6), st.floats(1e-3, 4))
def test_a_stage_costs_no_more_than_it_was_given(n_slices, share):
    """By the bound that the plan keeps to, small scales included; but for what roots leave."""
    sigma = stages.equal_sigma(n_slices, share)
    entry = LedgerEntry('pairs', 'text', n_slices, sigma, n_slices)

    given = get_epsilon_gaussian(share**-0.5, 1e-6)
    assert accounting.gaussian_epsilon([entry], 1e-6) <= given * (1 + 1e-6) + 1e-6


def test_thresholds_cost_delta_only_where_categories_are_unknown():
    assert stages.threshold_delta(KNOWN, 1e-7) == 0
    assert stages.threshold_delta(UNKNOWN, 1e-7) == 1e-7
    assert stages.threshold_delta(UNKNOWN[:2], 1e-7) == 0


def test_known_domains_cost_nothing():
    curator, ledger = open_curator()

    columns = stages.discover(curator, KNOWN, PLENTY, 0.0)

    assert [column.domain for column in columns] == list(KNOWN)
    assert ledger.entries == ()


def test_domains_are_discovered():
    """With hardly any noise: the chance to miss any of this is below 1e-9."""
    curator, ledger = open_curator()

    amount, day, kind, size = (
        column.domain for column in stages.discover(curator, UNKNOWN, PLENTY, 1e-7)
    )

    assert (amount.step, day.step) == ((1, 100), (DAY, 1))
    assert amount.lower <= -400
    assert amount.upper >= 8_999
    assert day.lower <= 15_000
    assert day.upper >= 17_999
    assert kind.categories == ('cheap', 'dear')
    assert size.categories == (1, 2, 3)
    assert kind.has_other
    assert sum(entry.slices for entry in ledger.entries) == 6
    assert sum(entry.threshold_delta for entry in ledger.entries) == pytest.approx(1e-7)
    assert {entry.stage for entry in ledger.entries} == {'domain'}


@pytest.mark.parametrize('budget', [0.001, 0.1, 3.0])
@pytest.mark.parametrize('domains', [KNOWN, UNKNOWN])
def test_stages_spend_no_more_than_their_share(domains, budget):
    curator, ledger = open_curator()

    columns = stages.discover(curator, domains, budget, 1e-7)
    discovered = mu_squared(ledger.entries)
    stages.measure_columns(curator, columns, budget)

    assert discovered <= budget * (1 + 1e-9)
    assert mu_squared(ledger.entries) - discovered <= budget * (1 + 1e-9)


def test_columns_are_measured_to_single_positions():
    _, ledger, released = measured()

    for column in released:
        assert len(column.levels) >= 1
        lower, upper = column.fine_lower, column.fine_upper
        value = lower != MISSING
        assert (lower[1:] > upper[:-1]).all()
        if isinstance(column.domain, NumericalDomain):
            assert lower[value][0] == column.domain.lower
            assert upper[value][-1] == column.domain.upper
            assert (lower[value][1:] == upper[value][:-1] + 1).all()
    levels = [len(column.levels) for column in released]
    assert sum(entry.slices for entry in ledger.entries) == sum(levels)
    assert levels[2:] == [1, 1]


def missing_column(count: int, *, discrete: bool) -> Column:
    if discrete:
        domain = CategoricalDomain('c', 'categorical', ('a', 'b'), True, True)
        codes = np.arange(4)
        return Column(domain, (Level(codes, codes, np.array([90, 80, count, 7]), 2.0),))
    domain = NumericalDomain('c', 'numerical', 0, 1, (1, 1), True)
    cells = np.array([MISSING, 0, 1])
    return Column(domain, (Level(cells, cells, np.array([count, 70, 80]), 2.0),))


@pytest.mark.parametrize('discrete', [True, False])
def test_a_hidden_cell_of_missing_values_is_dropped(discrete):
    column = missing_column(3, discrete=discrete)

    (dropped,) = stages.drop_hidden_missing([column], ())

    level = dropped.levels[0]
    assert not dropped.domain.has_missing
    assert level.counts.tolist() == ([90, 80, 7] if discrete else [70, 80])
    assert level.lower.tolist() == level.upper.tolist() == list(range(len(level.counts)))


@pytest.mark.parametrize('discrete', [True, False])
def test_a_cell_of_missing_values_stays_if_it_shows_or_is_attested(discrete):
    hidden, shown = (missing_column(count, discrete=discrete) for count in (3, 50))

    assert stages.drop_hidden_missing([shown], ()) == [shown]
    assert stages.drop_hidden_missing([hidden], ('c',)) == [hidden]


@pytest.mark.parametrize(
    ('n_rows', 'budget', 'share', 'noise_rules'),
    [(10**6, 0.01, 0.25, False), (500, 1e-4, 0.95, True), (2, 5.0, 0.95, True)],
)
def test_few_rows_give_single_columns_more(n_rows, budget, share, noise_rules):
    """Noise would have to be off by 10 scales for another answer."""
    columns = [Column(domain) for domain in KNOWN]
    curator, ledger = open_curator(pd.DataFrame(index=range(n_rows)))
    found, rules = stages.one_column_budget(curator, columns, budget, budget, PLAN)
    (entry,) = ledger.entries
    assert entry.stage == 'rows'
    assert mu_squared([entry]) <= budget * PLAN.rows_share
    most = budget * (1 - PLAN.rows_share) if noise_rules else budget
    assert found == pytest.approx(share * most)
    assert rules is noise_rules


def test_the_only_column_needs_no_number_of_rows():
    curator, ledger = open_curator()
    assert stages.one_column_budget(curator, [Column(KNOWN[0])], 1.0, 1.0, PLAN) == (
        0.8,
        False,
    )
    assert ledger.entries == ()


def test_coarse_levels_come_first_where_noise_rules():
    """The first level gets the named share; the later ones no more than what is left."""
    budget = 0.5
    curator, ledger = open_curator()
    columns = [Column(domain) for domain in KNOWN]
    stages.measure_columns(curator, columns, budget, coarse_first=True)
    spent = [e.slices / (e.sigma**2 - stages.CORRECTION) for e in ledger.entries]
    assert spent[0] == pytest.approx(stages.COARSE_SHARE * budget, rel=0.01)
    assert sum(spent) <= budget
    assert len(spent) > 1
