"""Saving, loading, information, metadata and transformers, as SDV users know them."""

import json
import warnings

import pandas as pd
import pytest
from rdt.transformers import (
    AnonymizedFaker,
    FloatFormatter,
    RegexGenerator,
    UniformEncoder,
    UnixTimestampEncoder,
)
from sdv.errors import (
    InvalidDataError,
    InvalidDataTypeError,
    SDVVersionWarning,
    SynthesizerInputError,
    VersionError,
)
from sdv.metadata.errors import InvalidMetadataError
from sdv.utils import load_synthesizer
from tables import MIXED_COLUMNS, TABLE, make_metadata

from sdv_slicedp.synthesizer import SlicedDPSynthesizer


def sample(synthesizer, num_rows=20):
    return synthesizer.sample(num_rows)[TABLE]


@pytest.fixture
def saved(fitted, tmp_path):
    path = tmp_path / 'synthesizer.pkl'
    fitted.save(path)
    return path


def test_a_loaded_synthesizer_is_the_same(fitted, saved):
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        loaded = load_synthesizer(saved)
    assert type(loaded) is SlicedDPSynthesizer
    assert loaded.get_info() == fitted.get_info()
    assert loaded.get_parameters() == fitted.get_parameters()
    assert loaded.get_metadata().to_dict() == fitted.get_metadata().to_dict()
    assert loaded.get_release() == fitted.get_release()
    assert loaded.get_privacy_report() == fitted.get_privacy_report()
    pd.testing.assert_frame_equal(loaded.get_loss_values(), fitted.get_loss_values())
    pd.testing.assert_frame_equal(sample(loaded), sample(fitted))
    loaded.refit(epochs=2)
    assert len(sample(loaded)) == 20


def test_saving_goes_on_where_sampling_stopped(fitted, tmp_path):
    first = sample(fitted)
    fitted.save(tmp_path / 'later.pkl')
    second = sample(load_synthesizer(tmp_path / 'later.pkl'))
    assert not set(first['key']) & set(second['key'])


def test_an_unfitted_synthesizer_is_saved_with_a_warning(small_metadata, tmp_path):
    synthesizer = SlicedDPSynthesizer(small_metadata)
    with pytest.warns(UserWarning, match='not yet been fitted'):
        synthesizer.save(tmp_path / 'unfitted.pkl')
    assert load_synthesizer(tmp_path / 'unfitted.pkl').get_info()['is_fit'] is False


@pytest.mark.filterwarnings('ignore:This synthesizer is already')
def test_versions_of_sdv_are_checked(fitted, tmp_path, mixed_table):
    fitted._fitted_sdv_version = '1.0.0'
    fitted.save(tmp_path / 'old.pkl')
    with pytest.warns(SDVVersionWarning):
        load_synthesizer(tmp_path / 'old.pkl')
    with pytest.raises(VersionError, match='Fitting this synthesizer again'):
        fitted.fit({TABLE: mixed_table})
    with pytest.raises(VersionError, match='Fitting this synthesizer again'):
        fitted.fit_processed_data(fitted.preprocess({TABLE: mixed_table}))
    fitted._fitted_sdv_version = '999.0.0'
    fitted.save(tmp_path / 'new.pkl')
    with pytest.raises(VersionError):
        load_synthesizer(tmp_path / 'new.pkl')


def test_info_before_and_after_a_fit(small_metadata, small_table, make_synthesizer):
    synthesizer = make_synthesizer(small_metadata)
    before = synthesizer.get_info()
    assert before['class_name'] == 'SlicedDPSynthesizer' and not before['is_fit']
    assert before['last_fit_date'] is before['fitted_sdv_version'] is None
    synthesizer.fit({TABLE: small_table})
    after = synthesizer.get_info()
    assert after['is_fit'] and after['fitted_sdv_version']
    assert after['last_fit_date'] >= after['creation_date'] == before['creation_date']
    assert set(after) == set(before)


def test_parameters_rebuild_the_synthesizer(fitted, mixed_metadata):
    parameters = fitted.get_parameters()
    assert SlicedDPSynthesizer(mixed_metadata, **parameters).get_parameters() == parameters


def test_there_are_no_constraints_to_save_and_none_to_violate(fitted, tmp_path):
    assert fitted.get_constraints() == []
    fitted.get_constraints(tmp_path / 'constraints.json')
    assert json.loads((tmp_path / 'constraints.json').read_text()) == []
    fitted.validate_constraints(sample(fitted))


def test_transformers_are_shown_in_the_order_of_the_metadata(mixed_metadata, mixed_table):
    synthesizer = SlicedDPSynthesizer(mixed_metadata)
    with pytest.raises(ValueError, match='auto_assign_transformers'):
        synthesizer.get_transformers()
    synthesizer.auto_assign_transformers({TABLE: mixed_table})
    shown = synthesizer.get_transformers(TABLE)
    assert list(shown) == list(MIXED_COLUMNS)
    assert isinstance(shown['key'], RegexGenerator) and isinstance(shown['email'], AnonymizedFaker)
    assert isinstance(shown['age'], FloatFormatter)
    assert isinstance(shown['born'], UnixTimestampEncoder)
    assert shown['city'] is shown['grade'] is shown['member'] is None
    with pytest.raises(ValueError, match='other'):
        synthesizer.get_transformers('other')


