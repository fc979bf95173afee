"""What SDV's own tests ask of a synthesizer: 32 behaviours, on both mechanisms and a control.

docs/compatibility.md lists them by number, with these tests and others. Where we behave otherwise
by design, the test says both.
"""

import copy
import re
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kinds import COLUMNS, KINDS, NAME, OURS, fit, make, metadata_of, people
from rdt.transformers import AnonymizedFaker, FloatFormatter, UniformEncoder
from sdv.cag import FixedCombinations, FixedIncrements, Inequality
from sdv.cag._errors import ConstraintNotMetError
from sdv.errors import (
    InvalidDataError,
    RefitWarning,
    SamplingError,
    SynthesizerInputError,
    VersionError,
)
from sdv.evaluation import (
    evaluate_quality,
    get_column_pair_plot,
    get_column_plot,
    run_diagnostic,
)
from sdv.metadata import Metadata
from sdv.sampling import Condition, DataFrameCondition
from sdv.single_table import CTGANSynthesizer
from sdv.utils import load_constraints, load_synthesizer

PAGE = Path(__file__).parents[2] / 'docs' / 'compatibility.md'
DISCOVERED = {'public_domain': False}
NULLABLE = {'age': 'Int16', 'profit': 'Float32', 'member': 'boolean', 'city': 'string'}
each_of_ours = pytest.mark.parametrize('kind', OURS)


