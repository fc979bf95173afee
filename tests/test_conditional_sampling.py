"""Conditions through the synthesizer: any of them, exactly as many rows, in one pass."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from sdv.errors import SamplingError
from sdv.sampling import Condition, DataFrameCondition
from tables import MIXED_COLUMNS, QUICK, TABLE, make_metadata, make_mixed_table

from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.release import Release
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

PLAIN = ['age', 'income', 'city', 'size', 'member', 'flag', 'born', 'seen']


@pytest.fixture(scope='module')
def trained():
    """Synthesizers of both mechanisms and kinds of generators, by name."""
    made = {}
    for mechanism in ('histogram', 'projection'):
        metadata = make_metadata({name: MIXED_COLUMNS[name] for name in PLAIN})
        synthesizer = SlicedDPSynthesizer(
            metadata, epsilon=50.0, public_domain=True, mechanism=mechanism, **QUICK
        )
        synthesizer.fit({TABLE: make_mixed_table()[PLAIN]})
        made[mechanism, 'mixture'] = synthesizer
        network = copy.deepcopy(synthesizer)
        network.refit(generator='mlp', epochs=2)
        made[mechanism, 'mlp'] = network
    return made


def remaining(synthesizer, known, **options):
    return synthesizer.sample_remaining_columns(known, **options)[TABLE]


def choices(name):
    """Strategy of the values of a column of the mixed table."""
    column = MIXED_COLUMNS[name]
    sdtype = column['sdtype']
    if sdtype == 'numerical':
        values = st.integers(column['range_min'], int(column['range_max']))
        if column['decimal_places']:
            values |= st.floats(column['range_min'], column['range_max'])
    elif sdtype == 'datetime':
        ends = [pd.to_datetime(column[k], format=column['datetime_format']).to_pydatetime()
                for k in ('range_min', 'range_max')]  # fmt: skip
        values = st.datetimes(*ends).map(lambda d: d.strftime(column['datetime_format']))
    else:
        values = st.sampled_from(column.get('range_values', [False, True]))
    return values if column.get('range_is_nullable') is False else values | st.none()


def same(found: pd.Series, wanted: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(found.dtype):
        wanted = pd.to_datetime(wanted)
    return bool(((found == wanted) | (found.isna() & wanted.isna())).all())


@pytest.mark.parametrize('mechanism', ['histogram', 'projection'])
@examples(12)
@given(data=st.data())
def test_all_rows_meet_any_conditions_of_the_domain(trained, mechanism, data):
    assert_conditions_hold(trained[mechanism, 'mixture'], data)


@pytest.mark.parametrize('mechanism', ['histogram', 'projection'])
@examples(4)
@given(data=st.data())
def test_rows_of_networks_meet_them_too(trained, mechanism, data):
    assert_conditions_hold(trained[mechanism, 'mlp'], data)


def assert_conditions_hold(synthesizer, data):
    names = data.draw(st.lists(st.sampled_from(PLAIN), unique=True, min_size=1))
    count = data.draw(st.integers(1, 6))
    known = pd.DataFrame(
        {
            name: pd.Series(
                data.draw(st.lists(choices(name), min_size=count, max_size=count)), dtype=object
            )
            for name in names
        }
    )

    rows = remaining(synthesizer, known)

    assert list(rows) == PLAIN and len(rows) == count
    for name in names:
        assert same(rows[name], known[name]), name
    # What is not given is of the domain, too: it can be given in turn.
    assert same(remaining(synthesizer, rows)['income'], rows['income'])


@pytest.mark.parametrize('mechanism', ['histogram', 'projection'])
@pytest.mark.parametrize('generator', ['mixture', 'mlp'])
def test_every_sdtype_by_a_condition(trained, mechanism, generator):
    values = {
        'age': 119,
        'income': 12.3456,
        'city': None,
        'size': 3,
        'member': True,
        'flag': np.nan,
        'born': '29/02/2000',
        'seen': pd.Timestamp('2020-02-03 04:05:06'),
    }
    for conditions in (values, *({name: value} for name, value in values.items())):
        asked = [Condition(conditions, num_rows=3)]
        rows = trained[mechanism, generator].sample_from_conditions(asked)[TABLE]
        for name, value in conditions.items():
            assert same(rows[name], pd.Series([value] * 3, dtype=object)), name


def test_other_columns_follow_the_conditions(trained):
    """Income is 60 times the age and up to 1,000 more: means of 500 rows are told apart."""
    synthesizer = copy.deepcopy(trained['histogram', 'mixture'])
    synthesizer.refit(epochs=200, n_components=200)
    assert synthesizer._model.coupling is not None
    asked = [Condition({'age': age}, num_rows=500) for age in (25, 65)]
    rows = synthesizer.sample_from_conditions(asked)[TABLE]
    young, old = rows['income'][:500].mean(), rows['income'][500:].mean()
    assert young + 1000 < old


def test_rows_are_sorted_by_the_index_as_sdv_does(fitted):
    known = pd.DataFrame({'size': [3, 1, 2]}, index=pd.Index([30, 10, 20], name='mine'))
    rows = remaining(fitted, known)
    assert rows.index.tolist() == [10, 20, 30] and rows.index.name is None
    assert rows['size'].tolist() == [1, 2, 3]
    repeated = remaining(fitted, pd.DataFrame({'size': [3, 1, 2]}, index=[5, 5, 0]))
    assert repeated['size'].tolist() == [2, 3, 1]


def test_batches_are_shown_and_written(fitted, tmp_path, capfd):
    known = pd.DataFrame({'size': [1, 2, 3] * 7})
    rows = remaining(fitted, known, batch_size=5, output_folder_path=str(tmp_path / 'out'))
    assert rows['size'].tolist() == known['size'].tolist() and rows['key'].is_unique
    assert '21/21' in capfd.readouterr().err
    written = pd.read_csv(tmp_path / 'out' / f'{TABLE}.csv')
    assert written['size'].tolist() == known['size'].tolist()
    assert written['key'].tolist() == rows['key'].tolist()


def test_no_rows(fitted):
    rows = remaining(fitted, pd.DataFrame({'size': []}))
    assert rows.empty and 'size' in rows


def test_all_columns_at_once(fitted, mixed_table):
    names = [name for name in MIXED_COLUMNS if name not in ('key', 'account', 'email', 'note')]
    known = fitted.sample(30)[TABLE][names]
    pd.testing.assert_frame_equal(remaining(fitted, known)[names], known)


def test_reset_sampling_reproduces_conditional_rows(fitted):
    asked = [Condition({'city': 'Rome'}, num_rows=20)]
    fitted.reset_sampling()
    first = fitted.sample_from_conditions(asked)[TABLE]
    second = fitted.sample_from_conditions(asked)[TABLE]
    fitted.reset_sampling()
    pd.testing.assert_frame_equal(fitted.sample_from_conditions(asked)[TABLE], first)
    assert not first.equals(second)
    twin = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(
        twin.sample_from_conditions(asked)[TABLE], fitted.sample_from_conditions(asked)[TABLE]
    )


def test_nothing_is_sampled_or_written_for_a_wrong_condition(fitted, tmp_path, monkeypatch):
    monkeypatch.setattr(fitted, '_sample', None)
    known = pd.DataFrame({'size': [1, 2], 'age': [30, 130]})
    with pytest.raises(ValueError, match=r"'age' cannot be 130\. It holds numbers from 0 to 120"):
        remaining(fitted, known, output_folder_path=str(tmp_path / 'out'))
    assert not list(tmp_path.rglob('*.csv'))


def test_sampling_needs_a_fit(small_metadata):
    with pytest.raises(SamplingError, match='not been fitted'):
        remaining(SlicedDPSynthesizer(small_metadata), pd.DataFrame({'age': [1]}))


def test_rows_that_are_refused_are_drawn_again(trained, monkeypatch):
    """As constraints do it: about every second row is left over at each try."""
    fitted = trained['histogram', 'mixture']

    def refusing(rows):
        return rows[rows['age'] % 2 == 0]

    monkeypatch.setattr(fitted, 'reverse_transform_constraints', refusing)
    known = pd.DataFrame({'size': [1, 2, 3] * 20})
    rows = remaining(fitted, known)
    assert rows['size'].tolist() == known['size'].tolist()
    assert (rows['age'] % 2 == 0).all()
    with pytest.warns(UserWarning, match='Only able to sample'):
        assert 0 < len(remaining(fitted, known, max_tries_per_batch=1)) < 60


def test_categories_that_were_discovered(mixed_table, make_synthesizer):
    """The remainder has no value to show; the error lists those that there are."""
    table = mixed_table[['city', 'age']].copy()
    table.loc[:3, 'city'] = 'Nowhere'
    metadata = make_metadata({'city': {'sdtype': 'categorical'}, 'age': MIXED_COLUMNS['age']})
    synthesizer = make_synthesizer(metadata, public_domain=['age'])
    synthesizer.fit({TABLE: table})
    domain = synthesizer.get_release().columns[0].domain
    assert isinstance(domain, CategoricalDomain) and domain.has_other
    assert 'Nowhere' not in domain.categories
    known = pd.DataFrame({'city': list(domain.categories)})
    assert remaining(synthesizer, known)['city'].tolist() == list(domain.categories)
    with pytest.raises(ValueError, match=r"'Nowhere'\. It holds .*that were discovered"):
        remaining(synthesizer, pd.DataFrame({'city': ['Nowhere']}))


def test_a_table_without_modelled_columns_has_no_conditions(make_synthesizer):
    metadata = make_metadata({'email': {'sdtype': 'email', 'pii': True}})
    synthesizer = make_synthesizer(metadata)
    synthesizer.fit({TABLE: pd.DataFrame({'email': ['a@b.example'] * 5})})
    assert isinstance(synthesizer.get_release(), Release)
    with pytest.raises(ValueError, match="'email' cannot be a condition"):
        synthesizer.sample_from_conditions(
            [DataFrameCondition(pd.DataFrame({'email': ['x@y.example']}))]
        )
