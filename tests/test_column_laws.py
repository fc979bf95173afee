import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm, truncnorm
from small_trees import assert_tiles, least_squares, random_tree

from sdv_slicedp import column_laws, grid
from sdv_slicedp.column_laws import SHARE_SCALES, column_law, left_mass, number_counts
from sdv_slicedp.domain import MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.grid import Cells
from sdv_slicedp.levels import Level

pytestmark = pytest.mark.filterwarnings('error')

seeds = st.integers(0, 2**32 - 1)


def number(lower: int, upper: int, *, has_missing: bool = False) -> NumericalDomain:
    return NumericalDomain('x', 'numerical', lower, upper, (1, 1), has_missing)


def zoom(domain: NumericalDomain, values: np.ndarray, sigma: float, seed: int) -> list[Level]:
    """Levels of a column as the mechanism takes them, with normal noise."""
    rng = np.random.default_rng(seed)
    cells, levels = grid.root_cells(domain), []
    while len(cells):
        index = cells.locate(values)
        exact = np.bincount(index[index >= 0], minlength=len(cells))
        noisy = np.rint(exact + rng.normal(0, sigma, len(cells))).astype(np.int64)
        levels.append(Level(cells.lower, cells.upper, noisy, sigma))
        cells = grid.refine(cells, noisy, sigma)
    return levels


def one_split(counts, variances, widths, mass) -> float:
    sides = [
        tuple(np.array([x], dtype=float) for x in pair) for pair in (counts, variances, widths)
    ]
    return float(left_mass(*sides, np.array([float(mass)]))[0])


def by_integration(counts, variances, widths, mass) -> float:
    """The posterior mean of (51) from its definition: both counts, and each prior in turn."""
    even = mass * widths[0] / sum(widths)

    def likelihood(left: float) -> float:
        seen = norm.pdf(counts[0], left, np.sqrt(variances[0]))
        return seen * norm.pdf(counts[1], mass - left, np.sqrt(variances[1]))

    evidence = [likelihood(x) for x in (even, 0.0, mass)]
    moment = [likelihood(x) * x for x in (even, 0.0, mass)]
    near = [x for x in (counts[0], mass - counts[1], even) if 0 < x < mass]
    for scale in SHARE_SCALES:
        spread = scale * mass
        prior = truncnorm(-even / spread, (mass - even) / spread, even, spread)
        for weight, found in ((lambda x: 1.0, evidence), (lambda x: x, moment)):
            value, _ = quad(
                lambda x, prior=prior, weight=weight: prior.pdf(x) * likelihood(x) * weight(x),
                *(0, mass),
                points=near,
                limit=200,
            )
            found.append(value)
    return sum(moment) / sum(evidence)


@pytest.mark.parametrize('counts', [(480, 505), (730, 260), (20, 960), (-35, 1040), (90, 920)])
@pytest.mark.parametrize('variances', [(900.0, 900.0), (400.0, 4000.0)])
@pytest.mark.parametrize('widths', [(8, 8), (4, 12)])
def test_what_is_left_is_the_posterior_mean(counts, variances, widths):
    expected = by_integration(counts, variances, widths, 1000.0)
    assert one_split(counts, variances, widths, 1000) == pytest.approx(expected, abs=0.01)


def test_shares_near_the_widths_are_drawn_to_them_and_others_are_not():
    # An estimate without a prior is half of 1000 + 40, and 700.
    assert abs(one_split((540, 500), (900, 900), (1, 1), 1000) - 500) < 10
    assert abs(one_split((700, 300), (900, 900), (1, 1), 1000) - 700) < 10


def test_a_side_that_looks_empty_is_empty():
    assert one_split((3, 1004), (900, 900), (1, 1), 1000) < 5
    assert one_split((998, -10), (900, 900), (1, 1), 1000) > 995


@given(
    st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
    st.tuples(st.floats(1e-2, 1e6), st.floats(1e-2, 1e6)),
    st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)),
    st.floats(0, 1e5),
)
def test_masses_are_divided_whatever_the_counts(counts, variances, widths, mass):
    left = one_split(counts, variances, widths, mass)
    other = one_split(counts[::-1], variances[::-1], widths[::-1], mass)

    assert 0 <= left <= mass
    assert left + other == pytest.approx(mass, rel=1e-6, abs=1e-9)


@given(seeds, st.integers(1, 5), st.floats(0, 5e4), st.booleans())
def test_counts_of_numbers_sum_to_the_rows(seed, depth, rows, has_missing):
    rng = np.random.default_rng(seed)
    levels = []
    for cells in random_tree(rng, depth):
        lower, upper = cells.lower, cells.upper
        if has_missing and not levels:
            lower, upper = np.r_[MISSING, lower], np.r_[MISSING, upper]
        noisy = rng.integers(-50, 2000, len(lower))
        levels.append(Level(lower, upper, noisy, float(rng.uniform(1, 100))))

    cells, counts = number_counts(levels, rows)

    leaves = grid.leaves(levels)[0]
    assert cells.lower.tolist() == leaves.lower.tolist()
    assert cells.upper.tolist() == leaves.upper.tolist()
    assert (counts >= 0).all()
    if has_missing:
        assert counts[0] == np.clip(levels[0].counts[0], 0, rows)
    assert counts.sum() == pytest.approx(rows, rel=1e-9, abs=1e-9)


