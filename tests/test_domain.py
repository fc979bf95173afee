import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import domain as dm
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain

pytestmark = pytest.mark.filterwarnings('error')

DAY = (86_400 * 10**9, 1)
STEPS = [(1, 1), (1, 10), (1, 100), (1, 10**6), (1, 10**12), (1000, 1), (10**9, 1), DAY]

steps = st.sampled_from(STEPS)
# Beyond 2^50 the two roundings of a float64 product may be off by one.
positions = st.integers(min_value=-(2**50), max_value=2**50)
missing = st.sampled_from([None, np.nan, pd.NA])
values = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, 0.5, math.inf, -math.inf]),
    st.sampled_from(['a', 'b', '', 'True', '1', 'nan', 'None']),
    missing,
)


def number(lower: int, upper: int, step: tuple[int, int] = (1, 1), *, has_missing: bool = True):
    return NumericalDomain('amount', 'numerical', lower, upper, step, has_missing)


def category(categories, *, has_missing: bool = True, has_other: bool = False):
    return CategoricalDomain('kind', 'categorical', categories, has_missing, has_other)


def codes_of(cells, domain) -> list[int]:
    return dm.category_codes(pd.Series(cells, dtype=object), domain).tolist()


@pytest.mark.parametrize(
    'largest, decimals, step',
    [(1000, 2, (1, 100)), (1000, 15, (1, 10**12)), (10**18, 0, (1000, 1)), (10**16, 3, (10, 1))],
)
def test_step_is_coarsened_where_float64_does_not_hold_it(largest, decimals, step):
    assert dm.fitting_step((1, 10**decimals), largest) == step
    assert largest / Fraction(*step) <= dm.MAX_UNITS


@given(steps, st.lists(positions, min_size=1, max_size=20))
def test_positions_survive_the_way_to_values_and_back(step, units):
    units = np.array(units, dtype=np.int64)

    assert dm.to_units(dm.from_units(units, step), step).tolist() == units.tolist()


@given(steps, st.floats(min_value=-1e9, max_value=1e9))
def test_positions_are_the_nearest(step, value):
    exact = Fraction(value) * step[1] / step[0]

    unit = int(dm.to_units(np.array([value]), step)[0])

    if abs(exact) < dm.MAX_UNITS:
        assert abs(unit - exact) <= Fraction(1, 2) + abs(exact) * Fraction(1, 2**51)
    else:
        assert abs(unit) == dm.MAX_UNITS


@given(st.integers(-98_000, 102_000), st.sampled_from([DAY, (3600 * 10**9, 1), (10**9, 1)]))
def test_nanoseconds_of_whole_days_survive(days, step):
    nanoseconds = np.array([days * DAY[0]], dtype=np.int64)
    series = pd.Series(nanoseconds.astype(np.float64))
    domain = number(-(2**52), 2**52, step)

    found = dm.grid_positions(series, domain)

    assert found.tolist() == [days * DAY[0] // step[0]]
    assert dm.from_units(found, step).astype(np.int64).tolist() == nanoseconds.tolist()


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20), steps)
def test_every_number_gets_a_position_inside_the_domain(cells, step):
    domain = number(-7, 20, step)

    found = dm.grid_positions(pd.Series(cells, dtype=np.float64), domain)

    absent = np.isnan(np.array(cells, dtype=np.float64))
    assert found.dtype == np.int64
    assert (found[absent] == dm.MISSING).all()
    assert ((found[~absent] >= -7) & (found[~absent] <= 20)).all()


def test_infinities_are_clipped_and_missing_needs_a_cell():
    cells = pd.Series([math.inf, -math.inf, 1e308, np.nan, 3.4])

    assert dm.grid_positions(cells, number(0, 9)).tolist() == [9, 0, 9, dm.MISSING, 3]
    without = dm.grid_positions(cells, number(0, 9, has_missing=False))
    assert without.tolist() == [9, 0, 9, dm.UNCOUNTED, 3]


@pytest.mark.parametrize('dtype', ['Int64', 'Float64', 'float32', object])
def test_positions_of_other_dtypes(dtype):
    absent = np.nan if dtype == 'float32' else None
    cells = pd.Series([1, 5, absent], dtype=dtype)

    assert dm.grid_positions(cells, number(0, 3)).tolist() == [1, 3, dm.MISSING]


