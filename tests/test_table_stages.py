import numpy as np
import pandas as pd
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from small_releases import release_of, whole_counts
from test_stages import KNOWN, PLAN, measured, open_curator, table

from sdv_slicedp import slices, table_stages
from sdv_slicedp.accounting import Ledger, LedgerEntry, epsilon_spent, gaussian_epsilon, mu_squared
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.mechanism import measure
from sdv_slicedp.slices import HistogramPlan
from sdv_slicedp.table_stages import Fill

pytestmark = pytest.mark.filterwarnings('error')


def test_dependent_pairs_are_measured_with_less_noise():
    """Amount decides kind; size is independent. False alarms: below 1e-4, 4 noise scales apart."""
    curator, ledger, released = measured()
    before = len(ledger.entries)
    budget = 0.001

    sigmas = table_stages.choose_pairs(curator, released, budget, PLAN)

    assert sigmas[(0, 2)] < sigmas[(1, 3)]
    assert set(sigmas) == set(slices.column_pairs(4))
    (entry,) = ledger.entries[before:]
    assert entry.stage == 'selection'
    assert mu_squared([entry]) <= budget * PLAN.selection_share * (1 + 1e-9)


def test_pairs_take_what_is_left_of_the_budget():
    curator, ledger, _ = measured(0.01)
    sigmas = dict.fromkeys(slices.column_pairs(4), 3.0) | {(0, 1): 6.0}

    budget = (1.0, 1e-6)
    marginals = table_stages.measure_pairs(
        curator, sigmas, Fill(ledger.entries, *budget, gaussian_epsilon)
    )

    assert 0.99 < gaussian_epsilon(ledger.entries, 1e-6) <= 1.0
    assert [m.columns for m in marginals] == slices.column_pairs(4)
    noisy = {m.columns: m.sigma for m in marginals}
    assert noisy[(0, 1)] / noisy[(2, 3)] == pytest.approx(2, rel=0.01)
    assert len({noisy[pair] for pair in noisy if pair != (0, 1)}) == 1


def test_without_pairs_nothing_is_measured():
    curator, ledger = open_curator()
    spent = (LedgerEntry('one-column', 'text', 1, 5.0, 1),)

    assert table_stages.choose_pairs(curator, [], 1.0, PLAN) == {}
    assert table_stages.measure_pairs(curator, {}, Fill(spent, 1.0, 1e-6, gaussian_epsilon)) == []
    assert ledger.entries == ()


def test_pairs_before_another_stage_have_the_scales_asked_for():
    curator, ledger, _ = measured(0.01)
    before = len(ledger.entries)

    marginals = table_stages.measure_pairs(curator, dict.fromkeys(slices.column_pairs(4), 30.0))

    (entry,) = ledger.entries[before:]
    assert entry.sigma == pytest.approx(30, rel=0.01)
    assert {m.sigma for m in marginals} == {entry.sigma}


def hub_release(names=None, **plan):
    ledger = Ledger()
    release = measure(
        table(),
        KNOWN,
        epsilon=1.0,
        delta=1e-6,
        ledger=ledger,
        target_columns=names,
        plan=HistogramPlan(**plan),
    )
    return release, [m.columns for m in release.marginals if len(m.columns) == 3]


@pytest.mark.parametrize('names', [None, ['kind'], ['amount', 'kind'], ['size', 'size', 'kind']])
def test_three_columns_come_last_and_use_the_budget_up(names):
    release, triples = hub_release(names)

    positions = {'amount': 0, 'kind': 2, 'size': 3}
    hubs = {positions[name] for name in names or ['kind', 'size']}
    assert {hub for hub, _, _ in triples} == hubs
    assert len(triples) == 3 * len(hubs)
    three, again = release.ledger[-2:]
    assert (three.description, again.description) == (
        'three-column slices',
        'two-column slices of hubs',
    )
    assert three.slices == len(triples)
    assert again.slices == len({tuple(sorted((h, c))) for h in hubs for c in range(4) if c != h})
    assert 0.9 < epsilon_spent(release.ledger, 1e-6) <= 1.0


def test_few_partners_and_hubs():
    release, triples = hub_release(hubs=1, partners=2)
    assert len(triples) == 1
    assert 0.9 < epsilon_spent(release.ledger, 1e-6) <= 1.0


@pytest.mark.parametrize('arguments', [{'names': []}, {'hub_share': 0.0}])
def test_without_hubs_the_pairs_get_everything(arguments):
    release, triples = hub_release(**arguments)
    assert not triples
    assert release.ledger[-1].description.startswith('two-column slices')
    assert 0.9 < epsilon_spent(release.ledger, 1e-6) <= 1.0


