import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import dtypes
from sdv_slicedp.conditions import MOST_LISTED, asked
from sdv_slicedp.domain import MISSING, CategoricalDomain, NumericalDomain

pytestmark = pytest.mark.filterwarnings('error')

DAY = 86_400 * 10**9
DOMAINS = {
    'age': NumericalDomain('age', 'numerical', 0, 120, (1, 1), False),
    'income': NumericalDomain('income', 'numerical', 0, 900_050, (1, 100), True),
    'city': CategoricalDomain('city', 'categorical', ('Oslo', 'Rome'), True),
    'size': CategoricalDomain('size', 'ordinal', (1, 2, 3), False),
    'member': CategoricalDomain('member', 'boolean', (False, True), True),
    'word': CategoricalDomain('word', 'categorical', ('a', 'b'), False, has_other=True),
    'born': NumericalDomain('born', 'datetime', 0, 14_974, (DAY, 1), True),
    'seen': NumericalDomain('seen', 'datetime', 0, 20_000, (DAY, 1), False),
}
COLUMNS = {
    **{name: {'sdtype': domain.sdtype} for name, domain in DOMAINS.items()},
    'born': {'sdtype': 'datetime', 'datetime_format': '%d/%m/%Y'},
    'email': {'sdtype': 'email', 'pii': True},
}
FAMILIES = {name: dtypes.OBJECT for name in COLUMNS} | {
    'age': dtypes.NUMBER,
    'income': dtypes.NUMBER,
    'size': dtypes.NUMBER,
    'seen': np.dtype('datetime64[ns]'),
}


def ask(name, values, **families):
    frame = pd.DataFrame({name: values})
    return asked(frame, COLUMNS, DOMAINS, FAMILIES | families)[name]


def message(name, values) -> str:
    with pytest.raises(ValueError) as error:
        ask(name, values)
    start, text = str(error.value).split(': ', 1)
    assert start == 'Unable to sample any rows for the given conditions'
    return text


@pytest.mark.parametrize(
    'name, values, positions, shown',
    [
        ('age', [30, 0, 120], [30, 0, 120], [30, 0, 120]),
        ('age', [30.4, 30.6], [30, 31], [30.4, 30.6]),
        ('age', [Decimal(7), np.int8(3)], [7, 3], [7, 3]),
        ('income', [0.01, 3000.5], [1, 300_050], [0.01, 3000.5]),
        ('income', [1 / 3], [33], [1 / 3]),
        ('city', ['Rome', 'Oslo'], [1, 0], ['Rome', 'Oslo']),
        ('size', [3, 1.0, np.int64(2)], [2, 0, 1], [3, 1, 2]),
        ('member', [True, np.False_], [1, 0], [True, False]),
        ('born', ['02/01/1970', '3/1/1970'], [1, 2], ['02/01/1970', '3/1/1970']),
        ('born', [pd.Timestamp('1970-01-02'), datetime.date(1970, 1, 3)], [1, 2],
         ['02/01/1970', '03/01/1970']),
        ('seen', ['1970-01-02', datetime.datetime(1970, 1, 3, 7)], [1, 2],
         [pd.Timestamp('1970-01-02'), pd.Timestamp('1970-01-03 07:00')]),
        ('seen', [np.datetime64('2020-02-03T04:05:06.123456789')], [18_295],
         [pd.Timestamp('2020-02-03 04:05:06.123456789')]),
    ],
)  # fmt: skip
def test_values_are_shown_as_asked_and_take_the_nearest_position(name, values, positions, shown):
    found = ask(name, values)
    assert found.positions.tolist() == positions
    assert found.shown.tolist() == shown
    assert found.positions.dtype == np.int64


@pytest.mark.parametrize('name', ['income', 'city', 'member', 'born'])
@pytest.mark.parametrize('nothing', [None, np.nan, pd.NA, pd.NaT])
def test_missing_values(name, nothing):
    found = ask(name, pd.Series([nothing], dtype=object))
    domain = DOMAINS[name]
    code = len(domain.categories) if isinstance(domain, CategoricalDomain) else MISSING
    assert found.positions.tolist() == [code] and found.shown.isna().all()


@pytest.mark.parametrize(
    'family, values, dtype',
    [
        (dtypes.NUMBER, [1, 2], 'int64'),
        (dtypes.NUMBER, [1.5, 2], 'float64'),
        (pd.Int64Dtype(), [1, 2], 'Int64'),
        (pd.Int64Dtype(), [1.5, 2], 'float64'),
        (pd.Int8Dtype(), [1, 120], 'Int8'),
        (pd.Float32Dtype(), [1.5, 2], 'Float32'),
    ],
)
def test_numbers_keep_the_dtype_of_their_column_where_it_holds_them(family, values, dtype):
    found = ask('age', values, age=family)
    assert found.shown.dtype == dtype and found.shown.tolist() == values


