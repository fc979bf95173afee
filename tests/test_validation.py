import numpy as np
import pandas as pd
import pytest
from sdv.errors import InvalidDataError, InvalidDataTypeError, SynthesizerInputError
from tables import MIXED_COLUMNS, TABLE, make_mixed_table

from sdv_slicedp import schema, validation
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain

STAMPS = pd.to_datetime(['2020-01-01'])


def check(column, values, key=False, public_domain=True):
    columns = {'x': column}
    keys = {'x'} if key else set()
    domains = schema.column_domains(columns, public_domain, keys)
    validation.check_table(pd.DataFrame({'x': values}), columns, domains, keys)


@pytest.mark.parametrize('data', [pd.DataFrame({'a': [1]}), [], None, {}, {'a': 1, 'b': 2}])
def test_exactly_one_table_in_a_dictionary(data):
    with pytest.raises(InvalidDataTypeError, match='dictionary of exactly one'):
        validation.single_table(data, TABLE)


def test_the_table_is_a_frame_with_the_name_in_the_metadata():
    with pytest.raises(InvalidDataTypeError, match='must be a pandas DataFrame'):
        validation.single_table({TABLE: [1]}, TABLE)
    with pytest.raises(InvalidDataError, match="has table 'other'"):
        validation.single_table({'other': pd.DataFrame()}, TABLE)


def test_names_become_text_without_touching_the_table():
    table = pd.DataFrame({0: [1], 'a': [2]}, index=[7])
    before = table.copy()
    view = validation.named_by_text(table)
    assert view.columns.tolist() == ['0', 'a'] and view.index.tolist() == [0]
    assert np.shares_memory(view['a'].to_numpy(), table['a'].to_numpy())
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize('names', [['a', 'a'], [1, '1']])
def test_names_must_differ(names):
    with pytest.raises(InvalidDataError, match='several columns with the name'):
        validation.named_by_text(pd.DataFrame([[1, 2]], columns=names))


def test_columns_must_be_those_of_the_metadata():
    with pytest.raises(InvalidDataError) as caught:
        validation.check_columns(['a', 'c'], ['a', 'b'])
    assert "['c'] are not present in the metadata" in str(caught.value)
    assert "['b'] are not present in the data" in str(caught.value)


def test_a_table_that_fits_is_accepted():
    domains = schema.column_domains(MIXED_COLUMNS, True, {'key'})
    validation.check_table(make_mixed_table(3), MIXED_COLUMNS, domains, {'key'})


def test_an_empty_table_is_refused():
    with pytest.raises(InvalidDataError, match='empty'):
        check({'sdtype': 'numerical'}, pd.Series([], dtype=float))


@pytest.mark.parametrize(
    'sdtype, values',
    [
        ('numerical', [True, False]),
        ('numerical', pd.array(['1'], 'string')),
        ('numerical', STAMPS),
        ('numerical', [1j]),
        ('boolean', [0, 1]),
        ('boolean', [0.0]),
        ('boolean', pd.array(['True'], 'string')),
        ('boolean', STAMPS),
        ('datetime', [1, 2]),
        ('datetime', [True]),
        ('datetime', pd.to_timedelta([1])),
        ('datetime', pd.period_range('2020', periods=1)),
        ('categorical', STAMPS),
        ('ordinal', pd.to_timedelta([1])),
        ('ordinal', [1j]),
    ],
)
def test_dtypes_that_do_not_fit_are_refused_by_name(sdtype, values):
    with pytest.raises(InvalidDataError) as caught:
        check({'sdtype': sdtype}, values)
    dtype = pd.Series(values).dtype
    assert f"Column 'x' is declared {sdtype}, but has dtype {dtype}" in str(caught.value)


@pytest.mark.parametrize(
    'column, values',
    [
        ({'sdtype': 'numerical'}, pd.array([1, None], 'Int8')),
        ({'sdtype': 'numerical'}, ['no number', None, [1]]),
        ({'sdtype': 'numerical'}, pd.Categorical(['a'])),
        ({'sdtype': 'boolean'}, pd.array([True, None], 'boolean')),
        ({'sdtype': 'boolean'}, ['maybe']),
        ({'sdtype': 'datetime'}, ['not a date']),
        ({'sdtype': 'datetime'}, STAMPS.tz_localize('UTC')),
        ({'sdtype': 'datetime', 'datetime_format': '%Y'}, [2020]),
        ({'sdtype': 'categorical'}, [1.5]),
        ({'sdtype': 'categorical'}, [True]),
        ({'sdtype': 'categorical', 'range_values': ['a']}, ['b', 7]),
        ({'sdtype': 'id'}, STAMPS),
    ],
)
def test_cells_are_never_a_reason_to_refuse(column, values):
    check(column, pd.Series(values))


def test_numbers_with_textual_categories_are_refused_without_naming_them():
    column = {'sdtype': 'categorical', 'range_values': ['1', '2']}
    with pytest.raises(InvalidDataError, match='range_values are text'):
        check(column, [1, 2])
    check(column, [1, 2], public_domain=False)


def test_integer_keys_cannot_start_with_zero():
    with pytest.raises(InvalidDataError, match='leading 0'):
        check({'sdtype': 'id', 'regex_format': '[0-9]{4}'}, [1], key=True)
    check({'sdtype': 'id', 'regex_format': '[1-9][0-9]{3}'}, [1], key=True)
    check({'sdtype': 'id', 'regex_format': '[0-9]{4}'}, ['0001'], key=True)


def test_processed_tables_have_the_modelled_columns_and_rows():
    domains = [CategoricalDomain('a', 'categorical', None, True)]
    validation.check_processed(pd.DataFrame({'a': [1]}), domains)
    for wrong in (pd.DataFrame({'b': [1]}), pd.DataFrame({'a': []})):
        with pytest.raises(InvalidDataError):
            validation.check_processed(wrong, domains)


def test_a_release_must_have_the_modelled_columns():
    a = CategoricalDomain('a', 'categorical', ('x',), True)
    b = NumericalDomain('b', 'numerical', 0, 1, (1, 1), True)
    validation.check_release([a, b], [b, a])
    text = CategoricalDomain('b', 'categorical', ('x',), True)
    for other in ([a], [a, text]):
        with pytest.raises(SynthesizerInputError, match=r"columns \['b'\]"):
            validation.check_release([a, b], other)