def test_transformers_are_assigned_and_then_used(mixed_metadata, mixed_table, make_synthesizer):
    synthesizer = make_synthesizer(mixed_metadata)
    synthesizer.auto_assign_transformers({TABLE: mixed_table})
    generator = AnonymizedFaker(
        provider_name='person', function_name='first_name', cardinality_rule='unique'
    )
    synthesizer.update_transformers({'email': generator}, table_name=TABLE)
    synthesizer.fit({TABLE: mixed_table})
    assert synthesizer.get_transformers()['email'] is generator
    made = sample(synthesizer)['email']
    assert made.is_unique and made.str.isalpha().all()


def test_transformers_that_do_not_fit_are_refused(mixed_metadata, mixed_table):
    synthesizer = SlicedDPSynthesizer(mixed_metadata)
    synthesizer.auto_assign_transformers({TABLE: mixed_table})
    with pytest.raises(SynthesizerInputError, match='is a key'):
        synthesizer.update_transformers({'key': FloatFormatter()})
    with pytest.raises(SynthesizerInputError, match="Column 'city'"):
        synthesizer.update_transformers({'city': UniformEncoder()})
    used = synthesizer.get_transformers()['email']
    synthesizer.preprocess({TABLE: mixed_table})
    with pytest.raises(SynthesizerInputError, match='already been fit'):
        synthesizer.update_transformers({'email': used})
    with pytest.warns(UserWarning, match='quality'):
        synthesizer.update_transformers({'city': None})


def test_locales_are_used():
    metadata = make_metadata({'town': {'sdtype': 'city', 'pii': True}})
    towns = []
    for locales in (['en_US'], ['ja_JP']):
        synthesizer = SlicedDPSynthesizer(metadata, locales=locales)
        synthesizer.fit({TABLE: pd.DataFrame({'town': ['Oslo', 'Rome']})})
        towns.append(sample(synthesizer)['town'])
    assert all(map(str.isascii, towns[0])) and not any(map(str.isascii, towns[1]))


def test_verbose_shows_one_progress_bar(small_metadata, small_table, make_synthesizer, capfd):
    synthesizer = make_synthesizer(small_metadata, verbose=True)
    synthesizer.fit({TABLE: small_table})
    captured = capfd.readouterr()
    assert captured.out == ''
    assert captured.err.strip().count('\n') == 0 and f'{synthesizer.epochs}/' in captured.err


@pytest.mark.parametrize('method', ['fit', 'preprocess', 'validate', 'auto_assign_transformers'])
def test_structure_is_checked_by_every_method_that_takes_a_table(
    small_metadata, small_table, method
):
    call = getattr(SlicedDPSynthesizer(small_metadata), method)
    with pytest.raises(InvalidDataTypeError, match='exactly one'):
        call({TABLE: small_table, 'other': small_table})
    with pytest.raises(InvalidDataTypeError, match='dictionary'):
        call(small_table)
    with pytest.raises(InvalidDataError, match="table 'other'"):
        call({'other': small_table})
    with pytest.raises(InvalidDataError, match=r"\['city'\] are not present in the data"):
        call({TABLE: small_table.drop(columns='city')})
    with pytest.raises(InvalidDataError, match=r"\['more'\] are not present in the metadata"):
        call({TABLE: small_table.assign(more=1)})
    with pytest.raises(InvalidDataError, match='empty'):
        call({TABLE: small_table.head(0)})
    with pytest.raises(InvalidDataError, match="'age' is declared numerical"):
        call({TABLE: small_table.assign(age=pd.Timestamp('2020-01-01'))})


def test_errors_quote_no_cells(small_metadata, small_table):
    table = small_table.assign(age='zqxjv', city=pd.Timestamp('1987-06-05'))
    with pytest.raises(InvalidDataError) as caught:
        SlicedDPSynthesizer(small_metadata).fit({TABLE: table})
    assert 'zqxjv' not in str(caught.value) and '1987' not in str(caught.value)


def test_metadata_that_sdv_refuses_is_refused():
    with pytest.raises(SynthesizerInputError, match='complex regex'):
        SlicedDPSynthesizer(make_metadata({'x': {'sdtype': 'id', 'regex_format': '(?<!a)[0-9]+'}}))
    with pytest.raises(InvalidMetadataError, match='range_max'):
        SlicedDPSynthesizer(
            make_metadata({'x': {'sdtype': 'numerical', 'range_min': 2, 'range_max': 1}})
        )
    columns = {'a': {'sdtype': 'id'}, 'b': {'sdtype': 'id'}}
    with pytest.raises(SynthesizerInputError, match='composite'):
        SlicedDPSynthesizer(make_metadata(columns, primary_key=['a', 'b']))
    metadata = make_metadata({'a': {'sdtype': 'numerical'}})
    metadata.add_table('other')
    metadata.add_column('a', 'other', sdtype='numerical')
    with pytest.raises(InvalidMetadataError, match='Take one table'):
        SlicedDPSynthesizer(metadata)


def test_alternate_keys_are_generated(mixed_table):
    columns = {name: MIXED_COLUMNS[name] for name in ('account', 'email', 'age')}
    metadata = make_metadata(columns, alternate_keys=['account', 'email'])
    synthesizer = SlicedDPSynthesizer(metadata, epochs=2, n_components=3)
    synthesizer.fit({TABLE: mixed_table[list(columns)]})
    rows = sample(synthesizer, 100)
    assert rows['account'].is_unique and rows['email'].is_unique
    assert rows['account'].dtype == 'int64'
