import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_projections import category, cell_of, encoded, number, projection_release

from sdv_slicedp import embedding
from sdv_slicedp.cells import MOST_POSITIONS, NUMBER_CELLS, cell_map
from sdv_slicedp.domain import MISSING

pytestmark = pytest.mark.filterwarnings('error')

HALF = 1 / np.sqrt(2)


def mapped(*domains):
    positions = [np.zeros(2, dtype=np.int64) for _ in domains]
    return cell_map(projection_release(domains, positions))


def test_columns_lie_one_after_the_other():
    cells = mapped(category('a', 3, missing=True), number('b', 0, 9), category('c', 2, other=True))

    assert cells.sizes == [4, 10, 3]
    assert cells.offsets == (0, 4, 14, 17)
    assert [cells.part(i) for i in range(3)] == [slice(0, 4), slice(4, 14), slice(14, 17)]
    assert cells.vectors.shape == (17, 4 + 1 + 3)
    assert cells.reach.shape == (17,)
    for column, block in enumerate(cells.blocks):
        outside = np.delete(cells.vectors[cells.part(column)], range(block.start, block.stop), 1)
        assert not outside.any()


def test_categories_are_unit_vectors():
    cells = mapped(category('a', 3, missing=True, other=True))

    np.testing.assert_array_equal(cells.vectors, np.eye(5))
    assert not cells.reach.any()


@pytest.mark.parametrize('lower', [-(2**50), -7, 0, 3])
@pytest.mark.parametrize('missing', [False, True])
@pytest.mark.parametrize('width', [2, 9, MOST_POSITIONS])
def test_few_positions_have_a_cell_each(lower, missing, width):
    domain = number('x', lower, lower + width - 1, missing=missing)
    cells = mapped(domain)
    (column,) = cells.columns

    np.testing.assert_array_equal(column.fine_lower, column.fine_upper)
    assert cells.sizes == [width + missing]
    np.testing.assert_array_equal(cells.vectors, encoded([domain], [column.fine_lower]))
    assert not cells.reach.any()


@pytest.mark.parametrize('width', [MOST_POSITIONS + 1, 1000, 2**40, 2**53])
@pytest.mark.parametrize('missing', [False, True])
def test_many_positions_are_pooled_to_cells_of_equal_width(width, missing):
    domain = number('x', -5, width - 6, missing=missing)
    cells = mapped(domain)
    (column,) = cells.columns
    numbers = slice(int(missing), None)
    lower, upper = column.fine_lower[numbers], column.fine_upper[numbers]

    assert cells.sizes == [NUMBER_CELLS + missing]
    assert lower[0] == -5
    assert upper[-1] == width - 6
    assert (lower[1:] == upper[:-1] + 1).all()
    assert np.ptp(upper - lower) <= 1
    assert (cells.reach[numbers] > 0).all()
    assert not cells.reach[: int(missing)].any()


@given(st.integers(200, 10**6), st.integers(0, 2**32 - 1))
def test_every_position_is_within_reach_of_its_cell(width, seed):
    domain = number('x', 0, width - 1)
    cells = mapped(domain)
    positions = np.random.default_rng(seed).integers(0, width, 50)
    at = cell_of(positions, cells.columns[0])

    distance = np.abs(encoded([domain], [positions])[:, 0] - cells.vectors[at, 0])

    assert (distance <= cells.reach[at] + 1 / embedding.UNIT).all()
    assert cells.vectors[0, 0] - cells.reach[0] == pytest.approx(-HALF, abs=1e-6)
    assert cells.vectors[-1, 0] + cells.reach[-1] == pytest.approx(HALF, abs=1e-6)


def test_missing_numbers_have_a_coordinate():
    cells = mapped(number('x', 0, 3, missing=True))

    assert cells.columns[0].fine_lower[0] == MISSING
    np.testing.assert_array_equal(cells.vectors[0], [0, 1])
    assert not cells.vectors[1:, 1].any()
    assert cells.vectors[[1, -1], 0].tolist() == pytest.approx([-HALF, HALF], abs=1e-6)


@pytest.mark.parametrize('missing', [False, True])
def test_a_constant_has_one_cell_at_zero(missing):
    cells = mapped(category('a', 2), number('x', 7, 7, missing=missing))

    assert cells.sizes == [2, 1 + missing]
    assert not cells.vectors[2:, 2].any()
    assert not cells.reach.any()
