from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from small_projections import (
    category,
    number,
    projection_of,
    projection_release,
    random_positions,
)

from sdv_slicedp.cells import cell_map
from sdv_slicedp.moments import moments
from sdv_slicedp.slice_pool import (
    COARSE,
    FINE,
    MARGIN,
    SlicePool,
    column_directions,
    pair_directions,
    slice_pool,
    within_release,
)

pytestmark = pytest.mark.filterwarnings('error')

DOMAINS = [category('a', 3), number('x', 0, 500, missing=True), category('c', 2)]
D = 7


def pool_of(sigma=1e-6, least=COARSE, rows=400, slices=None, coefficients=None, kind='orthonormal'):
    positions = random_positions(DOMAINS, rows, np.random.default_rng(0))
    options = {'sigma': sigma, 'kind': kind, 'slices': slices}
    release = projection_release(DOMAINS, positions, **options)
    projection, cells = release.projection, cell_map(release)
    if coefficients is None:
        coefficients = np.eye(projection.directions.shape[1])
    return projection, cells, slice_pool(projection, cells, coefficients, least)


def brute_force(projection, pool: SlicePool) -> np.ndarray:
    """Sum of normals, one for each released row, by what is missing of the smoothing."""
    values = projection.values * projection.pitch @ pool.coefficients
    laws = []
    for i, row in enumerate(values.T):
        at = float(pool.lower[i]) + float(pool.width[i]) * np.arange(pool.nodes)
        missing = np.sqrt(float(pool.scale[i]) ** 2 - float(pool.noise[i]) ** 2)
        density = np.exp(-0.5 * ((at[:, None] - row) / missing) ** 2).sum(axis=1)
        laws.append(density / density.sum())
    return np.array(laws)


# Released laws, Eq. (27)


def test_noise_is_that_of_the_combination():
    rng = np.random.default_rng(1)
    coefficients = rng.standard_normal((12, 5))
    projection, _, pool = pool_of(0.3, slices=12, coefficients=coefficients, kind='sphere')

    expected = projection.sigma * np.linalg.norm(coefficients, axis=0)

    np.testing.assert_allclose(pool.noise, expected, rtol=1e-5)
    np.testing.assert_allclose(pool.directions, projection.matrix @ coefficients, rtol=1e-5)
    assert (pool.scale >= pool.noise).all()
    assert len(pool) == 5


@pytest.mark.parametrize('sigma', [1e-6, 0.02, 0.05])
def test_laws_are_those_of_the_rows_smoothed(sigma):
    projection, _, pool = pool_of(sigma)
    assert (pool.scale > 1.2 * pool.noise).all()

    np.testing.assert_allclose(pool.laws.sum(dim=1), 1, rtol=1e-5)
    np.testing.assert_allclose(pool.laws, brute_force(projection, pool), atol=1e-3)
    shifted = np.roll(brute_force(projection, pool), 1, axis=1)  # a twin
    assert np.abs(pool.laws.numpy() - shifted).max() > 5e-3


def test_rows_with_all_the_noise_already_are_only_counted():
    projection, _, pool = pool_of(3.0, rows=40_000)
    assert torch.equal(pool.scale, pool.noise)

    values = projection.values * projection.pitch @ pool.coefficients
    for i, row in enumerate(values.T):
        at = (row - float(pool.lower[i])) / float(pool.width[i])
        at = np.clip(at, 0, pool.nodes - 1)
        law = pool.laws[i].numpy()
        assert law @ np.arange(pool.nodes) == pytest.approx(at.mean(), abs=0.01)
        cumulative = np.searchsorted(np.sort(at), np.arange(pool.nodes) + 0.5) / len(at)
        np.testing.assert_allclose(np.cumsum(law), cumulative, atol=0.003)


def test_laws_are_those_of_the_two_halves_of_the_rows():
    _, _, pool = pool_of(0.02)
    first, second = pool.laws + pool.error, pool.laws - pool.error

    assert float(pool.error.abs().max()) > 1e-3
    torch.testing.assert_close(pool.error.sum(dim=1), torch.zeros(len(pool)), rtol=0, atol=1e-5)
    for half in (first, second):
        assert float(half.min()) > -1e-3
        torch.testing.assert_close(half.sum(dim=1), torch.ones(len(pool)))


@pytest.mark.parametrize('sigma', [1e-6, 0.1, 2.0])
@pytest.mark.parametrize('least', [FINE, COARSE])
def test_grids_hold_all_that_a_generator_can_make(sigma, least):
    projection, cells, pool = pool_of(sigma, least)
    rng = np.random.default_rng(2)
    records = np.zeros((2000, D))
    for column in range(len(cells.columns)):
        part = cells.part(column)
        records += cells.vectors[rng.integers(part.start, part.stop, 2000)]
    values = records @ projection.matrix
    upper = pool.lower + (pool.nodes - 1) * pool.width
    margin = MARGIN * pool.scale.numpy() * (1 - 1e-4)

    assert (values.min(axis=0) >= pool.lower.numpy() + margin).all()
    assert (values.max(axis=0) <= upper.numpy() - margin).all()


