import numpy as np
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import slices
from sdv_slicedp.domain import MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.grid import Cells
from sdv_slicedp.levels import Level
from sdv_slicedp.release import ColumnRelease
from sdv_slicedp.slices import HistogramPlan

pytestmark = pytest.mark.filterwarnings('error')

NUMBER = NumericalDomain('x', 'numerical', 0, 10**6, (1, 1), True)
PLAN = HistogramPlan()

positive = st.floats(min_value=1e-4, max_value=1e3)
problems = st.lists(st.tuples(positive, positive), min_size=2, max_size=12)
budgets = st.floats(min_value=1e-4, max_value=10)
seeds = st.integers(0, 2**32 - 1)
few = examples(12)  # a search of scales takes 20 ms


def spent(sigmas: np.ndarray) -> float:
    return float((1 / sigmas**2).sum())


def total_error(strength, reach, sigmas) -> float:
    return float((strength * reach * sigmas / (strength + reach * sigmas)).sum())


def columns_of(problem):
    return (np.array(side) for side in zip(*problem, strict=True))


def allocation(scores, expected, mu_squared=0.5, plan=PLAN):
    return slices.allocate(np.array(scores), expected, 1000.0, 5.0, mu_squared, plan)


def even_tables(n: int, cells: int = 4) -> list[np.ndarray]:
    return [np.full((cells, cells), 1000 // cells**2)] * n


def test_all_pairs_once():
    pairs = slices.column_pairs(5)

    assert len(set(pairs)) == len(pairs) == 10
    assert all(a < b for a, b in pairs)
    assert slices.column_pairs(1) == []
    assert slices.column_pairs(0) == []


@few
@given(problems, budgets)
def test_best_scales_use_the_budget_exactly(problem, mu_squared):
    strength, reach = columns_of(problem)

    sigmas = slices.best_scales(strength, reach, mu_squared)

    assert spent(sigmas) == pytest.approx(mu_squared, rel=1e-6)


@few
@given(problems, budgets, seeds)
def test_no_other_scales_of_the_same_budget_are_better(problem, mu_squared, seed):
    strength, reach = columns_of(problem)
    rng = np.random.default_rng(seed)

    sigmas = slices.best_scales(strength, reach, mu_squared)

    best = total_error(strength, reach, sigmas)
    for size in (0.01, 0.1, 1.0):
        share = sigmas**-2.0 * np.exp(size * rng.normal(size=len(sigmas)))
        other = 1 / np.sqrt(share / share.sum() * mu_squared)
        assert total_error(strength, reach, other) >= best * (1 - 1e-9)


@few
@given(positive, positive, st.integers(2, 6), problems, budgets)
def test_equal_pairs_get_equal_scales(strength, reach, n, others, mu_squared):
    s, k = columns_of([*[(strength, reach)] * n, *others])

    sigmas = slices.best_scales(s, k, mu_squared)

    np.testing.assert_allclose(sigmas[:n], sigmas[0], rtol=1e-9)


def test_stronger_pairs_get_less_noise():
    sigmas = slices.best_scales(np.array([0.01, 0.1, 1.0]), np.full(3, 0.05), 1.0)

    assert sigmas[0] > sigmas[1] > sigmas[2]


@few
@given(st.lists(st.integers(-50, 2000), min_size=1, max_size=12), budgets)
def test_allocation_uses_the_budget_and_leaves_nobody_out(scores, mu_squared):
    sigmas = allocation(scores, even_tables(len(scores)), mu_squared)

    assert spent(sigmas) == pytest.approx(mu_squared, rel=1e-9)
    least = PLAN.even_share * mu_squared / len(scores)
    assert (sigmas**-2.0 >= least * (1 - 1e-9)).all()


@few
@given(st.lists(st.integers(-50, 2000), min_size=2, max_size=8), seeds)
def test_allocation_does_not_depend_on_the_order_of_pairs(scores, seed):
    order = np.random.default_rng(seed).permutation(len(scores))
    expected = [
        np.full((2 + i, 3), 1000 // (6 + 3 * i)) for i in range(len(scores))
    ]  # different shapes

    direct = allocation(scores, expected)

    shuffled = allocation(np.array(scores)[order], [expected[i] for i in order])
    np.testing.assert_allclose(shuffled, direct[order], rtol=1e-6)


def test_dependent_pairs_get_less_noise_and_equal_ones_the_same():
    sigmas = allocation([1500, 300, 300], even_tables(3))

    assert sigmas[0] < sigmas[1]
    assert sigmas[1] == pytest.approx(sigmas[2])


def test_an_even_plan_measures_all_pairs_alike():
    sigmas = allocation([1500, 300, 0], even_tables(3), plan=HistogramPlan(even_share=1.0))

    np.testing.assert_allclose(sigmas, sigmas[0])


@given(st.lists(st.floats(0.5, 1e5), min_size=1, max_size=300))
def test_ladder_has_few_scales_close_to_the_wanted_ones(wanted):
    wanted = np.array(wanted)

    sigmas = slices.sigma_ladder(wanted)

    ratio = sigmas / wanted
    # A quarter of an octave by rounding, and as much again to keep the cost.
    assert ratio.max() <= 2**0.5 * (1 + 1e-9)
    assert ratio.min() >= 2**-0.5 * (1 - 1e-9)
    assert np.sum(1 / sigmas**2) == pytest.approx(np.sum(1 / wanted**2))
    assert len(set(sigmas)) <= 2 * np.log2(wanted.max() / wanted.min()) + 2
    order = np.argsort(wanted, kind='stable')
    assert (np.diff(sigmas[order]) >= 0).all()


@given(
    st.lists(st.tuples(st.integers(1, 500), st.floats(0, 3000)), min_size=1, max_size=80),
    st.floats(0.5, 100),
    st.booleans(),
)
def test_pair_cells_of_numbers_are_runs(rows, sigma, has_missing):
    edges = np.cumsum([0, *[width for width, _ in rows]])
    lower, upper = edges[:-1], edges[1:] - 1
    counts = np.array([count for _, count in rows])
    if has_missing:
        lower, upper = np.r_[MISSING, lower], np.r_[MISSING, upper]
        counts = np.r_[7.0, counts]

    bins = slices.pair_cells(NUMBER, Cells(lower, upper), counts, sigma, PLAN)

    assert bins[0] == 0
    assert set(np.diff(bins)) <= {0, 1}
    assert bins[-1] + 1 <= 2 * PLAN.max_bins + 3
    if has_missing:
        assert (bins == 0).sum() == 1


def test_spikes_have_a_pair_cell_of_their_own():
    counts = np.r_[np.full(50, 10.0), 5000.0, np.full(49, 10.0)]
    cells = Cells(np.arange(100), np.arange(100))

    bins = slices.pair_cells(NUMBER, cells, counts, 2.0, PLAN)

    assert (bins == bins[50]).sum() == 1
    assert bins[-1] > bins[50] > 0


def test_noise_joins_pair_cells():
    counts, cells = np.full(1000, 10.0), Cells(np.arange(1000), np.arange(1000))

    fine = slices.pair_cells(NUMBER, cells, counts, 1.0, PLAN)
    coarse = slices.pair_cells(NUMBER, cells, counts, 300.0, PLAN)

    assert coarse.max() < fine.max()


@given(st.lists(st.floats(0, 5000), min_size=1, max_size=30), st.floats(0.5, 300))
def test_rare_categories_share_a_pair_cell(counts, sigma):
    domain = CategoricalDomain('c', 'categorical', tuple(range(len(counts))), False)
    codes, counts = np.arange(len(counts)), np.array(counts)

    bins = slices.pair_cells(domain, Cells(codes, codes), counts, sigma, PLAN)

    assert sorted(set(bins)) == list(range(bins.max() + 1))
    sums = np.bincount(bins, counts)
    assert (sums[:-1] >= PLAN.category_noise * sigma).all()


def test_laws_over_pair_cells():
    codes = np.arange(3)
    columns = []
    for name, counts in (('a', [600, 300, 103]), ('b', [997, 1, -3])):
        domain = CategoricalDomain(name, 'categorical', ('p', 'q', 'r'), False)
        level = Level(codes, codes, np.array(counts), 2.0)
        columns.append(ColumnRelease(domain, (level,), codes, codes, np.array([0, 1, 1]), 2))

    laws = slices.bin_laws(columns)

    assert [law.sum() for law in laws] == pytest.approx([1, 1])
    assert laws[0] == pytest.approx([600 / 1003, 403 / 1003])
    assert all((law >= 0).all() for law in laws)