@pytest.fixture(scope='module')
def fitted_kinds():
    return {kind: fit(kind, metadata_of(), people()) for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def fitted(fitted_kinds, kind):
    """A fitted synthesizer of each kind, the test's own copy."""
    return copy.deepcopy(fitted_kinds[kind])


@pytest.fixture
def rows(fitted):
    return fitted.sample(60)[NAME]


def test_01_two_samples_differ(fitted, rows):
    again = fitted.sample(60)[NAME]
    for name in ('key', 'email', 'note', 'age', 'profit', 'born'):
        assert again[name].tolist() != rows[name].tolist(), name


def test_02_reset_sampling_reproduces(fitted, rows):
    fitted.reset_sampling()
    pd.testing.assert_frame_equal(fitted.sample(60)[NAME], rows)


@pytest.mark.parametrize(
    'condition',
    [
        Condition(num_rows=2, column_values={'city': 'Atlantis'}),
        DataFrameCondition(pd.DataFrame({'city': ['Atlantis', 'Atlantis']})),
    ],
)
def test_03_impossible_conditions_are_an_error(fitted, condition):
    with pytest.raises(ValueError, match=r'Unable to sample any rows|Atlantis'):
        fitted.sample_from_conditions([condition], max_tries_per_batch=2)


def test_04_conditions_hold_in_as_many_rows_as_asked(fitted):
    conditions = [
        Condition(num_rows=9, column_values={'city': 'Rome'}),
        Condition(num_rows=4, column_values={'member': True, 'code': 5}),
    ]
    rows = fitted.sample_from_conditions(conditions, batch_size=5)[NAME]
    assert len(rows) == 13 and (rows['city'][:9] == 'Rome').all()
    assert rows['member'][9:].all() and (rows['code'][9:] == 5).all()


def test_05_negative_and_missing_values_are_conditions(fitted, kind):
    negative = Condition(num_rows=3, column_values={'profit': -120.5})
    rows = fitted.sample_from_conditions([negative], max_tries_per_batch=1000)[NAME]
    assert rows['profit'].tolist() == [-120.5] * 3
    known = pd.DataFrame({'city': ['Rome', None, 'Oslo']})
    rows = fitted.sample_remaining_columns(known, max_tries_per_batch=500)[NAME]
    assert rows['city'].fillna('none').tolist() == ['Rome', 'none', 'Oslo']


def test_06_keys_are_new_and_unique_and_match_their_regex(rows):
    keys = rows['key']
    assert keys.is_unique and keys.str.fullmatch('K[A-Z]{4}').all()
    assert not keys.is_monotonic_increasing or keys.tolist() != people()['key'].tolist()


def decimals(values):
    return max(len(f'{value:.6f}'.rstrip('0').split('.')[1]) for value in values.dropna())


def test_07_another_fit_learns_anew_and_here_spends_anew(kind):
    """Decimals that are attested stay; those that are not are discovered again, with budget."""
    metadata = metadata_of(['member'], profit={'sdtype': 'numerical'})
    table = people()[['member', 'profit']]
    synthesizer = fit(kind, metadata, table.round(0), **({} if kind == 'copula' else DISCOVERED))
    assert decimals(synthesizer.sample(30)[NAME]['profit']) == 0
    with pytest.warns(RefitWarning) if kind != 'copula' else warnings.catch_warnings():
        synthesizer.fit({NAME: table})
    assert decimals(synthesizer.sample(30)[NAME]['profit']) == 1
    if kind != 'copula':
        assert len(synthesizer.get_privacy_report().fits) == 2


def test_08_default_transformers_are_shown_and_ours_have_nothing_to_learn(kind):
    synthesizer = make(kind, metadata_of())
    synthesizer.auto_assign_transformers({NAME: people()})
    shown = synthesizer.get_transformers()
    assert list(shown) == list(COLUMNS) and isinstance(shown['age'], FloatFormatter)
    if kind == 'copula':
        assert isinstance(shown['city'], UniformEncoder) and shown['age'].learn_rounding_scheme
    else:
        assert shown['city'] is None and not shown['age'].learn_rounding_scheme


def test_09_datetimes_come_back_in_their_format(rows):
    again = pd.to_datetime(rows['born'], format='%d %b %Y').dt.strftime('%d %b %Y')
    assert again.tolist() == rows['born'].tolist()


def test_10_a_generator_of_personal_data_can_be_chosen_before_the_fit(kind):
    metadata, table = metadata_of(['email', 'age']), people()[['email', 'age']]
    synthesizer = make(kind, metadata)
    synthesizer.auto_assign_transformers({NAME: table})
    chosen = AnonymizedFaker(provider_name='color', function_name='color_name')
    synthesizer.update_transformers({'email': chosen})
    synthesizer.fit({NAME: table})
    assert not synthesizer.sample(20)[NAME]['email'].str.contains('@').any()


def test_11_information_tells_of_the_fit(fitted, kind):
    known, before = fitted.get_info(), make(kind, metadata_of()).get_info()
    assert set(known) == set(before)
    assert known['is_fit'] and known['last_fit_date'] and known['fitted_sdv_version']
    assert not before['is_fit'] and before['last_fit_date'] is None


def test_12_constraints_are_saved_and_loaded(kind, tmp_path):
    synthesizer = make(kind, metadata_of())
    synthesizer.add_constraints([Inequality('profit', 'age'), FixedIncrements('age', 5)])
    synthesizer.get_constraints(tmp_path / 'constraints.json')
    loaded = load_constraints(tmp_path / 'constraints.json')
    assert [type(c) for c in loaded] == [Inequality, FixedIncrements]
    parameters = [c.get_constraint_dict()['parameters'] for c in loaded]
    assert parameters[0]['low_column_name'] == 'profit' and parameters[1]['increment_value'] == 5


def test_13_a_saved_synthesizer_is_loaded_and_samples(fitted, rows, tmp_path):
    fitted.save(tmp_path / 'saved.pkl')
    loaded = load_synthesizer(tmp_path / 'saved.pkl')
    assert type(loaded) is type(fitted) and loaded.get_info() == fitted.get_info()
    assert loaded.get_metadata().to_dict() == fitted.get_metadata().to_dict()
    loaded.reset_sampling()
    pd.testing.assert_frame_equal(loaded.sample(60)[NAME], rows)


def test_14_metadata_that_were_modified_are_warned_of(kind):
    metadata = metadata_of(['age'])
    synthesizer = make(kind, metadata)
    metadata.update_column('age', sdtype='categorical')
    with pytest.warns(UserWarning, match='metadata'):
        synthesizer.fit({NAME: people()[['age']]})


def test_15_a_fit_on_one_of_an_older_version_is_refused(fitted):
    fitted._fitted_sdv_version = '1.0.0'
    with pytest.raises(VersionError):
        fitted.fit({NAME: people()})


def test_16_column_names_can_be_integers(kind):
    metadata = metadata_of([], **{'0': COLUMNS['age'], '1': COLUMNS['city']})
    table = people()[['age', 'city']].set_axis([0, 1], axis=1)
    synthesizer = fit(kind, metadata, table)
    assert list(synthesizer.sample(5)[NAME]) == [0, 1] and list(table) == [0, 1]


def test_17_sampling_needs_a_fit_even_with_empty_metadata(kind):
    with pytest.warns(UserWarning):
        synthesizer = make(kind, Metadata())
    with pytest.raises(SamplingError, match='not been fitted'):
        synthesizer.sample(1)


@pytest.mark.filterwarnings('ignore')
def test_18_detected_metadata_work_and_here_without_their_ranges(kind):
    table = people()[['age', 'city']]
    metadata = Metadata.detect_from_dataframes({NAME: table})
    synthesizer = fit(kind, metadata, table, **({} if kind == 'copula' else DISCOVERED))
    assert list(synthesizer.sample(20)[NAME]) == ['age', 'city']
    assert ('range_min' in str(synthesizer.get_metadata().to_dict())) == (kind == 'copula')


def test_19_a_key_of_numbers_whose_regex_starts_with_zero_is_refused(kind):
    metadata = metadata_of(['age'], key={'sdtype': 'id', 'regex_format': '[0-9]{4}'})
    with pytest.raises(InvalidDataError, match='0'):
        make(kind, metadata).fit(
            {NAME: people()[['age']].assign(key=range(1000, 1000 + len(people())))}
        )


@pytest.mark.filterwarnings('ignore:The training data')
def test_20_changes_of_transformers_are_warned_of(kind):
    """SDV warns of it where categories are not transformed by default, as in CTGAN."""
    control = CTGANSynthesizer(metadata_of())
    synthesizer = control if kind == 'copula' else make(kind, metadata_of())
    synthesizer.auto_assign_transformers({NAME: people()})
    with pytest.warns(UserWarning, match='quality'):
        synthesizer.update_transformers({'city': UniformEncoder() if kind == 'copula' else None})


@pytest.mark.filterwarnings('ignore')
def test_21_from_a_table_to_scores_and_plots(fitted, rows):
    real, synthetic, metadata = {NAME: people()}, {NAME: rows}, metadata_of()
    assert list(rows) == list(COLUMNS) and len(rows) == 60
    for name in ('email', 'note'):
        assert not set(rows[name]) & set(people()[name])
    assert evaluate_quality(real, synthetic, metadata, verbose=False).get_score() > 0.5
    assert run_diagnostic(real, synthetic, metadata, verbose=False).get_score() == 1.0
    figures = [
        get_column_plot(real, synthetic, metadata, column_name=name, table_name=NAME)
        for name in ('age', 'city', 'born')
    ]
    figures += [
        get_column_pair_plot(real, synthetic, metadata, column_names=names, table_name=NAME)
        for names in (['age', 'profit'], ['age', 'city'], ['city', 'code'])
    ]
    assert all(figure.data for figure in figures)


def test_22_datetimes_are_inside_the_range_of_the_data_or_here_the_declared_one(rows, kind):
    made = pd.to_datetime(rows['born'], format='%d %b %Y')
    ends = (
        people()['born']
        if kind == 'copula'
        else pd.Series([COLUMNS['born']['range_min'], COLUMNS['born']['range_max']])
    )
    ends = pd.to_datetime(ends, format='%d %b %Y')
    assert made.between(ends.min(), ends.max()).all()


def test_23_categories_that_are_numbers_stay_what_they_are(rows):
    assert rows['code'].dtype == 'int64' and set(rows['code']) == {3, 5, 8}


@each_of_ours
def test_23_rare_categories_are_hidden(kind):
    """A category of one row is shown with probability at most delta = 1e-6."""
    table = people()[['member', 'city']]
    table.loc[0, 'city'] = 'Atlantis'
    metadata = metadata_of(['member'], city={'sdtype': 'categorical'})
    made = fit(kind, metadata, table).sample(300)[NAME]['city']
    assert set(made.dropna()) == {'Oslo', 'Rome', 'Bonn'}


@pytest.fixture(scope='module')
def odd_kinds():
    """A table of nullable dtypes, personal data as numbers, keys and integers with gaps."""
    metadata = metadata_of(
        ['key', 'email', 'profit', 'member', 'city', 'age'],
        phone={'sdtype': 'phone_number', 'pii': True},
        whole={**COLUMNS['age'], 'range_is_nullable': True},
    )
    metadata.add_alternate_keys(['email'])
    metadata._reset_updated_flag()
    table = people().drop(columns=['note', 'code', 'born']).astype(NULLABLE)
    table['phone'] = np.arange(len(table)) + 5_550_000
    table['whole'] = table['age'].astype(float).mask(np.arange(len(table)) % 4 == 0)
    return table, {kind: fit(kind, metadata, table).sample(80)[NAME] for kind in KINDS}


def test_24_personal_and_unknown_columns_are_made_up(rows, odd_kinds, kind):
    assert rows['note'].str.startswith('sdv-pii-').all()
    table, made = odd_kinds
    assert not set(made[kind]['phone'].astype(str)) & set(table['phone'].astype(str))


def test_24_generated_columns_mix_locales_and_have_no_gaps():
    """How often a made-up value would be missing is a number about the rows, so none is."""
    metadata = metadata_of(['key'], name={'sdtype': 'name', 'pii': True})
    table = people()[['key']].assign(name='Anna Private')
    table['name'] = table['name'].mask(np.arange(len(table)) % 3 == 0)
    rows = fit('histogram', metadata, table, locales=['en_US', 'ja_JP']).sample(100)[NAME]
    latin = rows['name'].map(str.isascii)
    # A fair coin gives 0.5 a hundred times: outside of 0.2 to 0.8 once in 1e9 runs.
    assert 0.2 < latin.mean() < 0.8 and rows.notna().all(axis=None)


def test_25_nullable_dtypes_are_kept(odd_kinds, kind):
    rows = odd_kinds[1][kind]
    assert rows[list(NULLABLE)].dtypes.astype(str).to_dict() == NULLABLE
    assert rows['profit'].isna().any() and decimals(rows['profit'].astype(float).round(4)) == 1


def test_26_a_regex_that_cannot_be_made_is_refused(kind):
    with pytest.raises(SynthesizerInputError, match='regex'):
        make(kind, metadata_of([], x={'sdtype': 'id', 'regex_format': '(?<!a)[0-9]+'}))


@each_of_ours
def test_26_mixed_time_zones_are_not_talked_about(kind):
    stamps = pd.Series(pd.date_range('2020-01-01', periods=100, freq='D')).dt.strftime('%Y-%m-%d')
    zones = np.where(np.arange(100) % 2 == 0, '+0100', '-0500')
    zoned = {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d %z'}
    synthesizer = fit(kind, metadata_of([], d=zoned), pd.DataFrame({'d': stamps + ' ' + zones}))
    made = synthesizer.sample(20)[NAME]['d'].dropna()
    assert pd.to_datetime(made, format='%Y-%m-%d %z', utc=True).notna().all()


def test_27_rows_that_violate_a_constraint_are_shown_by_sdv_and_never_here(kind):
    table = people()[['age', 'profit']].assign(age=-777)
    synthesizer = make(kind, metadata_of(['profit'], age={'sdtype': 'numerical'}))
    synthesizer.add_constraints([Inequality('profit', 'age')])
    if kind == 'copula':
        with pytest.raises(ConstraintNotMetError, match='777'):
            synthesizer.validate({NAME: table})
    else:
        synthesizer.validate({NAME: table})


@pytest.fixture(scope='module')
def constrained_kinds():
    table = people()[['age', 'city', 'code', 'member']].assign(older=lambda t: t['age'] + 5)
    table['code'] = table['city'].map({'Oslo': 3, 'Rome': 5, 'Bonn': 8}).fillna(3).astype(int)
    table['age'] = table['age'] // 5 * 5
    metadata = metadata_of(['age', 'city', 'code', 'member'], older=COLUMNS['age'])
    made = {}
    for kind in KINDS:
        synthesizer = make(kind, metadata)
        synthesizer.add_constraints(
            [Inequality('age', 'older'), FixedCombinations(['city', 'code'])]
        )
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            synthesizer.fit({NAME: table})
        made[kind] = synthesizer
    return made, set(zip(table['city'].fillna('none'), table['code'], strict=True))


def test_28_every_row_meets_every_constraint(constrained_kinds, kind):
    made, known = constrained_kinds
    rows = made[kind].sample(50)[NAME]
    assert len(rows) == 50 and (rows['age'] <= rows['older']).all()
    assert set(zip(rows['city'].fillna('none'), rows['code'], strict=True)) <= known


def test_29_conditions_and_constraints_hold_together(constrained_kinds, kind):
    made, _ = constrained_kinds
    condition = Condition(num_rows=5, column_values={'city': 'Rome'})
    rows = made[kind].sample_from_conditions([condition], max_tries_per_batch=500)[NAME]
    assert len(rows) == 5 and (rows['city'] == 'Rome').all() and (rows['code'] == 5).all()
    assert (rows['age'] <= rows['older']).all()


def test_30_a_table_of_generated_columns_only(kind):
    names = ['key', 'email', 'note']
    rows = fit(kind, metadata_of(names), people()[names]).sample(10)[NAME]
    assert list(rows) == names and rows['key'].is_unique


@each_of_ours
def test_30_the_category_dtype_is_taken(kind):
    table = people()[['age', 'city']].astype({'city': 'category'})
    made = fit(kind, metadata_of(['age', 'city']), table).sample(30)[NAME]['city']
    assert made.dtype == object and set(made.dropna()) <= {'Oslo', 'Rome', 'Bonn'}


def test_31_alternate_keys_and_integers_with_gaps(odd_kinds, kind):
    rows = odd_kinds[1][kind]
    assert rows['email'].is_unique and rows['whole'].dtype == float
    assert rows['whole'].isna().any() and (rows['whole'].dropna() % 1 == 0).all()


@each_of_ours
def test_32_what_is_not_declared_is_discovered(kind):
    metadata = metadata_of(['member'], age={'sdtype': 'numerical'}, city={'sdtype': 'categorical'})
    table = people()[['member', 'age', 'city']]
    rows = fit(kind, metadata, table).sample(50)[NAME]
    assert set(rows['city'].dropna()) <= {'Oslo', 'Rome', 'Bonn'} and rows['age'].nunique() > 5


def test_the_page_lists_every_behaviour_with_its_tests():
    lines = re.findall(r'^\| (\d+) \|.*\| ([^|]+) \|$', PAGE.read_text('utf-8'), re.MULTILINE)
    assert [int(number) for number, _ in lines] == list(range(1, 33))
    for number, cell in lines:
        names = re.findall(r'`(?:(\w+)\.py::)?(test_\w+)`', cell)
        assert names, number
        for module, name in names:
            assert hasattr(import_module(module or __name__), name), name
