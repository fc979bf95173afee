"""What an SDV user expects of constraints, but for what SDV learns from rows."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sdv.cag import (
    FixedCombinations,
    FixedIncrements,
    Inequality,
    OneHotEncoding,
    Range,
    SingleTableProgrammableConstraint,
)
from sdv.cag._errors import ConstraintNotMetError
from sdv.errors import RefitWarning, SamplingError, SynthesizerInputError
from sdv.metadata import Metadata
from sdv.sampling import Condition
from sdv.utils import load_constraints, load_synthesizer

from sdv_slicedp.errors import DomainError
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

TABLE = 'stays'
DAYS = {'sdtype': 'datetime', 'datetime_format': '%d/%m/%Y'}
COLUMNS = {
    'stay': {'sdtype': 'id', 'regex_format': 'S[A-Z]{4}'},
    'low': {
        'range_is_nullable': False,
        'sdtype': 'numerical',
        'range_min': 0,
        'range_max': 50,
        'decimal_places': 0,
    },
    'high': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 90, 'decimal_places': 1},
    'booked': {**DAYS, 'range_min': '01/01/2020', 'range_max': '31/12/2020'},
    'arrived': {**DAYS, 'range_min': '01/01/2020', 'range_max': '31/12/2020'},
    'left': {**DAYS, 'range_min': '01/01/2020', 'range_max': '31/12/2020'},
    'city': {'sdtype': 'categorical', 'range_values': ['Oslo', 'Rome', 'Pisa']},
    'land': {'sdtype': 'categorical', 'range_values': ['Norway', 'Italy']},
    'price': {
        'range_is_nullable': False,
        'sdtype': 'numerical',
        'range_min': 0,
        'range_max': 500,
        'decimal_places': 0,
    },
    'cash': {
        'range_is_nullable': False,
        'sdtype': 'numerical',
        'range_min': 0,
        'range_max': 1,
        'decimal_places': 0,
    },
    'card': {'sdtype': 'boolean'},
    'email': {'sdtype': 'email', 'pii': True},
}
METADATA = Metadata.load_from_dict(
    {'tables': {TABLE: {'columns': COLUMNS, 'primary_key': 'stay'}}, 'relationships': []}
)
QUICK = {'epochs': 20, 'n_components': 20, 'random_state': 0}


def make_table(n=600, seed=0):
    """Public rows, a few of which violate each constraint."""
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 50, n)
    start = pd.Timestamp('2020-01-01') + pd.to_timedelta(rng.integers(0, 300, n), 'D')
    waits = [start, *(start + pd.to_timedelta(rng.integers(1, 30, n) + k, 'D') for k in (0, 30))]
    written = [pd.Series(day.strftime('%d/%m/%Y'), dtype=object) for day in waits]
    land = rng.choice(['Norway', 'Italy'], n)
    city = np.where(land == 'Norway', 'Oslo', rng.choice(['Rome', 'Pisa'], n))
    cash = rng.integers(0, 2, n)
    table = pd.DataFrame(
        {
            'stay': [f'S{i:04d}' for i in range(n)],
            'low': low,
            'high': (low + rng.exponential(5, n)).round(1),
            **dict(zip(('booked', 'arrived', 'left'), written, strict=True)),
            'city': city,
            'land': land,
            'price': rng.integers(1, 20, n) * 25,
            'cash': cash,
            'card': cash == 0,
            'email': [f'guest{i}@private.example' for i in range(n)],
        }
    )
    table.loc[:5, ['high', 'price', 'city']] = -5, 13, 'Atlantis'
    table.loc[6:9, 'cash'] = 1 - table.loc[6:9, 'cash']
    for name, share in (('high', 0.1), ('arrived', 0.2)):
        table[name] = table[name].mask(rng.random(n) < share)
    return table


class Cheap(SingleTableProgrammableConstraint):
    """No price ends the year in Oslo."""

    def __init__(self, most=400):
        self.most = most

    def is_valid(self, synthetic_data):
        return ~(synthetic_data['price'] > self.most) | (synthetic_data['city'] != 'Oslo')


def constraints():
    return [
        Inequality('low', 'high'),
        Range('booked', 'arrived', 'left'),
        FixedCombinations(['city', 'land']),
        FixedIncrements('price', 25),
        OneHotEncoding(['cash', 'card']),
        Cheap(),
    ]


def make(public_domain=True, added=None, **options):
    synthesizer = SlicedDPSynthesizer(
        METADATA, epsilon=5.0, public_domain=public_domain, **{**QUICK, **options}
    )
    synthesizer.add_constraints(constraints() if added is None else added)
    return synthesizer


@pytest.fixture(scope='module')
def fitted_stays():
    synthesizer = make()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        synthesizer.fit({TABLE: make_table()})
    return synthesizer


def all_met(rows):
    low, high = rows['low'], rows['high']
    assert ((low <= high) | low.isna() | high.isna()).all()
    days = [pd.to_datetime(rows[n], format='%d/%m/%Y') for n in ('booked', 'arrived', 'left')]
    for first, second in ((0, 1), (1, 2), (0, 2)):
        missing = days[first].isna() | days[second].isna()
        assert ((days[first] < days[second]) | missing).all()
    assert set(zip(rows['city'], rows['land'], strict=True)) <= {
        *(('Oslo', 'Norway'), ('Rome', 'Italy'), ('Pisa', 'Italy')),
    }
    assert (rows['price'].dropna() % 25 == 0).all()
    assert (rows['cash'].astype(int) + rows['card'].astype(int) == 1).all()
    assert Cheap().is_valid(rows).all()


@pytest.mark.parametrize('public_domain, mechanism', [(True, 'projection'), (False, 'histogram')])
def test_every_row_meets_every_constraint(public_domain, mechanism):
    synthesizer = make(public_domain, mechanism=mechanism)
    synthesizer.fit({TABLE: make_table()})
    rows = synthesizer.sample(200)[TABLE]
    assert len(rows) == 200 and list(rows) == list(COLUMNS)
    all_met(rows)
    synthesizer.validate_constraints(rows)
    assert rows['stay'].is_unique and not set(rows['email']) & set(make_table()['email'])


def test_rejection_is_left_for_what_is_programmed(fitted_stays):
    fitted_stays.reset_sampling()
    raw = fitted_stays._data_processor.reverse_transform(fitted_stays._sample(500))
    met = {
        type(c).__name__: flags.mean()
        for c, flags in fitted_stays._checks(raw, fitted_stays._constraints)
    }
    assert met.pop('Cheap') < 1
    assert set(met.values()) == {1.0} and len(met) == 5


def test_dtypes_and_ranges_are_those_of_the_table(fitted_stays):
    rows = fitted_stays.sample(200)[TABLE]
    assert rows['low'].dtype == rows['price'].dtype == rows['cash'].dtype == np.int64
    assert rows['card'].dtype == bool and rows['high'].dtype == float
    assert rows['high'].dropna().between(0, 90).all() and rows['low'].between(0, 50).all()
    assert rows['arrived'].isna().any() and rows['high'].isna().any()


def test_metadata_are_shown_as_they_were(fitted_stays):
    for version in ('original', 'modified'):
        assert fitted_stays.get_metadata(version).to_dict() == METADATA.to_dict()
    names = [column.domain.name for column in fitted_stays.get_release().columns]
    assert names == [
        *('low', 'low#high', 'booked', 'booked#arrived', 'booked#arrived#left'),
        *('city#land', 'price', 'cash#card'),
    ]
    report = fitted_stays.get_privacy_report().to_dict()
    assert report['fits'][0]['public_columns'] == [n for n in COLUMNS if n not in {'stay', 'email'}]


def test_constraints_are_listed_saved_and_loaded(fitted_stays, tmp_path):
    found = fitted_stays.get_constraints()
    assert [repr(c) for c in found[:5]] == [repr(c) for c in constraints()[:5]]
    assert isinstance(found[5], Cheap) and found[5].most == 400
    found[0].strict_boundaries = True
    assert not fitted_stays.get_constraints()[0].strict_boundaries
    path = tmp_path / 'constraints.json'
    make(added=constraints()[:5]).get_constraints(path)
    loaded = load_constraints(path)
    assert [c.get_constraint_dict() for c in loaded] == json.loads(path.read_text())
    assert make(added=loaded).get_constraints()[1].strict_boundaries


def test_a_saved_synthesizer_keeps_its_constraints(fitted_stays, tmp_path):
    fitted_stays.save(tmp_path / 'stays.pkl')
    loaded = load_synthesizer(tmp_path / 'stays.pkl')
    assert len(loaded.get_constraints()) == 6
    all_met(loaded.sample(100)[TABLE])


def test_a_release_needs_its_constraints_again(fitted_stays, tmp_path):
    path = tmp_path / 'stays.release'
    fitted_stays.get_release().save(path)
    other = SlicedDPSynthesizer.from_release(path, METADATA, constraints=constraints(), **QUICK)
    assert other.public_domain == [n for n in COLUMNS if n not in {'stay', 'email'}]
    all_met(other.sample(100)[TABLE])
    assert other.get_privacy_report().epsilon == fitted_stays.get_privacy_report().epsilon
    with pytest.raises(SynthesizerInputError, match=r'low#high.*give the same ones'):
        SlicedDPSynthesizer.from_release(path, METADATA, **QUICK)


def test_training_again_keeps_the_constraints(fitted_stays):
    fitted_stays.refit(epochs=5)
    all_met(fitted_stays.sample(50)[TABLE])
    assert len(fitted_stays.get_privacy_report().fits) == 1


def test_constraints_added_after_the_fit_reject_for_free():
    synthesizer = make(added=[])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        synthesizer.fit({TABLE: make_table()})
    with pytest.raises(SynthesizerInputError, match=r'FixedCombinations.*spends budget again'):
        synthesizer.add_constraints([FixedCombinations(['city', 'land'])])
    with pytest.warns(RefitWarning, match=r'costs no budget.*spends its privacy budget again'):
        synthesizer.add_constraints([Inequality('low', 'high'), OneHotEncoding(['cash', 'card'])])
    rows = synthesizer.sample(50)[TABLE]
    assert not (rows['low'] > rows['high']).any()
    assert (rows['cash'] + rows['card'] == 1).all()
    names = [column.domain.name for column in synthesizer.get_release().columns]
    assert 'high' in names
    with pytest.warns(RefitWarning, match='spends another'):
        synthesizer.fit({TABLE: make_table()})
    names = [column.domain.name for column in synthesizer.get_release().columns]
    assert 'low#high' in names and 'high' not in names


def test_conditions_and_constraints_hold_together(fitted_stays):
    rows = fitted_stays.sample_from_conditions(
        [
            Condition(num_rows=10, column_values={'city': 'Rome'}),
            Condition(num_rows=5, column_values={'high': 21.0}),
            Condition(num_rows=5, column_values={'card': True, 'low': 20}),
        ]
    )[TABLE]
    assert len(rows) == 20 and (rows['city'][:10] == 'Rome').all()
    assert (rows['high'][10:15] == 21.0).all() and rows['card'][15:].all()
    all_met(rows)
    known = pd.DataFrame({'land': ['Norway', 'Italy', 'Italy']})
    rows = fitted_stays.sample_remaining_columns(known)[TABLE]
    assert rows['land'].tolist() == known['land'].tolist()
    all_met(rows)


def test_few_rows_are_made_up_for_a_condition_on_a_column_that_is_not_measured(
    fitted_stays, monkeypatch
):
    processor, made = fitted_stays._data_processor, []
    finish = type(processor).reverse_transform

    def counted(self, data, *arguments):
        made.append(len(data))
        return finish(self, data, *arguments)

    monkeypatch.setattr(type(processor), 'reverse_transform', counted)
    wanted = Condition(num_rows=5, column_values={'card': False, 'high': 21.0})
    rows = fitted_stays.sample_from_conditions([wanted])[TABLE]
    assert len(rows) == 5 and (rows['high'] == 21.0).all() and not rows['card'].any()
    assert sum(made) <= 5 * (1 + 4 + 16)  # of 100,000 that are drawn, in at most three tries


@pytest.mark.parametrize(
    'values',
    [{'low': 9, 'high': 3.0}, {'city': 'Oslo', 'land': 'Italy'}, {'cash': 1, 'card': True}],
)
def test_conditions_that_contradict_a_constraint(fitted_stays, values):
    with pytest.raises(ConstraintNotMetError, match='conditions are not valid: they contradict'):
        fitted_stays.sample_from_conditions([Condition(num_rows=3, column_values=values)])


def test_rows_are_named_by_position_if_they_do_not_meet_a_constraint(fitted_stays):
    rows = fitted_stays.sample(20)[TABLE]
    rows.loc[[4, 7], 'price'] = 26
    with pytest.raises(ConstraintNotMetError, match=r'FixedIncrements is not met in 2 of 20.* 4'):
        fitted_stays.validate_constraints(rows)


class Never(SingleTableProgrammableConstraint):
    def is_valid(self, synthetic_data):
        return np.zeros(len(synthetic_data), dtype=bool)


class Seldom(SingleTableProgrammableConstraint):
    def is_valid(self, synthetic_data):
        return np.arange(len(synthetic_data)) == 0


def test_tries_are_bounded(fitted_stays):
    synthesizer = make(added=[])
    synthesizer.fit({TABLE: make_table(200)})
    with pytest.warns(RefitWarning):
        synthesizer.add_constraints([Seldom()])
    with pytest.warns(UserWarning, match='Only 2 of 30 rows'):
        assert len(synthesizer.sample(30, max_tries_per_batch=2)[TABLE]) == 2
    with pytest.warns(RefitWarning):
        synthesizer.add_constraints([Never()])
    with pytest.raises(SamplingError, match='Only 0 of 30 rows'):
        synthesizer.sample(30, max_tries_per_batch=2)
    assert synthesizer.sample(0)[TABLE].empty


def test_a_constraint_that_the_declared_ranges_contradict_is_refused_before_the_fit():
    synthesizer = make(added=[])
    with pytest.raises(DomainError, match=r"'price' holds no multiple"):
        SlicedDPSynthesizer(
            Metadata.load_from_dict(
                {'tables': {TABLE: {'columns': {'price': {**COLUMNS['low'], 'range_min': 1}}}}}
            ),
            public_domain=True,
        ).add_constraints([FixedIncrements('price', 70)])
    synthesizer.add_constraints([FixedIncrements('low', 70)])  # zero is left
    assert len(synthesizer.get_constraints()) == 1


def test_a_refused_list_adds_nothing():
    synthesizer = make(added=[Inequality('low', 'high')])
    with pytest.raises(ConstraintNotMetError):
        synthesizer.add_constraints([FixedIncrements('price', 25), FixedIncrements('city', 2)])
    assert len(synthesizer.get_constraints()) == 1
    synthesizer.add_constraints([FixedIncrements('price', 25)])
    assert len(synthesizer.get_constraints()) == 2


def test_targets_may_be_columns_of_a_constraint():
    synthesizer = make(target_columns=['high', 'city'])
    synthesizer.fit({TABLE: make_table()})
    release = synthesizer.get_release()
    names = [column.domain.name for column in release.columns]
    hubs = {names[m.columns[0]] for m in release.marginals if len(m.columns) == 3}
    assert hubs and hubs <= {'low#high', 'city#land'}
