import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from sdv.data_processing.errors import NotFittedError
from tables import MIXED_COLUMNS, make_metadata, make_mixed_table

from sdv_slicedp import frames, schema
from sdv_slicedp.encoding import SchemaProcessor
from sdv_slicedp.validation import named_by_text

GENERATED = ['key', 'account', 'email', 'note']


def make_processor(columns=None, **options):
    metadata = make_metadata(columns or MIXED_COLUMNS, primary_key='key' if not columns else None)
    return SchemaProcessor(metadata._convert_to_single_table(), **options)


def fitted_processor(table, public_domain=True, **options):
    processor = make_processor(**options)
    domains = schema.column_domains(MIXED_COLUMNS, public_domain, {'key'})
    processor.fit_domains(domains, frames.families(table))
    return processor


def test_processed_space_has_the_modelled_columns_as_floats_and_plain_values():
    table = make_mixed_table()
    processed = fitted_processor(table, public_domain=False).transform(table)
    assert list(processed.columns) == [n for n in table.columns if n not in GENERATED]
    assert isinstance(processed.index, pd.RangeIndex)
    for name in processed:
        sdtype = MIXED_COLUMNS[name]['sdtype']
        expected = np.float64 if sdtype in ('numerical', 'datetime') else object
        assert processed[name].dtype == expected
        assert processed[name].isna().tolist() == table[name].isna().tolist()
    assert processed['ratio'].dropna().isin(np.arange(11) / 10).all()


def test_rows_come_back_as_they_were():
    table = make_mixed_table()
    processor = fitted_processor(table)
    rows = processor.reverse_transform(processor.transform(table))
    assert list(rows.columns) == list(table.columns)
    for name in set(table) - set(GENERATED):
        assert rows[name].isna().tolist() == table[name].isna().tolist(), name
        known = table[name].notna()
        assert rows[name][known].tolist() == table[name][known].tolist(), name
        same = rows[name].dtype == table[name].dtype
        assert same or (name, str(rows[name].dtype)) in {('floor', 'int64'), ('grade', 'object')}


def test_values_outside_the_domain_come_back_inside():
    table = make_mixed_table(3)
    processor = fitted_processor(table)
    processed = processor.transform(table)
    processed['age'] = [-5.0, 40.4, 1e30]
    processed['income'] = [12.346, 9000.5, 9000.51]
    processed['born'] = [-1e19, 0.0, 1e19]
    rows = processor.reverse_transform(processed)
    assert rows['age'].tolist() == [0, 40, 120]
    assert rows['income'].tolist() == [12.35, 9000.5, 9000.5]
    assert rows['born'].tolist() == ['01/01/1950', '01/01/1970', '31/12/2010']


def test_ranges_and_rounding_are_only_enforced_if_asked():
    table = make_mixed_table(2)
    processor = fitted_processor(table, enforce_rounding=False, enforce_min_max_values=False)
    processed = processor.transform(table)
    processed['income'] = [12.345, 12000.0]
    assert processor.reverse_transform(processed)['income'].tolist() == [12.345, 12000.0]


def test_one_declared_bound_is_kept_to():
    columns = {'x': {'sdtype': 'numerical', 'range_min': 0}}
    processor = make_processor(columns)
    (domain,) = schema.column_domains({'x': {'sdtype': 'numerical', 'decimal_places': 0}}, True)
    released = type(domain)('x', 'numerical', -7, 7, (1, 1), has_missing=False)
    processor.fit_domains([released], {'x': np.dtype(float)})
    rows = processor.reverse_transform(pd.DataFrame({'x': [-7.0, 3.0, 9.0]}))
    assert rows['x'].tolist() == [0, 3, 7]


def state(processor):
    """All state, with arrays and random generators by value."""
    return pickle.dumps(processor)


@pytest.mark.parametrize('public_domain', [True, False])
def test_the_processor_holds_nothing_of_the_rows(public_domain):
    states = []
    for seed, n_rows in [(1, 200), (2, 351)]:
        table = make_mixed_table(n_rows, seed)
        table['age'] += seed
        table['city'] = table['city'].fillna(f'zqxjv{seed}')
        processor = fitted_processor(table, public_domain)
        processor.transform(table)
        processor.reset_sampling()
        states.append(state(processor))
    assert states[0] == states[1]
    assert b'zqxjv' not in states[0] and b'private note' not in states[0]


@examples(30)
@given(
    rows=st.lists(st.sampled_from([1, 2.5, 'x', None, np.inf, True, '2020-01-01']), min_size=2),
    cut=st.integers(0, 50),
)
def test_transform_is_row_by_row_and_silent(rows, cut):
    columns = {
        'n': {'sdtype': 'numerical'},
        'c': {'sdtype': 'categorical'},
        'd': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'},
        'b': {'sdtype': 'boolean'},
    }
    table = pd.DataFrame({name: pd.Series(rows, dtype=object) for name in columns})
    processor = make_processor(columns)
    processor.fit_domains(schema.column_domains(columns, False), frames.families(table))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        whole = processor.transform(table)
        parts = [processor.transform(part) for part in (table[:cut], table[cut:])]
    pd.testing.assert_frame_equal(
        whole, pd.concat(parts, ignore_index=True), check_dtype=bool(0 < cut < len(rows))
    )


