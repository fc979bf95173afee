import decimal
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import dtypes
from sdv_slicedp.dtypes import NUMBER, OBJECT

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.sampled_from(
        [
            pd.NA,
            pd.NaT,
            np.int8(3),
            np.float32(0.1),
            np.bool_(True),
            np.str_('a'),
            decimal.Decimal('1.5'),
            10**400,
            '12',
            'inf',
            b'1',
            2j,
            pd.Timestamp('2020-01-01'),
        ]
    ),
)


@pytest.mark.parametrize(
    'complete, with_gap',
    [
        (pd.Series([1, 2]), pd.Series([1, None])),
        (pd.Series([1, 2], dtype=np.int8), pd.Series([1, 2.0])),
        (pd.Series([True, False]), pd.Series([True, None])),
        (pd.Series(['a', 'b'], dtype='category'), pd.Series(['a', None])),
        (pd.Series([1, 2], dtype='Int64'), pd.Series([1, None], dtype='Int64')),
        (pd.Series([1.5], dtype=np.float32), pd.Series([None], dtype=np.float32)),
    ],
)
def test_a_missing_value_does_not_change_the_family(complete, with_gap):
    assert dtypes.family(complete.dtype) == dtypes.family(with_gap.dtype)


def test_families_of_other_dtypes_are_the_dtypes():
    for name in ('Int8', 'Float32', 'string', 'boolean', 'datetime64[ns, UTC]', 'float32'):
        assert dtypes.family(pd.Series([], dtype=name).dtype) == name
    assert dtypes.family(pd.SparseDtype('int64')) == NUMBER


@pytest.mark.parametrize('convert', [dtypes.plain_numbers, dtypes.plain_categories])
@given(first=st.lists(CELLS, max_size=6), second=st.lists(CELLS, max_size=3))
def test_plain_values_are_row_by_row_and_silent(convert, first, second):
    def plain(cells):
        column = pd.Series(np.empty(len(cells), dtype=object))
        column[:] = pd.Series(cells, dtype=object)
        return convert(column)

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        together = plain(first + second)
        apart = np.r_[plain(first), plain(second)]
    assert together.dtype == apart.dtype
    np.testing.assert_array_equal(together, apart)


@given(st.lists(CELLS, max_size=8))
def test_plain_values_are_of_plain_types(cells):
    column = pd.Series(cells, dtype=object)
    numbers = dtypes.plain_numbers(column)
    assert numbers.dtype == np.float64 and not np.isinf(numbers).any()
    for value in dtypes.plain_categories(column):
        assert value is None or type(value) in (str, int, float, bool)
        assert not isinstance(value, float) or math.isfinite(value)


def test_numbers_of_every_dtype():
    for dtype in (np.int8, np.uint16, np.float32, np.float64, 'Int16', 'Float32', object):
        assert dtypes.plain_numbers(pd.Series([0, 3], dtype=dtype)).tolist() == [0.0, 3.0]
    assert np.isnan(dtypes.plain_numbers(pd.Series([pd.NA, 1], dtype='Int64'))[0])
    assert np.isnan(dtypes.plain_numbers(pd.Series([np.inf, -np.inf]))).all()
    assert dtypes.plain_numbers(pd.Series(['1.5', 'x'], dtype='category'))[0] == 1.5


def test_short_floats_are_the_decimals_that_they_stand_for():
    for dtype in (np.float16, np.float32, 'Float32'):
        assert dtypes.plain_numbers(pd.Series([0.1, None, 0.3], dtype=dtype))[[0, 2]].tolist() == [
            0.1,
            0.3,
        ]


def test_sparse_columns_are_read():
    column = pd.Series(pd.arrays.SparseArray([1.5, np.nan, 2.0]))
    np.testing.assert_array_equal(dtypes.plain_numbers(column), [1.5, np.nan, 2.0])
    assert dtypes.plain_categories(column).tolist() == [1.5, None, 2]