def test_time_zones():
    zoned = pd.DatetimeTZDtype('ns', 'Europe/Paris')
    values = [pd.Timestamp('1970-01-02 01:00', tz='UTC'), pd.Timestamp('1970-01-02 02:00')]
    for series in (pd.Series(values, dtype=object), pd.Series(values[:1])):
        found = ask('seen', series, seen=zoned)
        assert found.shown.dtype == zoned
        assert found.shown[0] == values[0]
    plain = ask('seen', [pd.Timestamp('1970-01-02 01:00', tz='Europe/Paris')])
    assert plain.shown.tolist() == [pd.Timestamp('1970-01-02 00:00')]


@pytest.mark.parametrize(
    'name, values, quoted, domain',
    [
        ('age', [30, 121], "'age' cannot be 121", 'numbers from 0 to 120, and no missing values'),
        ('age', ['thirty'], "'thirty'", 'numbers from 0 to 120'),
        ('age', ['30'], "'30'", 'numbers'),
        ('age', [True], 'True', 'numbers'),
        ('age', [None], 'missing', 'no missing values'),
        ('age', [np.inf], 'inf', '120'),
        ('age', pd.Series([10**400], dtype=object), '1000', '120'),
        ('age', [[1]], '[1]', '120'),
        ('income', [-0.01], '-0.01', 'numbers from 0 to 9000.5, or missing values'),
        ('city', ['Bonn'], "'city' cannot be 'Bonn'", "'Oslo', 'Rome', or missing values"),
        ('city', [['Oslo']], "['Oslo']", "'Oslo'"),
        ('size', ['1'], "'1'", '1, 2, 3, and no missing values'),
        ('size', [np.nan], 'missing', '1, 2, 3'),
        ('member', ['yes'], "'yes'", 'False, True'),
        ('word', ['c'], "'c'", "'a', 'b' (the values that were discovered"),
        ('born', ['1970-01-02'], "'1970-01-02'", "to 31/12/2010 in the format '%d/%m/%Y'"),
        ('born', ['31/12/2011'], '2011', 'from 01/01/1970'),
        ('born', [pd.Timestamp('1970-01-02 03:04')], '03:04', 'rows cannot show that'),
        ('born', [7.5], '7.5', 'datetimes'),
        ('seen', ['soon'], "'soon'", 'datetimes from 1970-01-01 to 2024-10-04'),
        ('seen', ['today'], "'today'", 'datetimes'),
        ('seen', [pd.NaT], 'missing', 'no missing values'),
        ('seen', [np.datetime64('9999-01-01', 's')], '9999', 'datetimes'),
        ('nowhere', [1], "'nowhere'", 'no such column. Conditions can be on age, income, city'),
        ('email', ['a@b.example'], "'email'", 'made up'),
    ],
)  # fmt: skip
def test_errors_name_the_column_the_value_and_the_domain(name, values, quoted, domain):
    text = message(name, values)
    assert f"'{name}'" in text and quoted in text and domain in text


def test_long_lists_and_values_are_cut():
    words = tuple(f'word{i}' for i in range(500))
    domains = {'w': CategoricalDomain('w', 'categorical', words, False)}
    with pytest.raises(ValueError) as error:
        asked(pd.DataFrame({'w': ['x' * 1000]}), {'w': {}}, domains, {'w': dtypes.OBJECT})
    assert '(500 in all)' in str(error.value) and len(str(error.value)) < 400
    assert str(error.value).count('word') == MOST_LISTED


def test_a_column_is_asked_for_once():
    frame = pd.DataFrame([[1, 2]], columns=['age', 'age'])
    with pytest.raises(ValueError, match='more than once'):
        asked(frame, COLUMNS, DOMAINS, FAMILIES)


def test_the_index_does_not_matter():
    frame = pd.DataFrame({'city': ['Oslo', None], 'age': [3, 4]}, index=[7, 7])
    found = asked(frame, COLUMNS, DOMAINS, FAMILIES)
    assert found['city'].positions.tolist() == [0, 2]
    assert found['age'].shown.index.tolist() == [0, 1]


@given(st.lists(st.floats(0, 9000.5), min_size=1))
def test_any_number_of_the_domain_is_shown_exactly(values):
    found = ask('income', values)
    assert found.shown.tolist() == values
    assert (np.abs(found.positions / 100 - values) <= 0.005 + 1e-9).all()


@given(st.lists(st.integers(0, 20_000 * DAY), min_size=1))
def test_any_nanosecond_of_the_domain_is_shown_exactly(instants):
    stamps = pd.Series(np.array(instants, dtype='datetime64[ns]'))
    found = ask('seen', stamps)
    pd.testing.assert_series_equal(found.shown, stamps)
    assert (np.abs(found.positions * DAY - np.array(instants)) <= DAY / 2 + 1000).all()