def test_generated_columns_are_never_read():
    table = make_mixed_table(5)

    class Unreadable(pd.DataFrame):
        def __getitem__(self, key):
            if key in GENERATED or (isinstance(key, list) and set(key) & set(GENERATED)):
                raise RuntimeError('read')
            return super().__getitem__(key)

    fitted_processor(table).transform(Unreadable(table))


@pytest.mark.parametrize(
    'dtype, digits',
    [
        (np.dtype(np.int64), 8),
        (np.dtype(np.float64), 8),
        (pd.Int8Dtype(), 3),
        (pd.Float32Dtype(), 8),
        (np.dtype(object), 0),
        (pd.StringDtype(), 0),
    ],
)
@pytest.mark.parametrize('sdtype', ['id', 'unknown'])
def test_identifiers_are_made_up_for_every_dtype(dtype, digits, sdtype):
    columns = {'x': {'sdtype': sdtype}}
    table = pd.DataFrame({'x': pd.Series([1, 2]).astype(dtype)})
    processor = make_processor(columns)
    processor.fit_domains((), frames.families(table))
    made = processor.reverse_transform(pd.DataFrame(index=range(20)))['x']
    assert made.nunique() > 5
    assert made.dtype == (np.int64 if dtype == np.float64 else dtype)
    if digits:
        assert made.between(0, 10**digits - 1).all()
    else:
        assert made.str.fullmatch(r'sdv-\w+-\w+').all()


def test_sampling_can_be_reset():
    processor = fitted_processor(make_mixed_table(5))
    empty = pd.DataFrame(index=range(5))
    first, second = processor.reverse_transform(empty), processor.reverse_transform(empty)
    processor.reset_sampling()
    pd.testing.assert_frame_equal(processor.reverse_transform(empty), first)
    assert not (first['email'] == second['email']).any()


def test_nothing_works_before_it_is_fitted():
    processor = make_processor()
    with pytest.raises(NotFittedError):
        processor.transform(make_mixed_table(2))
    with pytest.raises(NotFittedError):
        processor.reverse_transform(pd.DataFrame())


@pytest.mark.parametrize('public_domain', [True, False])
def test_example_frames_are_two_rows_of_public_values(public_domain):
    families = frames.families(make_mixed_table(2))
    domains = {d.name: d for d in schema.column_domains(MIXED_COLUMNS, public_domain, {'key'})}
    examples = frames.example_frame(MIXED_COLUMNS, domains, families)
    assert list(examples.columns) == list(MIXED_COLUMNS) and len(examples) == 2
    assert examples['key'].tolist() == ['example-0', 'example-1']
    if public_domain:
        assert examples['age'].tolist() == [0, 120]
        assert examples['city'].tolist() == ['Oslo', 'Bonn']
        assert examples['born'].tolist() == ['01/01/1950', '31/12/2010']


def test_default_families_follow_the_domains():
    domains = schema.column_domains({**MIXED_COLUMNS, 'at': {'sdtype': 'datetime'}}, True, {'key'})
    columns = {**MIXED_COLUMNS, 'at': {'sdtype': 'datetime'}}
    families = frames.default_families(columns, domains)
    numbers = {name for name, family in families.items() if family == np.float64}
    assert numbers == {'age', 'income', 'points', 'ratio', 'floor', 'size'}
    assert families['at'] == 'datetime64[ns]'
    assert families['seen'] == families['key'] == np.dtype(object)


def test_original_names_are_kept_in_the_order_of_the_metadata():
    assert frames.original_columns(pd.Index(['b', 'a']), ['a', 'b']).empty
    assert frames.original_columns(pd.Index([1, 'a', 0]), ['0', '1', 'a']).tolist() == [0, 1, 'a']


def test_plain_rows_bring_a_user_s_rows_into_the_processed_space():
    domains = schema.column_domains(MIXED_COLUMNS, True, {'key'})
    processed = fitted_processor(make_mixed_table()).transform(make_mixed_table())
    pd.testing.assert_frame_equal(frames.plain_rows(processed, domains), processed)
    processed['age'] = processed['age'].astype(object)
    processed.loc[0, 'age'], processed.loc[1, 'income'] = 'x', np.inf
    processed.loc[2, 'city'] = pd.NA
    plain = frames.plain_rows(named_by_text(processed[3:0:-1]), domains)
    assert plain['age'].dtype == np.float64 and len(plain) == 3
    assert plain['income'].isna()[2] and plain['city'][1] is None
