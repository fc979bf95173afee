import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_projections import (
    category,
    encoded,
    laws_of,
    number,
    projection_of,
    projection_release,
    random_positions,
)

from sdv_slicedp.cells import cell_map
from sdv_slicedp.domain import MISSING
from sdv_slicedp.moments import denoised_target, flattest, moments

pytestmark = pytest.mark.filterwarnings('error')

DISCRETE = [category('a', 3), category('b', 4), category('c', 2)]
MIXED = [category('a', 3), number('x', 0, 9), number('y', -3, 40, missing=True)]
Z = 6.0
"""Standard errors; for one normal number a false alarm has probability 2e-9."""


def dependent_positions(rows: int = 3000, seed: int = 0) -> list[np.ndarray]:
    """Rows of ``MIXED``; all pairs depend on each other."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    x = np.clip(3 * kind + rng.integers(0, 4, rows), 0, 9)
    y = np.where(rng.random(rows) < 0.1 * (1 + kind), MISSING, 10 * kind + rng.integers(0, 9, rows))
    return [kind, x, y]


def table_of(first: np.ndarray, second: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    table = np.zeros(shape)
    np.add.at(table, (first, second), 1 / len(first))
    return table


def off_diagonal(matrix: np.ndarray, domains) -> np.ndarray:
    """A copy with the blocks on the diagonal set to zero."""
    cleared = matrix.copy()
    for block in cell_map(projection_release(domains, [np.zeros(1, int)] * len(domains))).blocks:
        cleared[block.start : block.stop, block.start : block.stop] = 0
    return cleared


# Estimates, Eq. (28)


@pytest.mark.parametrize(
    ('kind', 'share'), [('orthonormal', 1), ('orthonormal', 2), ('sphere', 3), ('axes', 1)]
)
def test_without_noise_they_are_the_moments(kind, share):
    positions = dependent_positions()
    records = encoded(MIXED, positions)
    d = records.shape[1]

    found = moments(projection_of(MIXED, positions, kind=kind, slices=share * d, seed=1))

    assert found.is_complete
    assert found.rows == 3000
    np.testing.assert_allclose(found.seen, np.eye(d), atol=1e-5)
    np.testing.assert_allclose(found.mean, records.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(found.products, records.T @ records / 3000, atol=1e-5)


@pytest.mark.parametrize(('kind', 'slices'), [('orthonormal', 9), ('sphere', 20)])
def test_noise_leaves_no_bias(kind, slices):
    """The average over releases, in standard errors; 99 numbers: false alarm below 1e-6.

    The same of products without the noise taken out of the diagonal is told apart.
    """
    positions = random_positions(DISCRETE, 300, np.random.default_rng(2))
    records = encoded(DISCRETE, positions)
    truth = records.T @ records / 300
    found = [
        moments(projection_of(DISCRETE, positions, sigma=0.5, kind=kind, slices=slices, seed=i))
        for i in range(150)
    ]

    def deviation(estimates, expected):
        errors = np.array(estimates) - expected
        return np.abs(errors.mean(axis=0)) / errors.std(axis=0) * math.sqrt(len(errors))

    assert deviation([each.mean for each in found], records.mean(axis=0)).max() < Z
    assert deviation([each.products for each in found], truth).max() < Z
    biased = deviation([each.products + each.noise for each in found], truth)
    assert np.diagonal(biased).min() > Z


def test_the_stated_noise_is_that_of_an_estimated_record():
    """Covariances of 20,000 draws are within 0.05 of theirs: 7 standard errors, 81 of them."""
    positions = random_positions(DISCRETE, 100, np.random.default_rng(3))
    found = moments(projection_of(DISCRETE, positions, sigma=2.0, kind='sphere', slices=14))

    drawn = 2.0 * np.random.default_rng(0).standard_normal((20_000, 14)) @ found.coefficients

    largest = float(np.diagonal(found.noise).max())
    np.testing.assert_allclose(np.cov(drawn.T), found.noise, rtol=0, atol=0.05 * largest)


def test_what_no_direction_sees_is_filled_from_the_prior():
    positions = random_positions(DISCRETE, 500, np.random.default_rng(4))
    truth = encoded(DISCRETE, positions).mean(axis=0)
    found = moments(projection_of(DISCRETE, positions, slices=4, seed=4))
    prior = np.random.default_rng(5).random(9)

    filled = found.filled(prior)

    assert not found.is_complete
    np.testing.assert_allclose(found.seen @ filled, found.seen @ truth, atol=1e-5)
    unseen = np.eye(9) - found.seen
    np.testing.assert_allclose(unseen @ filled, unseen @ prior, atol=1e-5)
    assert np.abs(filled - truth).max() > 0.01
    assert np.abs(found.filled(truth) - truth).max() < 1e-5


# The flattest law, Eq. (29)


@given(st.integers(2, 60), st.floats(0.05, 0.95), st.integers(0, 2**32 - 1))
def test_the_flattest_law_has_its_mean(size, share, seed):
    values = np.sort(np.random.default_rng(seed).uniform(-0.7, 0.7, size))
    mean = values[0] + share * np.ptp(values)

    law = flattest(values, mean)

    assert law.sum() == pytest.approx(1)
    assert (law >= 0).all()
    assert law @ values == pytest.approx(mean, abs=1e-3 * np.ptp(values) + 1e-9)


def test_no_law_of_that_mean_has_more_entropy():
    values = np.linspace(-0.7, 0.7, 12)
    law = flattest(values, 0.3)
    rng = np.random.default_rng(0)
    constraints = np.linalg.svd(np.stack([np.ones(12), values]))[2][2:]
    for _ in range(50):
        moved = law + 1e-3 * law.min() * rng.standard_normal(10) @ constraints
        assert -(moved * np.log(moved)).sum() < -(law * np.log(law)).sum()


@pytest.mark.parametrize('size', [1, 2, 7])
def test_in_the_middle_it_is_uniform(size):
    values = np.linspace(-0.7, 0.7, size) if size > 1 else np.zeros(1)
    np.testing.assert_allclose(flattest(values, values.mean()), 1 / size)
    np.testing.assert_allclose(flattest(np.full(size, 0.2), 5.0), 1 / size)


@pytest.mark.parametrize('mean', [-3.0, 3.0])
def test_means_that_cannot_be_give_the_nearest_law(mean):
    law = flattest(np.linspace(-0.7, 0.7, 9), mean)
    assert law[0 if mean < 0 else -1] > 0.999


# The target, Eqs. (29) and (30)


def target_of(domains, positions, **options):
    release = projection_release(domains, positions, **options)
    cells = cell_map(release)
    return cells, denoised_target(cells, moments(release.projection))


@pytest.mark.parametrize('sigma', [1e-6, 0.3, 3.0, 300.0])
def test_tables_have_the_margins(sigma):
    _, target = target_of(MIXED, dependent_positions(), sigma=sigma)

    assert target.pairs == ((0, 1), (0, 2), (1, 2))
    assert (target.noise > 0).all()
    for law in target.laws:
        assert law.sum() == pytest.approx(1)
        assert (law >= 0).all()
    for (a, b), table in zip(target.pairs, target.tables, strict=True):
        np.testing.assert_allclose(table.sum(axis=1), target.laws[a], atol=1e-6)
        np.testing.assert_allclose(table.sum(axis=0), target.laws[b], atol=1e-6)


def test_without_noise_discrete_pairs_are_the_truth():
    rng = np.random.default_rng(6)
    first = rng.choice(3, 4000, p=[0.6, 0.3, 0.1])
    positions = [first, (first + rng.integers(0, 2, 4000)) % 4, first % 2]
    cells, target = target_of(DISCRETE, positions)

    for law, truth in zip(target.laws, laws_of(positions, cells.columns), strict=True):
        np.testing.assert_allclose(law, truth, atol=1e-4)
    for (a, b), table in zip(target.pairs, target.tables, strict=True):
        # Another sample of the same people would not be the same: so much is shrunk.
        truth = table_of(positions[a], positions[b], table.shape)
        assert np.abs(table - truth).sum() / 2 < 0.01
        assert np.abs(table - np.outer(target.laws[a], target.laws[b])).sum() / 2 > 0.1


def test_without_noise_numbers_have_their_means_and_covariances():
    positions = dependent_positions()
    cells, target = target_of(MIXED, positions)
    records = encoded(MIXED, positions)
    truth = np.cov(records.T, bias=True)

    means = [law @ cells.vectors[cells.part(i)] for i, law in enumerate(target.laws)]
    np.testing.assert_allclose(np.sum(means, axis=0), records.mean(axis=0), atol=1e-4)
    for (a, b), table in zip(target.pairs, target.tables, strict=True):
        left, right = (cells.vectors[cells.part(column)] for column in (a, b))
        here = tuple(
            slice(cells.blocks[column].start, cells.blocks[column].stop) for column in (a, b)
        )
        found = left.T @ (table - np.outer(target.laws[a], target.laws[b])) @ right
        np.testing.assert_allclose(found[here], truth[here], atol=1e-3)
        assert np.abs(truth[here]).max() > 0.02


def test_huge_noise_leaves_no_interaction():
    _, target = target_of(MIXED, dependent_positions(), sigma=1000.0)

    for (a, b), table in zip(target.pairs, target.tables, strict=True):
        independent = np.outer(target.laws[a], target.laws[b])
        assert np.abs(table - independent).sum() < 1e-3


def test_without_a_full_basis_columns_are_independent():
    cells, target = target_of(MIXED, dependent_positions(), slices=3)

    assert target.pairs == ()
    assert target.tables == ()
    assert [len(law) for law in target.laws] == cells.sizes
    for law in target.laws:
        assert law.sum() == pytest.approx(1)
        assert (law >= 0).all()


@pytest.mark.parametrize('share', [0.0, 1.0])
def test_columns_that_are_always_or_never_missing(share):
    rows = 200
    domains = [category('a', 2), number('x', 0, 9, missing=True)]
    positions = [np.arange(rows) % 2, np.full(rows, MISSING if share else 4)]
    _, target = target_of(domains, positions)

    assert target.laws[1][0] == pytest.approx(share, abs=2e-3)
    assert np.isfinite(target.tables[0]).all()
