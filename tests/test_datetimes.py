import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import datetimes
from sdv_slicedp.datetimes import DAY, HOUR, MINUTE, SECOND, Layout

OBJECT = np.dtype(object)


def layout(written=None, **column):
    return datetimes.layout({'datetime_format': written, **column})


@pytest.mark.parametrize(
    'written, step',
    [
        ('%Y-%m-%d', DAY),
        ('%Y', DAY),
        ('%d %b %y', DAY),
        ('%Y-%m-%d %H', HOUR),
        ('%Y-%m-%d %I %p', HOUR),
        ('%Y-%m-%d %H:%M', MINUTE),
        ('%Y-%m-%d %T', SECOND),
        ('%Y-%m-%d %H:%M:%S', SECOND),
        ('%Y-%m-%dT%H:%M:%S.%f', 1000),
        ('100%% %-d.%-m.%Y', DAY),
        ('%Y-%m-%d %z', 15 * MINUTE),
    ],
)
def test_step_is_the_finest_unit_of_the_format(written, step):
    assert layout(written).step == (step, 1)


def test_without_a_format_the_step_is_unknown():
    assert layout() == Layout(None, None, None)


FORMATS = ['%Y-%m-%d', '%d/%m/%Y', '%-d.%-m.%Y %H:%M', '%Y-%m-%d %H:%M:%S.%f', '%Y%m%d%H%M%S']


@given(
    instants=st.lists(
        st.one_of(
            # In 1824..2116, float64 nanoseconds tell one microsecond from the next.
            st.none(),
            st.datetimes(datetime.datetime(1825, 1, 1), datetime.datetime(2115, 1, 1)),
        ),
        min_size=1,
        max_size=20,
    ),
    written=st.sampled_from(FORMATS),
)
def test_written_datetimes_come_back_as_they_were(instants, written):
    texts = [None if x is None else pd.Timestamp(x).strftime(written) for x in instants]
    how = layout(written)
    numbers = datetimes.to_nanoseconds(pd.Series(texts, dtype=object), how)
    assert datetimes.from_nanoseconds(numbers, how, how.step, OBJECT).tolist() == texts


@pytest.mark.parametrize('unit', ['s', 'ms', 'us', 'ns'])
def test_datetime64_columns_come_back_in_their_dtype(unit):
    stamps = pd.Series(pd.to_datetime(['2020-02-03T04:05:06.789', None, '1901-01-01T00:00:00.000']))
    column = stamps.astype(f'datetime64[{unit}]')
    numbers = datetimes.to_nanoseconds(column, Layout())
    back = datetimes.from_nanoseconds(numbers, Layout(), (1_000_000, 1), column.dtype)
    pd.testing.assert_series_equal(back, column)


def test_dates_that_nanoseconds_cannot_hold_are_no_error():
    column = pd.Series(np.array(['0001-01-01', '2020-01-01', '9999-01-01'], dtype='datetime64[s]'))
    numbers = datetimes.to_nanoseconds(column, Layout())
    assert numbers[0] < -5e19 and numbers[2] > 2e20
    back = datetimes.from_nanoseconds(numbers, Layout(), (DAY, 1), column.dtype)
    assert back.dt.year.tolist() == [1677, 2020, 2262]


def test_words_for_the_present_are_no_datetimes():
    column = pd.Series(['now', 'today', '2020-01-01'])
    for how in (Layout(), layout('%Y-%m-%d')):
        assert np.isnan(datetimes.to_nanoseconds(column, how)).tolist() == [True, True, False]


def test_a_zoned_column_keeps_its_wall_clock():
    column = pd.Series(pd.date_range('2021-10-30', periods=4, tz='America/New_York'))
    numbers = datetimes.to_nanoseconds(column, Layout())
    assert (numbers % DAY == 0).all()
    back = datetimes.from_nanoseconds(numbers, Layout(), (DAY, 1), column.dtype)
    pd.testing.assert_series_equal(back, column, check_freq=False)


def test_offsets_are_those_of_the_declared_range_else_utc():
    written = '%Y-%m-%d %H:%M%z'
    texts = pd.Series(['2020-01-01 10:00-0500', '2020-01-01 10:00+0100'])
    utc = layout(written)
    numbers = datetimes.to_nanoseconds(texts, utc)
    assert datetimes.from_nanoseconds(numbers, utc, utc.step, OBJECT).tolist() == [
        '2020-01-01 15:00+0000',
        '2020-01-01 09:00+0000',
    ]
    declared = layout(written, range_min='2019-01-01 00:00-0500')
    numbers = datetimes.to_nanoseconds(texts, declared)
    assert datetimes.from_nanoseconds(numbers, declared, declared.step, OBJECT).tolist() == [
        '2020-01-01 10:00-0500',
        '2020-01-01 04:00-0500',
    ]


def test_numbers_are_read_in_the_format():
    how = layout('%Y%m%d')
    for values in ([20200131, 20201399], [20200131.0, np.nan], pd.array([20200131, None], 'Int64')):
        numbers = datetimes.to_nanoseconds(pd.Series(values), how)
        assert numbers[0] == pd.Timestamp('2020-01-31').value
        assert np.isnan(numbers[1])


def test_formats_without_days_give_the_start_of_the_month():
    how = layout('%Y-%m')
    numbers = np.array([float(pd.Timestamp('2020-05-17').value)])
    assert datetimes.from_nanoseconds(numbers, how, how.step, OBJECT).tolist() == ['2020-05']
    stamp = datetimes.from_nanoseconds(numbers, how, how.step, np.dtype('datetime64[ns]'))[0]
    assert stamp == pd.Timestamp('2020-05-01')


CELLS = st.one_of(
    st.none(),
    st.text(max_size=4),
    st.sampled_from(
        [
            '2020-01-02',
            '03/04/2021',
            '2020-01-02T03:04:05+02:00',
            '1200-01-01',
            'now',
            'today',
            np.nan,
            pd.NaT,
            pd.NA,
            pd.Timestamp('2020-01-01', tz='UTC'),
            datetime.date(1999, 1, 1),
            datetime.datetime(3000, 1, 1),
            np.datetime64('2020-01-01'),
            12345,
            1.5,
            True,
        ]
    ),
    st.lists(st.integers(), max_size=2),
)


@given(
    first=st.lists(CELLS, max_size=60),
    second=st.lists(CELLS, max_size=3),
    written=st.sampled_from([None, '%Y-%m-%d', '%d/%m/%Y']),
)
def test_reading_is_row_by_row_and_silent(first, second, written):
    how = layout(written)

    def read(cells):
        return datetimes.to_nanoseconds(pd.Series(cells, dtype=object), how)

    with warnings.catch_warnings():
        warnings.simplefilter('error')
        together = read(first + second)
        np.testing.assert_array_equal(together, np.r_[read(first), read(second)])
