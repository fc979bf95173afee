from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_releases import categorical_column, release_of, whole_counts

from sdv_slicedp import denoising, hubs
from sdv_slicedp.accounting import LedgerEntry
from sdv_slicedp.column_laws import column_law
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.levels import Level
from sdv_slicedp.release import ColumnRelease, Marginal, Release

pytestmark = pytest.mark.filterwarnings('error')

SIGMA = 3.0
ENTRY = LedgerEntry('pairs', 'made by hand', 3, SIGMA, 1)

seeds = st.integers(0, 2**32 - 1)
counts = st.lists(st.floats(-200, 1000), min_size=1, max_size=12)


def nearest_on_simplex(values: np.ndarray, variance: np.ndarray, rows: float) -> np.ndarray:
    """The projection by trying every breakpoint of its multiplier."""
    best, best_distance = None, np.inf
    order = np.argsort(values / variance)
    for k in range(len(values)):
        active = order[k:]
        multiplier = (values[active].sum() - rows) / variance[active].sum()
        point = np.zeros(len(values))
        point[active] = values[active] - multiplier * variance[active]
        distance = ((point - values) ** 2 / variance).sum()
        if point.min() >= -1e-9 * rows and distance < best_distance:
            best, best_distance = point, distance
    return best


@given(counts, seeds, st.floats(1, 5000))
def test_laws_are_the_nearest_on_the_simplex(values, seed, rows):
    values = np.array(values)
    variance = np.random.default_rng(seed).uniform(0.5, 50, len(values))

    law = denoising.to_simplex(values, variance, rows)

    assert law.sum() == pytest.approx(1)
    assert (law >= 0).all()
    expected = nearest_on_simplex(values, variance, rows) / rows
    np.testing.assert_allclose(law, expected, atol=1e-7)


@given(counts, seeds, st.floats(1, 5000))
def test_no_other_law_is_nearer(values, seed, rows):
    rng = np.random.default_rng(seed)
    values = np.array(values)
    variance = rng.uniform(0.5, 50, len(values))

    def distance(law):
        return ((law * rows - values) ** 2 / variance).sum()

    law = denoising.to_simplex(values, variance, rows)

    for other in rng.dirichlet(np.ones(len(values)), 20):
        for share in (1.0, 0.01):
            mixed = (1 - share) * law + share * other
            assert distance(mixed) >= distance(law) * (1 - 1e-9) - 1e-6


def test_margins_are_averaged_by_inverse_variance():
    """Two columns of 3 and 2 cells: a row sum has variance 2 sigma^2, a column sum 3 sigma^2."""
    first, second, table = [700, 200, 100], [590, 410], [[430, 280], [121, 90], [49, 60]]
    columns = [
        categorical_column(np.array(first), 10.0, 'a'),
        categorical_column(np.array(second), 20.0, 'b'),
    ]
    release = Release(columns, [Marginal((0, 1), np.array(table), SIGMA)], (ENTRY,), 1.0, 1e-6)
    leaves = [column_law(c.domain, c.levels, 1000.0) for c in release.columns]

    laws = denoising.consistent_margins(release, leaves, 1000.0)

    for own, sigma, axis, law in ((first, 10.0, 1, laws[0]), (second, 20.0, 0, laws[1])):
        again = SIGMA**2 * np.shape(table)[axis]
        variance = 1 / (1 / sigma**2 + 1 / again)
        expected = variance * (np.array(own) / sigma**2 + np.sum(table, axis) / again)
        # All variances of a column are equal here, so the surplus is shared alike.
        expected -= (expected.sum() - 1000) / len(expected)
        np.testing.assert_allclose(law, expected / 1000, rtol=1e-9)


def test_margins_of_pairs_improve_the_laws():
    """Mean squared error over 200 draws, half of it expected; false alarms below 1e-9."""
    rng = np.random.default_rng(0)
    joint = whole_counts(np.full((3, 3, 3), 1.0), 27_000)
    exact = release_of(joint, sigma=30.0)
    errors = []
    for _ in range(200):
        noisy = [rng.normal(0, 30.0, m.counts.shape).round().astype(int) for m in exact.marginals]
        own = rng.normal(0, 30.0, (3, 3)).round().astype(int)
        columns = [
            categorical_column(9000 + own[i], 30.0, f'c{i}') for i in range(len(exact.columns))
        ]
        pairs = [
            Marginal(m.columns, m.counts + n, 30.0)
            for m, n in zip(exact.marginals, noisy, strict=True)
        ]
        release = Release(columns, pairs, (ENTRY,), 1.0, 1e-6)
        leaves = [column_law(c.domain, c.levels, 27_000.0) for c in columns]
        with_pairs = denoising.consistent_margins(release, leaves, 27_000.0)
        alone = Release(columns, (), (ENTRY,), 1.0, 1e-6)
        without = denoising.consistent_margins(alone, leaves, 27_000.0)
        errors.append([((np.array(laws) - 1 / 3) ** 2).sum() for laws in (with_pairs, without)])
    better, worse = np.mean(errors, axis=0)

    # Weights 1 against 1/3 of each of two pairs: the variance falls to 3/5.
    assert 0.45 < better / worse < 0.75