def test_only_missing_values_may_be_there():
    level = Level(np.array([MISSING]), np.array([MISSING]), np.array([90]), 3.0)

    cells, counts = number_counts([level], 95.0)

    assert cells.lower.tolist() == [MISSING]
    assert counts.tolist() == [90]


def test_counts_are_exact_without_noise():
    rng = np.random.default_rng(0)
    values = np.r_[
        rng.integers(0, 1000, 50_000), np.full(20_000, 77), rng.integers(800, 900, 30_000)
    ]
    levels = zoom(number(0, 999), values, 0.05, seed=1)

    cells, counts = number_counts(levels, len(values))

    exact = np.bincount(cells.locate(values), minlength=len(cells))
    np.testing.assert_allclose(counts, exact, atol=2)


def law_error(cells: Cells, counts: np.ndarray, values: np.ndarray) -> float:
    exact = np.bincount(cells.locate(values), minlength=len(cells))
    return float(np.abs(counts / counts.sum() - exact / exact.sum()).sum() / 2)


@pytest.mark.parametrize('shape', ['smooth', 'spikes', 'tail'])
def test_the_posterior_knows_more_than_least_squares(shape):
    """Over 20 draws of noise; least squares has 1.6 to 2.2 times the error."""
    rng = np.random.default_rng(0)
    values = {
        'smooth': rng.normal(5_000, 1_200, 20_000),
        'spikes': np.r_[rng.choice([0, 40, 9_000], 15_000), rng.uniform(0, 9_999, 5_000)],
        'tail': rng.exponential(300, 20_000),
    }[shape]
    values = np.clip(values, 0, 9_999).astype(np.int64)
    errors = []
    for seed in range(20):
        levels = zoom(number(0, 9_999), values, 60.0, seed)
        cells, counts = number_counts(levels, len(values))
        least, squares, _ = grid.leaves(levels)
        errors.append(
            [law_error(cells, counts, values), law_error(least, np.maximum(squares, 0), values)]
        )
    ours, plain = np.mean(errors, axis=0)
    assert ours < 0.8 * plain


def test_spikes_are_single_cells_when_noise_is_small():
    rng = np.random.default_rng(0)
    values = np.r_[np.zeros(9_000), np.full(500, 99_999), rng.integers(1, 50_000, 500)]
    domain = number(0, 99_999, has_missing=True)
    positions = np.r_[values.astype(np.int64), np.full(300, MISSING)]

    cells, law = column_law(domain, zoom(domain, positions, 1.0, seed=1), 10_300.0)

    assert cells.lower[0] == cells.upper[0] == MISSING
    assert_tiles(Cells(cells.lower[1:], cells.upper[1:]), 0, 99_999)
    assert (law >= 0).all()
    for spike, size in ((MISSING, 300), (0, 9_000), (99_999, 500)):
        at = int(cells.locate(np.array([spike]))[0])
        assert cells.lower[at] == cells.upper[at] == spike
        assert abs(law[at] - size) < 8  # false alarms: below 1e-9 of runs with another seed
    assert abs(law.sum() - len(positions)) < 0.05 * len(positions)


def test_noise_alone_makes_no_spikes():
    domain = number(0, 99_999)

    cells, law = column_law(domain, zoom(domain, np.zeros(0, dtype=np.int64), 20.0, seed=2), 1.0)

    assert_tiles(cells, 0, 99_999)
    assert cells.widths.min() > 1
    assert law.sum() == pytest.approx(1)


def test_law_of_categories_keeps_large_counts_and_levels_hidden_ones():
    domain = CategoricalDomain('c', 'categorical', tuple('abcde'), False)
    codes = np.arange(5)

    level = Level(codes, codes, np.array([1000, 3, -4, 500, 1]), 10.0)
    _, law = column_law(domain, [level], 1500.0)

    assert law[[0, 3]].tolist() == [1000, 500]
    assert len(set(law[[1, 2, 4]])) == 1
    assert 0 <= law[1] < 10


@given(st.lists(st.integers(-50, 2000), min_size=1, max_size=12), st.floats(0.5, 50))
def test_law_of_categories_is_never_negative(noisy, sigma):
    codes = np.arange(len(noisy))
    domain = CategoricalDomain('c', 'categorical', tuple(range(len(noisy))), False)

    cells, law = column_law(domain, [Level(codes, codes, np.array(noisy), sigma)], 100.0)

    assert cells.lower.tolist() == codes.tolist()
    assert (law >= 0).all()


@given(seeds, st.integers(1, 4), st.integers(1, 6))
def test_variances_of_sums_are_those_of_least_squares(seed, depth, n_groups):
    rng = np.random.default_rng(seed)
    trees = random_tree(rng, depth)
    sigmas = rng.uniform(0.7, 5, len(trees))
    levels = [
        Level(cells.lower, cells.upper, np.zeros(len(cells), dtype=np.int64), float(sigma))
        for cells, sigma in zip(trees, sigmas, strict=True)
    ]
    leaves = grid.leaves(levels)[0]
    groups = np.sort(rng.integers(0, n_groups, len(leaves)))
    groups = np.unique(groups, return_inverse=True)[1]

    found = column_laws.sum_variances(levels, groups)

    noisy = [np.zeros(len(cells)) for cells in trees]
    _, covariance = least_squares(trees, noisy, sigmas**2, leaves)
    member = np.arange(groups.max() + 1)[:, None] == groups
    np.testing.assert_allclose(found, np.diag(member @ covariance @ member.T), rtol=1e-6)
