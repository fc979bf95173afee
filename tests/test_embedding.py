"""Encoded records: how long they are, how far they move, and that projections of them are exact."""

import math

import numpy as np
import pandas as pd
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import embedding
from sdv_slicedp.domain import (
    MAX_UNITS,
    MISSING,
    UNCOUNTED,
    CategoricalDomain,
    NumericalDomain,
    positions_of,
)
from sdv_slicedp.embedding import REACH, UNIT

LARGEST = 2**22
"""Largest entry of a direction."""
quick = examples(40)

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 2.0**53]),
    st.floats(),
    st.integers(-(2**70), 2**70).map(float),
)
cells = st.one_of(
    st.sampled_from(['a', 'b', 'unheard of', 1, True, 2.5, None, math.nan, pd.NA, pd.NaT]),
    st.text(max_size=3),
    st.floats(),
)
limits = st.one_of(st.integers(-3, 3), st.sampled_from([-MAX_UNITS, MAX_UNITS]), st.integers(
    -MAX_UNITS, MAX_UNITS
))  # fmt: skip
steps = st.sampled_from([(1, 1), (1, 100), (86_400 * 10**9, 1), (1, 10**15)])


@st.composite
def columns(draw, name='c'):
    """A domain, and the cells of two records."""
    if draw(st.booleans()):
        lower, upper = sorted(draw(st.tuples(limits, limits)))
        domain = NumericalDomain(name, 'numerical', lower, upper, draw(steps), draw(st.booleans()))
        return domain, pd.Series(draw(st.tuples(numbers, numbers)), dtype=np.float64)
    known = draw(st.sampled_from([(), ('a',), ('a', 'b'), ('a', 'b', 1, 2.5, False)]))
    domain = CategoricalDomain(name, 'categorical', known, draw(st.booleans()), draw(st.booleans()))
    pair = np.empty(2, dtype=object)
    pair[:] = draw(st.tuples(cells, cells))
    return domain, pd.Series(pair, dtype=object)


@st.composite
def tables(draw):
    """Blocks, and the positions of two records; at least one coordinate."""
    pairs = [draw(columns(f'c{i}')) for i in range(draw(st.integers(1, 6)))]
    always = CategoricalDomain('always', 'categorical', ('a',), False)
    pairs.append((always, pd.Series(['a', 'a'], dtype=object)))
    laid_out = embedding.blocks([domain for domain, _ in pairs])
    return laid_out, [positions_of(values, domain) for domain, values in pairs]


def encoded(laid_out, located) -> np.ndarray:
    """Encoded records in units of ``1 / UNIT``, as integers of any size."""
    axes = np.eye(embedding.dimension(laid_out), dtype=np.int64)
    return embedding.project(laid_out, located, axes).astype(object)


def directions_for(laid_out, seed: int, slices: int = 3) -> np.ndarray:
    """Entries as large as they may be, and smaller ones."""
    rng = np.random.default_rng(seed)
    shape = (embedding.dimension(laid_out), slices)
    directions = rng.integers(-LARGEST, LARGEST + 1, shape)
    return np.where(rng.random(shape) < 0.5, np.sign(directions) * LARGEST, directions)


def number(lower=0, upper=9, *, missing=False) -> NumericalDomain:
    return NumericalDomain('n', 'numerical', lower, upper, (1, 1), missing)


def word(n_categories: int, *, missing=False, other=False) -> CategoricalDomain:
    known = tuple(f'w{i}' for i in range(n_categories))
    return CategoricalDomain('w', 'categorical', known, missing, other)


@examples(150)
@given(columns())
def test_any_two_records_have_short_blocks_that_are_close(column):
    domain, values = column
    (block,) = laid_out = embedding.blocks([domain])
    if not block.width:
        assert block.squared_change == 0
        return

    first, second = encoded(laid_out, [positions_of(values, domain)])

    assert len(first) == block.width == block.stop
    assert max(first @ first, second @ second) <= UNIT**2
    assert (first - second) @ (first - second) <= block.squared_change <= 2 * UNIT**2


@quick
@given(tables())
def test_any_two_records_are_within_the_sensitivity(table):
    laid_out, located = table

    first, second = encoded(laid_out, located)

    moved = (first - second) @ (first - second)
    assert moved <= sum(block.squared_change for block in laid_out)
    # An exact comparison: the float is an exact fraction, squared without rounding.
    numerator, denominator = embedding.sensitivity(laid_out).as_integer_ratio()
    assert moved * denominator**2 <= (numerator * UNIT) ** 2
    assert embedding.sensitivity(laid_out) <= math.sqrt(2 * len(laid_out)) * (1 + 1e-15)


@quick
@given(tables())
def test_the_bound_of_two_radii_is_looser(table):
    """Delta = 2 R with R^2 = the number of blocks; blocks move by sqrt(2), not 2."""
    laid_out, _ = table
    radius = math.sqrt(len(laid_out))

    assert embedding.sensitivity(laid_out) <= 2 * radius / math.sqrt(2) * (1 + 1e-15)


@pytest.mark.parametrize(
    ('domain', 'pair'),
    [
        (word(2), [0, 1]),
        (word(5, missing=True, other=True), [0, 6]),
        (word(1), [0, UNCOUNTED]),
        (word(0, missing=True), [0, UNCOUNTED]),
        (number(), [0, 9]),
        (number(-MAX_UNITS, MAX_UNITS), [-MAX_UNITS, MAX_UNITS]),
        (number(missing=True), [0, 9]),
        (number(4, 4, missing=True), [4, MISSING]),
    ],
    ids=str,
)
def test_the_bound_is_attained(domain, pair):
    (block,) = laid_out = embedding.blocks([domain])

    first, second = encoded(laid_out, [np.array(pair)])

    assert (first - second) @ (first - second) == block.squared_change


