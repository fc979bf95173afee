"""The embedded table is the whole of Adult, and its metadata describe it."""

import pytest

from sdv_slicedp.datasets import load_adult


@pytest.fixture(scope='module')
def adult():
    return load_adult()


def test_whole_table_with_missing_values(adult):
    tables, _ = adult
    assert list(tables) == ['adult']
    table = tables['adult']
    assert table.shape == (48_842, 15)
    missing = table.isna().sum()
    assert missing[missing > 0].to_dict() == {
        'workclass': 2799,
        'occupation': 2809,
        'native_country': 857,
    }


def test_numbers_are_integers_and_categories_are_text(adult):
    tables, metadata = adult
    for name, column in metadata.tables['adult'].columns.items():
        values = tables['adult'][name].dropna()
        if column['sdtype'] == 'numerical':
            assert values.dtype == 'int64'
        else:
            assert {type(value) for value in values} == {str}


def test_metadata_describe_the_table(adult):
    tables, metadata = adult
    metadata.validate()
    metadata.validate_data(tables)
    assert list(metadata.tables['adult'].columns) == list(tables['adult'].columns)
    for column in metadata.tables['adult'].columns.values():
        assert 'range_is_nullable' in column
        assert 'range_values' in column or {'range_min', 'range_max'} <= set(column)


def test_each_call_gives_an_independent_table(adult):
    again, _ = load_adult()
    again['adult'].loc[:, 'age'] = 0
    assert (adult[0]['adult']['age'] > 0).all()
