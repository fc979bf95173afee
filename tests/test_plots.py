"""Plots show the shares that are there, whatever the column is like."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdv_slicedp.plots import (
    MAX_BINS,
    MAX_CATEGORIES,
    OTHER_LABEL,
    column_figure,
    comparable,
    make_bins,
    pair_figure,
)

NUMERICAL = {'sdtype': 'numerical'}
CATEGORICAL = {'sdtype': 'categorical'}
numbers = st.lists(st.floats(-1e9, 1e9) | st.integers(-100, 100) | st.just(np.nan), max_size=40)
labels = st.lists(st.text(max_size=3) | st.none(), max_size=40)


@given(numbers, numbers)
@settings(deadline=None)
def test_every_number_is_in_one_bin(real, synthetic):
    tables = [pd.Series(values, dtype='float64') for values in (real, synthetic)]
    bins = make_bins(*tables)
    assert 1 <= len(bins.labels) <= MAX_BINS
    for table in tables:
        assert bins.shares(table).sum() * max(len(table), 1) == pytest.approx(table.count())


@given(labels, labels)
@settings(deadline=None)
def test_every_category_is_in_one_bin(real, synthetic):
    tables = [comparable(pd.Series(v, dtype=object), CATEGORICAL) for v in (real, synthetic)]
    bins = make_bins(*tables)
    assert len(bins.labels) <= MAX_CATEGORIES + 1
    for table in tables:
        if len(table):
            assert bins.shares(table).sum() == pytest.approx(1)


def test_whole_numbers_get_bins_of_whole_width():
    values = pd.Series(np.arange(1000) % 74 + 17.0)
    width = np.diff(make_bins(values, values).edges)
    assert (width == width[0]).all() and width[0] == int(width[0])


def test_rare_categories_share_a_bin():
    values = pd.Series([f'c{i}' for i in range(30)], dtype=object)
    bins = make_bins(values, values)
    assert bins.labels[-1] == OTHER_LABEL
    assert bins.shares(values)[-1] == pytest.approx(0.5)


def test_shares_in_a_figure_are_those_of_the_tables():
    real, synthetic = pd.Series(['a', 'a', 'b', None]), pd.Series(['a', 'b', 'b', 'b'])
    bars = column_figure('x', real, synthetic, CATEGORICAL).data
    assert [list(bar.y) for bar in bars] == [[0.5, 0.25, 0.25], [0.25, 0.75, 0]]


def test_a_spike_gets_a_logarithmic_axis_and_missing_values_a_note():
    values = pd.Series([0.0] * 90 + list(range(1, 10)) + [np.nan])
    figure = column_figure('x', values, values, NUMERICAL)
    assert figure.layout.yaxis.type == 'log'
    assert 'missing: 1.0% real' in figure.layout.title.text


@pytest.mark.parametrize(
    ('values', 'column'),
    [
        ([], NUMERICAL),
        ([np.nan, np.nan], NUMERICAL),
        ([5, 5], NUMERICAL),
        ([1e300, -1e300], NUMERICAL),
        ([], CATEGORICAL),
        ([True, None], {'sdtype': 'boolean'}),
        (['2020-02-01', None, 'bad'], {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'}),
        ([pd.Timestamp('2020-02-01'), pd.NaT], {'sdtype': 'datetime'}),
    ],
)
def test_odd_columns_have_figures(values, column):
    table = pd.DataFrame({'x': values, 'y': values})
    assert column_figure('x', table['x'], table['x'], column).to_json()
    assert pair_figure(('x', 'y'), table, table, {'x': column, 'y': column}).to_json()