def test_one_hot_blocks_move_by_exactly_the_square_root_of_two():
    laid_out = embedding.blocks([word(3), word(2, missing=True), word(7)])

    first, second = encoded(laid_out, [np.array([0, 1])] * 3)

    assert math.isqrt((first - second) @ (first - second)) == math.isqrt(6 * UNIT**2)
    assert embedding.sensitivity(laid_out) == pytest.approx(math.sqrt(6), rel=1e-15)
    assert embedding.sensitivity(laid_out) >= math.sqrt(6)


def test_columns_that_cannot_vary_do_not_count():
    constant, never = number(4, 4), word(0)

    laid_out = embedding.blocks([constant, never, word(2)])

    assert [block.squared_change for block in laid_out] == [0, 0, 2 * UNIT**2]
    assert embedding.dimension(laid_out) == 3
    assert embedding.dimension(()) == 0


def test_blocks_are_one_after_the_other():
    laid_out = embedding.blocks([number(missing=True), word(3), number(), word(0, other=True)])

    assert [(b.start, b.stop) for b in laid_out] == [(0, 2), (2, 5), (5, 6), (6, 7)]
    assert embedding.dimension(laid_out) == 7


@pytest.mark.parametrize(
    ('position', 'expected'),
    [
        (0, [-REACH, 0]),
        (10, [REACH, 0]),
        (5, [0, 0]),
        (MISSING, [0, UNIT]),
        (UNCOUNTED, [0, 0]),
        (11, [REACH, 0]),
        (2**62, [REACH, 0]),
        (-(2**62), [-REACH, 0]),
    ],
)
def test_numbers_are_encoded_as_said(position, expected):
    laid_out = embedding.blocks([number(0, 10, missing=True)])

    assert encoded(laid_out, [np.array([position])]).tolist() == [expected]


@pytest.mark.parametrize(('code', 'hot'), [(0, 0), (2, 2), (3, 3), (UNCOUNTED, None), (4, None)])
def test_categories_are_encoded_as_said(code, hot):
    laid_out = embedding.blocks([word(3, missing=True)])

    (row,) = encoded(laid_out, [np.array([code])]).tolist()

    assert row == [UNIT * (i == hot) for i in range(4)]


@quick
@given(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=20, unique=True))
def test_coordinates_keep_the_order_of_numbers(values):
    domain = number(min(values), max(values))

    found = embedding.coordinates(domain, np.array(sorted(values)))

    assert (np.diff(found) >= 0).all()
    assert (found[0], found[-1]) == (-REACH, REACH)


@quick
@given(tables(), st.integers(0, 2**32 - 1))
def test_projections_are_exact(table, seed):
    """Compared with integers of any size, and with the product of floats up to its rounding."""
    laid_out, located = table
    directions = directions_for(laid_out, seed)

    found = embedding.project(laid_out, located, directions)

    records = encoded(laid_out, located)
    assert found.dtype == np.int64
    assert (found == records @ directions.astype(object)).all()
    product = (records / UNIT).astype(float) @ (directions / LARGEST)
    assert np.allclose(found / (UNIT * LARGEST), product, rtol=0, atol=1e-13 * len(directions))
    assert abs(found).max() <= embedding.reach(laid_out, directions)


@pytest.mark.parametrize('sign', [-1, 1])
def test_many_columns_at_their_extremes_do_not_overflow(sign):
    """The largest sum that 1000 columns can have: 2^52."""
    laid_out = embedding.blocks([word(2), number(-MAX_UNITS, MAX_UNITS)] * 500)
    directions = np.full((embedding.dimension(laid_out), 1), sign * LARGEST)
    located = [np.array([1]), np.array([MAX_UNITS])] * 500

    (found,) = embedding.project(laid_out, located, directions)

    assert int(found[0]) == sign * 500 * LARGEST * (UNIT + REACH)
    assert abs(int(found[0])) <= embedding.reach(laid_out, directions) == 1000 * UNIT * LARGEST


@quick
@given(tables(), st.integers(0, 2**32 - 1))
def test_records_are_projected_one_at_a_time(table, seed):
    laid_out, located = table
    directions = directions_for(laid_out, seed)

    both = embedding.project(laid_out, located, directions)

    for row in range(2):
        alone = embedding.project(laid_out, [p[row : row + 1] for p in located], directions)
        assert alone.tolist() == both[row : row + 1].tolist()


class TestTheTestsThemselves:
    """Encodings that move too far must be caught."""

    def moved(self, vectors) -> int:
        first, second = (np.array(v, dtype=object) for v in vectors)
        return (first - second) @ (first - second)

    def test_a_number_between_minus_one_and_one_would_move_too_far(self):
        (block,) = embedding.blocks([number()])
        assert self.moved([[-UNIT], [UNIT]]) > block.squared_change

    def test_a_number_that_is_not_clipped_would_move_too_far(self):
        (block,) = embedding.blocks([number(0, 9)])
        inside, outside = (round((2 * k / 9 - 1) * REACH) for k in (0, 10))
        assert self.moved([[inside], [outside]]) > block.squared_change

    def test_a_reach_that_is_rounded_up_would_move_too_far(self):
        assert 4 * REACH**2 <= 2 * UNIT**2 < 4 * (REACH + 1) ** 2
