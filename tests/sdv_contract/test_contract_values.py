"""Values and dtypes of what is sampled, for every sdtype."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sdv.evaluation import evaluate_quality, run_diagnostic
from sdv.metadata import Metadata
from tables import MIXED_COLUMNS, QUICK, TABLE, make_metadata, make_mixed_table

from sdv_slicedp.synthesizer import SlicedDPSynthesizer

MODELLED = ('numerical', 'categorical', 'ordinal', 'boolean', 'datetime')
FAMILIES = {'floor': 'int64', 'grade': 'object'}


@pytest.fixture
def rows(fitted):
    return fitted.sample(300)[TABLE]


def test_dtypes_are_those_of_the_table(rows, mixed_table):
    for name, dtype in mixed_table.dtypes.items():
        assert rows[name].dtype == FAMILIES.get(name, dtype), name


def test_numbers_are_inside_the_declared_range_with_the_declared_decimals(rows):
    for name, column in MIXED_COLUMNS.items():
        if column['sdtype'] != 'numerical':
            continue
        values = rows[name].dropna().to_numpy(dtype=float)
        assert values.min() >= column['range_min'] and values.max() <= column['range_max'], name
        rounded = np.round(values, column['decimal_places'])
        np.testing.assert_allclose(values, rounded, rtol=1e-6, err_msg=name)


def test_categories_are_declared_ones(rows):
    for name, column in MIXED_COLUMNS.items():
        if 'range_values' in column:
            assert set(rows[name].dropna()) <= set(column['range_values']), name


def test_datetimes_are_inside_the_declared_range_in_their_format(rows):
    born = pd.to_datetime(rows['born'].dropna(), format='%d/%m/%Y')
    assert born.between('1950-01-01', '2010-12-31').all()
    assert rows['seen'].dropna().between('2020-01-01', '2021-12-31 23:59:59').all()
    assert (rows['seen'].dropna().dt.microsecond == 0).all()
    assert rows['seen'].dt.second.nunique() > 20
    zoned = rows['zoned'].dropna().dt.tz_localize(None)
    assert zoned.between('2020-01-01', '2020-12-31 23:59').all()


def test_missing_values_appear_where_they_may_and_nowhere_else(rows):
    shares = rows.isna().mean()
    for name, column in MIXED_COLUMNS.items():
        if column['sdtype'] in MODELLED and column.get('range_is_nullable', True):
            assert 0.01 < shares[name] < 0.3, name
        else:
            assert shares[name] == 0, name


def test_dependence_is_kept():
    """Correlation of a nearly deterministic pair; noise of at most 1 in a cell of some hundred."""
    table = make_mixed_table(4000)[['age', 'income']]
    metadata = make_metadata({name: MIXED_COLUMNS[name] for name in table})
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=20.0, public_domain=True, epochs=200)
    synthesizer.fit({TABLE: table})
    rows = synthesizer.sample(1000)[TABLE]
    assert table['age'].corr(table['income']) > 0.9 and rows['age'].corr(rows['income']) > 0.7


def test_the_diagnostic_score_is_perfect_and_quality_can_be_scored(rows, mixed_table):
    # The dtypes of these two would tell that there is no missing value, or the categories.
    names = [name for name in MIXED_COLUMNS if name not in FAMILIES]
    metadata = make_metadata({name: MIXED_COLUMNS[name] for name in names}, primary_key='key')
    arguments = ({TABLE: mixed_table[names]}, {TABLE: rows[names]}, metadata)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        diagnostic = run_diagnostic(*arguments, verbose=False)
        quality = evaluate_quality(*arguments, verbose=False)
    assert diagnostic.get_score() == 1.0
    assert quality.get_score() > 0.6


def test_integer_column_names_come_back(mixed_table):
    columns = {str(i): MIXED_COLUMNS[name] for i, name in enumerate(('age', 'email', 'city'))}
    table = mixed_table[['city', 'age', 'email']].set_axis([2, 0, 1], axis=1)
    synthesizer = SlicedDPSynthesizer(
        make_metadata(columns), epsilon=10.0, public_domain=True, **QUICK
    )
    synthesizer.fit({TABLE: table})
    assert table.columns.tolist() == [2, 0, 1]
    rows = synthesizer.sample(20)[TABLE]
    assert rows.columns.tolist() == [0, 1, 2]
    assert rows[0].between(0, 120).all() and set(rows[2].dropna()) <= {'Oslo', 'Rome', 'Bonn'}


@pytest.mark.parametrize('dtype', [np.int8, np.uint16, np.int32, np.float64, 'Int8', 'UInt16'])
def test_whole_numbers_of_every_dtype(dtype):
    metadata = make_metadata({'n': MIXED_COLUMNS['age']})
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=10.0, public_domain=True, **QUICK)
    synthesizer.fit({TABLE: pd.DataFrame({'n': np.arange(120)}).astype(dtype)})
    expected = 'int64' if isinstance(dtype, type) else dtype
    assert synthesizer.sample(30)[TABLE]['n'].dtype == expected


@pytest.mark.parametrize(
    'written',
    [
        '%Y-%m-%d %H:%M:%S.%f',
        '%d %B %Y, %I:%M %p',
        '%m/%d/%y',
        '%Y-%m',
        '%Y-%m-%dT%H:%M:%S%z',
        '%Y-%m-%d %H:%M %Z',
    ],
)
def test_datetime_formats(written):
    stamps = pd.Series(pd.date_range('2001-02-03 04:05:06.789', periods=200, freq='37h', tz='UTC'))
    texts = stamps.dt.strftime(written)
    column = {
        'sdtype': 'datetime',
        'datetime_format': written,
        'range_min': texts.iloc[0],
        'range_max': texts.iloc[-1],
    }
    synthesizer = SlicedDPSynthesizer(
        make_metadata({'d': column}), epsilon=10.0, public_domain=True, **QUICK
    )
    synthesizer.fit({TABLE: pd.DataFrame({'d': texts})})
    made = synthesizer.sample(40)[TABLE]['d'].dropna()
    read = pd.to_datetime(made, format=written, utc=True)
    ends = pd.to_datetime(texts.iloc[[0, -1]], format=written, utc=True)
    assert read.between(*ends).all() and read.dt.strftime(written).tolist() == made.tolist()


def test_datetimes_without_a_format(mixed_table):
    metadata = make_metadata({'seen': {'sdtype': 'datetime'}})
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=10.0, **QUICK)
    synthesizer.fit({TABLE: mixed_table[['seen']]})
    made = synthesizer.sample(50)[TABLE]['seen']
    assert made.dtype == 'datetime64[ns]' and made.dt.second.nunique() > 5
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=10.0, **QUICK)
    synthesizer.fit({TABLE: mixed_table[['seen']].astype(str)})
    made = synthesizer.sample(50)[TABLE]['seen'].dropna()
    assert pd.to_datetime(made, format='ISO8601').notna().all()


@pytest.mark.filterwarnings('ignore:Parsing dates')
def test_metadata_detected_from_the_table_is_used_without_its_ranges(mixed_table):
    metadata = Metadata.detect_from_dataframes({TABLE: mixed_table.drop(columns='zoned')})
    metadata._reset_updated_flag()
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=50.0, **QUICK)
    synthesizer.fit({TABLE: mixed_table.drop(columns='zoned')})
    rows = synthesizer.sample(100)[TABLE]
    assert list(rows) == list(mixed_table.columns.drop('zoned'))
    assert set(rows['title'].dropna()) == {'Dr', 'Ms', 'Mr'}
    assert not synthesizer.get_privacy_report().fits[0].public_columns
    assert 'range_min' not in str(synthesizer.get_metadata().to_dict())


def test_personal_data_in_numeric_columns_and_categories_that_are_numbers():
    columns = {
        'ssn': {'sdtype': 'ssn', 'pii': True},
        'phone': {'sdtype': 'phone_number', 'pii': True},
        'code': {'sdtype': 'categorical', 'range_values': [10, 20, 30]},
        'town': {'sdtype': 'city', 'pii': False},
    }
    table = pd.DataFrame(
        {
            'ssn': np.arange(150),
            'phone': np.arange(150.0),
            'code': [10, 20, 30.0] * 50,
            'town': ['Oslo', 'Rome', None] * 50,
        }
    )
    synthesizer = SlicedDPSynthesizer(
        make_metadata(columns), epsilon=10.0, public_domain=True, **QUICK
    )
    synthesizer.fit({TABLE: table})
    rows = synthesizer.sample(50)[TABLE]
    assert rows['ssn'].str.fullmatch(r'\d{3}-\d{2}-\d{4}').all()
    assert set(rows['code'].dropna()) <= {10, 20, 30}
    assert set(rows['town'].dropna()) <= {'Oslo', 'Rome'}