@given(seeds, st.booleans())
def test_denoised_pairs_keep_the_margins(seed, shrink):
    rng = np.random.default_rng(seed)
    left, right = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(6))
    noisy = Marginal((0, 1), rng.integers(-50, 500, (4, 6)), SIGMA)
    columns = release_of(whole_counts(np.ones((4, 6)), 5000)).columns

    table = denoising.denoised_pair(noisy, columns, [left, right], 5000.0, shrink=shrink)

    np.testing.assert_allclose(table.sum(1), left, atol=1e-12)
    np.testing.assert_allclose(table.sum(0), right, atol=1e-12)


def test_without_shrinkage_a_noise_free_pair_is_itself():
    joint = whole_counts(np.random.default_rng(0).dirichlet(np.ones(20)).reshape(4, 5), 10**6)
    law = joint / joint.sum()
    pair = Marginal((0, 1), joint, 0.5)

    columns = release_of(joint).columns
    laws = [law.sum(1), law.sum(0)]
    table = denoising.denoised_pair(pair, columns, laws, joint.sum(), shrink=False)
    shrunk = denoising.denoised_pair(pair, columns, laws, joint.sum())

    np.testing.assert_allclose(table, law, atol=1e-12)
    np.testing.assert_allclose(shrunk, law, atol=1e-5)


def test_noise_free_releases_are_denoised_to_their_laws():
    law = np.random.default_rng(3).dirichlet(np.ones(24)).reshape(2, 3, 4)
    joint = whole_counts(law, 10**7)
    law = joint / joint.sum()

    target = denoising.denoise(release_of(joint))

    assert target.pairs == ((0, 1), (0, 2), (1, 2))
    np.testing.assert_allclose(target.laws[2], law.sum((0, 1)), atol=1e-6)
    np.testing.assert_allclose(target.tables[1], law.sum(1), atol=1e-5)
    for own, fine in zip(target.laws, target.fine_laws, strict=True):
        np.testing.assert_allclose(fine, own)


def test_noise_of_each_pair_is_stated_as_a_probability():
    joint = whole_counts(np.ones((2, 2, 2)), 8000)
    release = release_of(joint, sigma=10.0)
    pairs = [
        Marginal(m.columns, m.counts, sigma)
        for m, sigma in zip(release.marginals, (5.0, 10.0, 20.0), strict=True)
    ]

    target = denoising.denoise(Release(release.columns, pairs, (ENTRY,), 1.0, 1e-6))

    np.testing.assert_allclose(target.noise, np.array([5.0, 10.0, 20.0]) / release.noisy_rows)


def test_fine_laws_divide_the_law_of_their_pair_cells():
    domain = NumericalDomain('x', 'numerical', 0, 5, (1, 1), False)
    cells = np.arange(6)
    level = Level(cells, cells, np.array([1000, 3000, 0, 5000, 2000, 9000]), 1.0)
    column = ColumnRelease(domain, (level,), cells, cells, np.array([0, 0, 1, 1, 1, 2]), 3)

    target = denoising.denoise(Release([column], (), (ENTRY,), 1.0, 1e-6))

    np.testing.assert_allclose(np.bincount(column.bins, target.fine_laws[0]), target.laws[0])
    np.testing.assert_allclose(target.fine_laws[0], np.array([1, 3, 0, 5, 2, 9]) / 20, atol=1e-3)


def test_releases_whose_fine_cells_were_merged_are_denoised():
    """As releases were made before fine cells were the leaves of the levels."""
    domain = NumericalDomain('x', 'numerical', 0, 5, (1, 1), False)
    cells = np.arange(6)
    level = Level(cells, cells, np.array([1000, 3000, 0, 5000, 2000, 9000]), 1.0)
    lower, upper = np.array([0, 1, 4]), np.array([0, 3, 5])
    merged = ColumnRelease(domain, (level,), lower, upper, np.array([0, 0, 1]), 2)

    target = denoising.denoise(Release([merged], (), (ENTRY,), 1.0, 1e-6))

    np.testing.assert_allclose(target.laws[0], [9 / 20, 11 / 20], atol=1e-3)
    np.testing.assert_allclose(target.fine_laws[0], np.array([1, 8, 11]) / 20, atol=1e-3)