def test_counts_of_three_columns_are_those_of_the_rows():
    """With the smallest noise; false alarms: a deviation of 7 has a probability below 1e-20."""
    curator, _, released = measured()
    entry = LedgerEntry('pairs', 'text', 1, 0.5, 1)
    pair = curator.tables([(1, 3)], entry)[0]
    three = curator.tables([(2, 1, 3)], entry)[0]
    assert three.shape == tuple(released[i].n_bins for i in (2, 1, 3))
    assert np.abs(three.sum(0) - pair).max() < 3 * 7


@given(st.integers(0, 3), st.integers(0, 5), st.booleans())
def test_each_hub_is_crossed_with_pairs_of_its_partners(n_hubs, n_partners, named):
    release = RELEASE
    plan = HistogramPlan(hubs=n_hubs, partners=n_partners)

    triples = table_stages.choose_triples(release, ['c3', 'c1'] if named else None, plan)

    chosen = {hub for hub, _, _ in triples}
    crossed = min(n_partners, 4)
    assert len(chosen) == (0 if crossed < 2 else 2 if named else min(n_hubs, 5))
    if named:
        assert chosen <= {1, 3}
    for hub in chosen:
        others = {column for first, a, b in triples if first == hub for column in (a, b)}
        assert hub not in others
        assert len(others) == crossed
        assert sum(first == hub for first, *_ in triples) == crossed * (crossed - 1) // 2
    assert all(a < b for _, a, b in triples)
    assert len(set(triples)) == len(triples)


RELEASE = release_of(
    whole_counts(np.random.default_rng(0).dirichlet(np.ones(72)).reshape(2, 3, 2, 2, 3), 10**5)
)


def test_the_partners_of_a_hub_are_the_telling_ones():
    """A hub that three of its four others tell about."""
    rng = np.random.default_rng(1)
    law = rng.dirichlet(np.full(16, 0.5)).reshape(2, 2, 2, 2)
    joint = whole_counts(law[:, :, None] * np.array([0.5, 0.5])[:, None, None], 10**6)
    triples = table_stages.choose_triples(release_of(joint), ['c0'], HistogramPlan(partners=3))
    assert triples == [(0, 1, 3), (0, 1, 4), (0, 3, 4)]


def test_without_triples_nothing_is_measured():
    curator, ledger = open_curator()
    fill = Fill((), 1.0, 1e-6, gaussian_epsilon)
    assert table_stages.measure_hubs(curator, [], 5, HistogramPlan(), fill) == []
    assert ledger.entries == ()


@pytest.mark.parametrize('share', [0.0, 0.25, 0.9])
def test_slices_of_hubs_share_what_is_theirs(share):
    release, triples = hub_release(hub_pair_share=share)
    pairs, three, *again = release.ledger[-3 if share else -2 :]
    assert {m.sigma for m in release.marginals if len(m.columns) == 3} == {three.sigma}
    assert sorted(triples) == triples
    assert pairs.slices == 6
    spent = mu_squared([three, *again])
    assert spent / (spent + mu_squared([pairs])) == pytest.approx(0.25, abs=0.1)
    assert mu_squared(again) == pytest.approx(share * spent, rel=0.02)
    measured = [m.columns for m in release.marginals if len(m.columns) == 2]
    twice = {columns for columns in measured if measured.count(columns) == 2}
    hubs = {hub for hub, *_ in triples}
    assert twice == ({c for c in measured if hubs & set(c)} if share else set())


@given(
    st.floats(0.3, 10),
    st.sampled_from([0.0, 0.2, 0.5]),
    st.sampled_from([None, [], ['kind'], ['day', 'amount']]),
    st.sampled_from([0.0, 0.5]),
)
@examples(15)
def test_no_plan_spends_more_than_the_budget(epsilon, share, names, pair_share):
    ledger = Ledger()
    plan = HistogramPlan(hub_share=share, hub_pair_share=pair_share)
    options = {'delta': 1e-6, 'ledger': ledger, 'target_columns': names, 'plan': plan}
    measure(table(300), KNOWN, epsilon=epsilon, **options)
    assert 0.9 * epsilon < epsilon_spent(ledger.entries, 1e-6) <= epsilon


def eight_columns() -> tuple[pd.DataFrame, list[CategoricalDomain]]:
    rng = np.random.default_rng(0)
    names = [f'c{i}' for i in range(8)]
    rows = pd.DataFrame({name: rng.choice(['a', 'b', 'c'], 300) for name in names})
    return rows, [CategoricalDomain(n, 'categorical', ('a', 'b', 'c'), False) for n in names]


@pytest.mark.parametrize('epsilon', [60.0, 100.0])
def test_so_much_epsilon_that_nobody_needs_it_is_no_error(epsilon):
    rows, domains = eight_columns()
    ledger = Ledger()
    measure(rows, domains, epsilon=epsilon, delta=1e-6, ledger=ledger)
    assert epsilon_spent(ledger.entries, 1e-6) <= epsilon
