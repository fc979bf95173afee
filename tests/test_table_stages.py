import numpy as np
import pytest
from test_stages import PLAN, measured, open_curator

from sdv_slicedp import slices, table_stages
from sdv_slicedp.accounting import Ledger, LedgerEntry, epsilon_spent, gaussian_epsilon, mu_squared
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
    from test_stages import KNOWN, table

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
    assert release.ledger[-1].description == 'three-column slices'
    assert release.ledger[-1].slices == len(triples)
    assert 0.9 < epsilon_spent(release.ledger, 1e-6) <= 1.0


def test_few_partners_and_hubs():
    release, triples = hub_release(hubs=1, partners=2)
    assert len(triples) == 1
    assert 0.9 < epsilon_spent(release.ledger, 1e-6) <= 1.0


@pytest.mark.parametrize('arguments', [{'names': []}, {'triple_share': 0.0}])
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