def with_triples(joint: np.ndarray, *triples: tuple[int, int, int], sigma: float = 2.0) -> Release:
    """The noise-free release of a joint table, with slices of three columns, hub first."""
    release = release_of(joint)
    axes = set(range(joint.ndim))
    tables = []
    for triple in triples:
        counts = joint.sum(tuple(axes - set(triple)))
        tables.append(Marginal(triple, counts.transpose(np.argsort(np.argsort(triple))), sigma))
    return replace(release, marginals=(*release.marginals, *tables))


def random_counts(seed: int, *shape: int, rows: int = 10**6) -> np.ndarray:
    law = np.random.default_rng(seed).dirichlet(np.ones(np.prod(shape))).reshape(shape)
    return whole_counts(law, rows)


@pytest.mark.parametrize('triple', [(0, 1, 2), (1, 0, 2), (2, 0, 1)])
def test_sums_of_three_columns_are_their_pairs(triple):
    release = with_triples(random_counts(0, 2, 3, 4), triple)
    alone = replace(release, marginals=release.marginals[3:])

    for parts in (release, alone):
        tables = denoising.pair_tables(parts)
        assert [table.columns for table in tables] == [(0, 1), (0, 2), (1, 2)]
        for table, pair in zip(tables, release.marginals[:3], strict=True):
            np.testing.assert_allclose(table.counts, pair.counts, rtol=1e-12)


def test_pairs_and_sums_of_three_columns_are_averaged_by_inverse_variance():
    """A sum over 4 cells of scale 2 has a variance of 16, the pair itself one of 0.25."""
    release = with_triples(random_counts(1, 2, 3, 4), (2, 0, 1))
    changed = Marginal((2, 0, 1), release.marginals[3].counts + 5, 2.0)
    release = replace(release, marginals=(*release.marginals[:3], changed))

    first, second, third = denoising.pair_tables(release)

    for table, cells, pair in zip(
        (first, second, third), (4, 3, 2), release.marginals, strict=False
    ):
        precision = 1 / 0.25 + 1 / (4 * cells)
        assert table.sigma == pytest.approx(precision**-0.5)
        expected = pair.counts + cells * 5 / (4 * cells) / precision
        np.testing.assert_allclose(table.counts, expected)


def test_three_columns_measure_their_pairs_better():
    """Mean squared error over 300 draws of 12 entries; false alarms below 1e-9."""
    rng = np.random.default_rng(0)
    release = with_triples(random_counts(2, 2, 3, 4), (2, 0, 1))
    errors = []
    for _ in range(300):
        noisy = [
            Marginal(m.columns, m.counts + rng.normal(0, 10, m.counts.shape).round().astype(int), s)
            for m, s in zip(release.marginals, [10.0] * 4, strict=True)
        ]
        table = denoising.pair_tables(replace(release, marginals=tuple(noisy)))[2]
        errors.append(((table.counts - release.marginals[2].counts) ** 2).mean())
    assert table.sigma == pytest.approx(10 * (2 / 3) ** 0.5)
    assert np.mean(errors) == pytest.approx(table.sigma**2, rel=0.2)


@pytest.mark.parametrize('hub', [0, 1, 2])
def test_a_noise_free_slice_of_three_columns_is_denoised_to_its_law(hub):
    joint = random_counts(3, 2, 3, 4, rows=10**7)
    a, b = sorted({0, 1, 2} - {hub})
    release = with_triples(joint, (hub, a, b), sigma=0.5)

    (law,) = denoising.denoise(release).hubs

    assert law.column == hub
    assert set(law.tables) == {(a, b)}
    np.testing.assert_allclose(
        law.tables[a, b], joint.transpose(hub, a, b) / joint.sum(), atol=1e-4
    )


def test_what_is_not_measured_with_a_hub_is_implied_by_the_pairs():
    joint = random_counts(4, 2, 3, 2, 3, rows=10**7)
    target = denoising.denoise(with_triples(joint, (0, 1, 2)))

    (law,) = target.hubs

    assert set(law.tables) == {(1, 2), (1, 3), (2, 3)}
    tables = dict(zip(target.pairs, target.tables, strict=True))
    expected = hubs.implied(tables[1, 3], tables[0, 1], tables[0, 3])
    np.testing.assert_allclose(law.tables[1, 3], expected)
    measured = joint.sum(3) / joint.sum()
    assert np.abs(law.tables[1, 2] - measured).max() < 1e-3
    implied = hubs.implied(tables[1, 2], tables[0, 1], tables[0, 2])
    assert np.abs(implied - measured).max() > 0.01


def test_without_three_columns_there_are_no_hubs():
    assert denoising.denoise(release_of(random_counts(5, 2, 3, 4))).hubs == ()