def test_names_of_dtypes_hold_no_cells():
    assert dtypes.described(pd.SparseDtype('int64', fill_value=987)) == 'Sparse[int64]'
    assert dtypes.described(pd.CategoricalDtype(['987'])) == 'category'
    assert dtypes.described(np.dtype('int8')) == 'int8'


def test_huge_integers_are_text():
    column = pd.Series([2**63 - 1, -(2**63), 10**400, 10**5000], dtype=object)
    assert dtypes.plain_categories(column).tolist() == [
        2**63 - 1,
        '-9223372036854775808',
        str(10**400),
        None,
    ]


def test_cells_that_defend_themselves_are_missing():
    class Hostile:
        def __float__(self):
            raise RuntimeError('private')

        __str__ = __float__

    column = pd.Series([Hostile()], dtype=object)
    assert np.isnan(dtypes.plain_numbers(column)).all()
    assert dtypes.plain_categories(column).tolist() == [None]


def test_whole_categories_are_integers_with_and_without_a_gap():
    for column in (
        pd.Series([1, 2], dtype=np.int64),
        pd.Series([1, 2, None]),
        pd.Series([1, 2, None], dtype='Int64'),
        pd.Series([1, 2], dtype=np.float32),
        pd.Series(pd.arrays.SparseArray([1, 2])),
    ):
        plain = dtypes.plain_categories(column)[:2]
        assert plain.tolist() == [1, 2] and all(type(value) is int for value in plain)
    assert dtypes.plain_categories(pd.Series([0.5, np.inf])).tolist() == [0.5, None]


def test_plain_columns_are_not_copied():
    values = np.array(['a', 'b'], dtype=object)
    assert np.shares_memory(dtypes.plain_categories(pd.Series(values, copy=False)), values)


@pytest.mark.parametrize(
    'dtype, whole, values, expected',
    [
        (NUMBER, True, [1.0, 2.0], 'int64'),
        (NUMBER, True, [1.0, np.nan], 'float64'),
        (NUMBER, False, [1.0, 2.0], 'float64'),
        (OBJECT, True, [1.0, 2.0], 'int64'),
        (pd.Int8Dtype(), True, [1.0, 900.0, np.nan], 'Int8'),
        (pd.UInt64Dtype(), True, [-1.0, 1e30], 'UInt64'),
        (pd.Int64Dtype(), True, [-1e30, 1e30], 'Int64'),
        (pd.Float32Dtype(), False, [0.5, np.nan], 'Float32'),
        (np.dtype(np.float32), False, [0.5, np.nan], 'float32'),
    ],
)
def test_numbers_come_back_in_their_family(dtype, whole, values, expected):
    column = dtypes.restored_numbers(np.array(values), dtype, whole=whole)
    assert column.dtype == expected
    assert column.isna().tolist() == np.isnan(values).tolist()


@pytest.mark.parametrize(
    'dtype, categories, values, expected',
    [
        (OBJECT, (False, True), [True, False], 'bool'),
        (OBJECT, (False, True), [True, None], 'object'),
        (OBJECT, ('a', 1), ['a', 1], 'object'),
        (NUMBER, (1, 2), [1, 2], 'int64'),
        (NUMBER, (1, 2), [1, None], 'float64'),
        (NUMBER, (1, 2.5), [1, 1], 'float64'),
        (NUMBER, ('x',), ['x'], 'object'),
        (pd.StringDtype(), ('a',), ['a', None], 'string'),
        (pd.BooleanDtype(), (False, True), [True, None], 'boolean'),
        (pd.Int8Dtype(), (1, 999), [1, 999], 'object'),
    ],
)
def test_categories_come_back_in_their_family(dtype, categories, values, expected):
    column = dtypes.restored_categories(np.array(values, dtype=object), dtype, categories)
    assert column.dtype == expected
    assert column.isna().tolist() == [value is None for value in values]


def test_generated_values_that_do_not_fit_stay_as_they_are():
    assert dtypes.restored_generated(pd.Series(['12', '13']), NUMBER).tolist() == [12, 13]
    assert dtypes.restored_generated(pd.Series(['a1']), NUMBER).tolist() == ['a1']