def test_a_pool_stays_the_same_on_another_device():
    _, _, pool = pool_of(0.1)
    moved = pool.to(torch.device('cpu'))
    for name in ('directions', 'noise', 'scale', 'lower', 'width', 'laws', 'error'):
        assert torch.equal(getattr(moved, name), getattr(pool, name))


# Shrinkage, Eq. (32)


def pool_with(laws: torch.Tensor, error: torch.Tensor) -> SlicePool:
    some = torch.ones(len(laws))
    return SlicePool(torch.ones(1, len(laws)), np.ones((1, len(laws))), *[some] * 4, laws, error)


LAWS = torch.tensor([[0.1, 0.4, 0.3, 0.2], [0.25, 0.25, 0.25, 0.25], [0.7, 0.1, 0.1, 0.1]])
MADE = torch.tensor([[0.2, 0.3, 0.3, 0.2], [0.4, 0.1, 0.3, 0.2], [0.1, 0.7, 0.1, 0.1]])
OWN = torch.arange(3)


def test_without_noise_nothing_is_shrunk():
    pool, left = pool_with(LAWS, torch.zeros(3, 4)).shrunk(MADE, OWN)

    assert left
    torch.testing.assert_close(pool.laws, LAWS)


def test_what_noise_explains_goes_to_the_model():
    pool, left = pool_with(LAWS, LAWS - MADE).shrunk(MADE, OWN)

    assert not left
    assert torch.equal(pool.laws, MADE)


def test_each_group_has_its_own_factor():
    error = 0.5 * (LAWS - MADE)  # a quarter of the energy; twice that is taken off
    error[2] = 0
    pool, left = pool_with(LAWS, error).shrunk(MADE, OWN)

    assert left
    torch.testing.assert_close(pool.laws[:2], (LAWS[:2] + MADE[:2]) / 2)
    torch.testing.assert_close(pool.laws[2], LAWS[2])

    together, _ = pool_with(LAWS, error).shrunk(MADE, torch.zeros(3, dtype=torch.long))
    kept = (together.laws - MADE) / (LAWS - MADE).where(LAWS != MADE, torch.ones(3, 4))
    factors = kept[LAWS != MADE]
    torch.testing.assert_close(factors, factors[0].expand_as(factors))
    assert 0.5 < float(factors[0]) < 1


def test_laws_of_the_model_itself_are_left():
    pool, left = pool_with(LAWS, torch.full((3, 4), 0.01)).shrunk(LAWS, OWN)

    assert not left
    assert torch.equal(pool.laws, LAWS)


def test_noise_alone_is_taken_for_noise():
    """Two halves of one sample differ as much as the sample from its law.

    The energy of the one has to be more than CAUTION times that of the other for anything to be
    left; their logarithms differ by at most 0.4 in 40 groups of about 40 degrees of freedom each,
    so all are moved. Laws of another generator are kept.
    """
    rng = np.random.default_rng(3)
    law = rng.dirichlet(np.full(40, 5.0), 400)
    halves = [np.array([rng.multinomial(5000, row) for row in law]) / 5000 for _ in range(2)]
    laws = torch.from_numpy((halves[0] + halves[1]) / 2).float()
    error = torch.from_numpy((halves[0] - halves[1]) / 2).float()
    groups, model = torch.arange(400) % 40, torch.from_numpy(law).float()

    assert not pool_with(laws, error).shrunk(model, groups)[1]
    assert pool_with(laws, error).shrunk(model.roll(1, dims=1), groups)[1]


# Directions


def test_every_coordinate_has_a_slice():
    _, cells, _ = pool_of()
    assert np.array_equal(column_directions(cells), np.eye(D))


def test_directions_of_pairs_are_unit_vectors_in_two_columns():
    _, cells, _ = pool_of()
    directions, chosen = pair_directions(cells, 31, np.random.default_rng(4))

    assert directions.shape == (D, 31)
    assert chosen.shape == (31, 2)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1)
    for direction, pair in zip(directions.T, chosen, strict=True):
        inside = np.concatenate(
            [np.arange(cells.blocks[c].start, cells.blocks[c].stop) for c in pair]
        )
        assert (direction[inside] != 0).all()
        assert not np.delete(direction, inside).any()


@pytest.mark.parametrize('count', [1, 2, 3, 30, 31])
def test_every_pair_is_chosen_equally_often(count):
    _, cells, _ = pool_of()
    _, chosen = pair_directions(cells, count, np.random.default_rng(5))
    times = Counter(map(tuple, chosen.tolist()))

    assert set(times) <= set(combinations(range(3), 2))
    assert max(times.values()) - min(times[pair] for pair in combinations(range(3), 2)) <= 1


@pytest.mark.parametrize(('kind', 'slices'), [('orthonormal', D), ('sphere', 2 * D)])
def test_any_direction_is_within_a_full_release(kind, slices):
    positions = random_positions(DOMAINS, 30, np.random.default_rng(6))
    projection = projection_of(DOMAINS, positions, kind=kind, slices=slices)
    wanted = np.random.default_rng(7).standard_normal((D, 4))

    found = within_release(moments(projection), wanted)

    np.testing.assert_allclose(projection.matrix @ found, wanted, atol=1e-5)