@given(st.lists(st.floats(), max_size=8), st.lists(st.floats(), max_size=8))
def test_positions_are_found_row_by_row(first, second):
    a, b = (pd.Series(cells, dtype=np.float64) for cells in (first, second))
    domain = number(-50, 50, (1, 10))

    together = dm.grid_positions(pd.Series([*first, *second], dtype=np.float64), domain)

    apart = [*dm.grid_positions(a, domain), *dm.grid_positions(b, domain)]
    assert together.tolist() == apart


distinct = st.lists(
    st.one_of(st.text(max_size=3), st.integers(-5, 5), st.floats(-5, 5)), max_size=8, unique=True
)


@given(distinct, st.booleans(), st.booleans())
def test_codes_of_the_categories_are_their_places(categories, has_missing, has_other):
    domain = category(tuple(categories), has_missing=has_missing, has_other=has_other)
    n = len(categories)

    assert codes_of(categories, domain) == list(range(n))
    assert codes_of(categories[::-1], domain) == list(range(n))[::-1]
    assert codes_of([None], domain) == [n if has_missing else dm.UNCOUNTED]
    other = n + has_missing if has_other else dm.UNCOUNTED
    assert codes_of(['a value that is new'], domain) == [other]
    assert domain.n_cells == n + has_missing + has_other


@given(st.lists(values, max_size=8), st.lists(values, max_size=8), st.booleans())
def test_codes_are_found_row_by_row(first, second, has_other):
    for categories in ((True, False), ('a', 1, 0.5), (0, 1), ('True', '1')):
        domain = category(categories, has_other=has_other)

        together = codes_of([*first, *second], domain)

        assert together == codes_of(first, domain) + codes_of(second, domain)


@given(missing)
def test_all_kinds_of_missing_are_one(absent):
    assert codes_of(['a', absent, 'b'], category(('a', 'b'))) == [0, 2, 1]
    assert codes_of([absent], category((), has_missing=False)) == [dm.UNCOUNTED]


@pytest.mark.parametrize('categories', [(False, True), (0, 1), (0.0, 1.0)])
@pytest.mark.parametrize(
    'cells',
    [[False, True], [0, 1], [0.0, 1.0], [-0.0, 1.0], [np.False_, np.True_], [np.int8(0), True]],
)
def test_equal_booleans_integers_and_floats_are_one_category(categories, cells):
    assert codes_of(cells, category(categories)) == [0, 1]


@pytest.mark.parametrize('dtype', ['boolean', 'Int64', 'string', 'category', 'int64', 'bool'])
def test_codes_of_other_dtypes(dtype):
    plain = {'string': ['a', 'b'], 'category': ['a', 'b'], 'boolean': [True, False]}
    cells = plain.get(dtype, [1, 0])
    extension = dtype in ('boolean', 'Int64', 'string', 'category')
    absent = [None] if extension else []

    series = pd.Series([*cells, *absent], dtype=dtype)

    assert dm.category_codes(series, category(tuple(cells))).tolist() == [0, 1, *[2] * extension]


def test_text_is_no_number():
    assert codes_of(['1', '0'], category((0, 1))) == [dm.UNCOUNTED] * 2


def test_instants_are_no_categories_but_break_nothing():
    cells = [pd.Timestamp('2020-01-01'), pd.Timestamp('2020-01-02')]

    assert codes_of(cells, category(('a',), has_other=True)) == [2, 2]
    assert codes_of([pd.NaT], category(('a',))) == [1]


def test_incomplete_domains_have_no_cells():
    incomplete = NumericalDomain('amount', 'numerical', None, 5, (1, 1), True)

    assert not incomplete.is_complete
    assert number(0, 1).is_complete
    assert not category(None).is_complete
    assert category(()).is_complete
    with pytest.raises(ValueError, match="'amount' is not complete"):
        dm.grid_positions(pd.Series([1.0]), incomplete)
    with pytest.raises(ValueError, match="'kind' is not complete"):
        dm.category_codes(pd.Series(['a']), category(None))
