"""What an SDV user expects of ``sample``, ``reset_sampling`` and conditional sampling."""

import numpy as np
import pandas as pd
import pytest
from sdv.errors import SamplingError
from sdv.metadata import Metadata
from sdv.sampling import Condition, DataFrameCondition
from tables import MIXED_COLUMNS, TABLE

from sdv_slicedp.conditions import asked
from sdv_slicedp.synthesizer import SlicedDPSynthesizer


def sample(synthesizer, num_rows=60):
    return synthesizer.sample(num_rows)[TABLE]


def test_a_dictionary_of_one_frame_with_the_columns_of_the_metadata(fitted):
    synthetic = fitted.sample(num_rows=7)
    assert list(synthetic) == [TABLE]
    assert list(synthetic[TABLE]) == list(MIXED_COLUMNS)
    assert synthetic[TABLE].index.tolist() == list(range(7))


def test_two_samples_differ(fitted):
    first, second = sample(fitted), sample(fitted)
    for name in ('age', 'income', 'born', 'email', 'key', 'account', 'note'):
        assert first[name].tolist() != second[name].tolist()


def test_reset_sampling_reproduces_everything(fitted):
    first = sample(fitted)
    sample(fitted, 5)
    fitted.reset_sampling()
    pd.testing.assert_frame_equal(sample(fitted), first)


def test_keys_are_unique_over_several_samples(fitted):
    keys = pd.concat([sample(fitted)['key'] for _ in range(3)])
    assert keys.is_unique and keys.str.fullmatch('K[A-Z]{4}').all()


def test_personal_data_is_made_up(fitted, mixed_table):
    rows = sample(fitted, 200)
    for name in ('email', 'note', 'account'):
        assert not set(rows[name]) & set(mixed_table[name].dropna()), name
    assert rows['email'].str.contains('@').all()
    assert rows['note'].str.startswith('sdv-pii-').all()


def test_batches_are_shown_and_written(fitted, tmp_path, capfd):
    folder = tmp_path / 'out'
    rows = fitted.sample(20, batch_size=6, output_folder_path=str(folder))[TABLE]
    assert len(rows) == 20
    assert 'Sampling rows' in capfd.readouterr().err
    written = pd.read_csv(folder / f'{TABLE}.csv')
    assert written['key'].tolist()[:20] == rows['key'].tolist()
    with pytest.raises(AssertionError, match='already exist'):
        fitted.sample(2, output_folder_path=str(folder))


def test_one_batch_is_silent(fitted, capfd):
    sample(fitted)
    assert capfd.readouterr() == ('', '')


def test_odd_numbers_of_rows(fitted):
    with pytest.raises(ValueError, match='number of rows'):
        fitted.sample(None)
    with pytest.raises(TypeError):
        fitted.sample(2.5)
    assert fitted.sample(0)[TABLE].empty


def test_another_table_name_is_refused(fitted):
    assert len(fitted.sample(2, main_table_name=TABLE)[TABLE]) == 2
    with pytest.raises(ValueError, match='other'):
        fitted.sample(2, main_table_name='other')


def test_sampling_needs_a_fit_even_with_empty_metadata(small_metadata):
    with pytest.raises(SamplingError, match='not been fitted'):
        SlicedDPSynthesizer(small_metadata).sample(1)
    with pytest.warns(UserWarning):
        synthesizer = SlicedDPSynthesizer(Metadata())
    with pytest.raises(SamplingError, match='not been fitted'):
        synthesizer.sample(1)


def test_conditions_hold_in_exactly_as_many_rows_as_asked(fitted):
    conditions = [
        Condition(num_rows=15, column_values={'city': 'Rome', 'member': True}),
        Condition(num_rows=9, column_values={'size': 2}),
        DataFrameCondition(pd.DataFrame({'grade': ['low', 'high', 'high']})),
    ]
    rows = fitted.sample_from_conditions(conditions, batch_size=10)[TABLE]
    assert len(rows) == 27
    assert (rows['city'][:15] == 'Rome').all() and rows['member'][:15].all()
    assert (rows['size'][15:24] == 2).all()
    assert rows['grade'][24:].tolist() == ['low', 'high', 'high']
    assert list(rows) == list(MIXED_COLUMNS)


def test_negative_and_fractional_numbers_are_conditions(fitted):
    rows = fitted.sample_from_conditions(
        [
            Condition(num_rows=3, column_values={'floor': -1}),
            Condition(num_rows=3, column_values={'income': 3000.5}),
        ]
    )[TABLE]
    assert rows['floor'][:3].tolist() == [-1, -1, -1]
    assert rows['income'][3:].tolist() == [3000.5] * 3


def test_missing_values_are_conditions(fitted):
    conditions = [Condition(num_rows=4, column_values={'city': None, 'income': np.nan})]
    rows = fitted.sample_from_conditions(conditions)[TABLE]
    assert rows['city'].isna().all() and rows['income'].isna().all() and len(rows) == 4


def test_the_remaining_columns_of_known_rows(fitted):
    known = pd.DataFrame({'city': ['Oslo', None, 'Rome'], 'member': [True, False, False]})
    before = known.copy()
    rows = fitted.sample_remaining_columns(known, max_tries_per_batch=1000)[TABLE]
    assert rows['city'].fillna('none').tolist() == ['Oslo', 'none', 'Rome']
    assert rows['member'].tolist() == [True, False, False]
    pd.testing.assert_frame_equal(known, before)


def test_no_known_rows_have_no_remaining_columns(fitted):
    rows = fitted.sample_remaining_columns(pd.DataFrame({'city': []}))[TABLE]
    assert rows.empty and list(rows) == list(MIXED_COLUMNS)
    with pytest.raises(ValueError, match='nowhere'):
        fitted.sample_remaining_columns(pd.DataFrame({'nowhere': []}))


def test_conditions_are_read_once(fitted, monkeypatch):
    frames = []

    def read(frame, *others):
        frames.append(frame)
        return asked(frame, *others)

    monkeypatch.setattr('sdv_slicedp.conditional_sampling.asked', read)
    fitted.sample_remaining_columns(pd.DataFrame({'city': ['Oslo', 'Rome']}))
    fitted.sample_from_conditions([Condition(num_rows=2, column_values={'city': 'Oslo'})])
    assert len(frames) == 2


@pytest.mark.parametrize(
    'condition',
    [
        Condition(num_rows=2, column_values={'city': 'Atlantis'}),
        DataFrameCondition(pd.DataFrame({'age': [999]})),
    ],
)
def test_impossible_conditions_are_an_error(fitted, condition):
    with pytest.raises(ValueError, match='Unable to sample any rows'):
        fitted.sample_from_conditions([condition], max_tries_per_batch=3)


@pytest.mark.parametrize('column', ['key', 'nowhere', 'account', 'email', 'note'])
def test_generated_and_unknown_columns_are_no_conditions(fitted, column):
    with pytest.raises(ValueError, match=column):
        fitted.sample_from_conditions([Condition(num_rows=1, column_values={column: 'KAAAA'})])
    with pytest.raises(ValueError, match=column):
        fitted.sample_remaining_columns(pd.DataFrame({column: ['KAAAA']}))
