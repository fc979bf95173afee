"""Combinations that the user declares: nothing of them is discovered, and no others come out."""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sdv.cag
from sdv.cag import FixedCombinations
from sdv.errors import RefitWarning, SynthesizerInputError
from sdv.utils import load_constraints
from tables import QUICK, TABLE, make_metadata

from sdv_slicedp import DeclaredCombinations, SlicedDPSynthesizer
from sdv_slicedp.errors import DomainError

COLUMNS = {
    'city': {'sdtype': 'categorical', 'range_values': ['Oslo', 'Rome', 'Pisa']},
    'land': {'sdtype': 'categorical'},
    'zone': {'sdtype': 'ordinal'},
    'open': {'sdtype': 'boolean'},
}
METADATA = make_metadata(COLUMNS)
NAMES = ['city', 'land', 'zone']
KNOWN = [['Oslo', 'Norway', 1], ['Rome', 'Italy', 2], ['Pisa', 'Italy', None], [None, 'Italy', 2]]
CANARY = 'Atlantis_7d1'


def table(n=300):
    """Rows of two declared combinations, and of one that is not; zones as floats for the gaps."""
    rows = [KNOWN[0], KNOWN[2], [CANARY, 'Italy', 2]]
    made = pd.DataFrame([rows[i % 3] for i in range(n)], columns=NAMES)
    return made.assign(open=np.arange(n) % 2 == 0)


def make(known=KNOWN, **options):
    synthesizer = SlicedDPSynthesizer(
        METADATA, **{'epsilon': 20.0, 'public_domain': ['city', 'open'], **QUICK, **options}
    )
    synthesizer.add_constraints([DeclaredCombinations(NAMES, known)])
    return synthesizer


def found(rows):
    return {tuple(None if pd.isna(v) else v for v in row) for row in rows[NAMES].to_numpy()}


@pytest.fixture(scope='module')
def fitted():
    synthesizer = make()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        synthesizer.fit({TABLE: table()})
    return synthesizer


@pytest.mark.parametrize('mechanism', ['histogram', 'projection'])
def test_no_budget_is_spent_on_finding_them_and_no_others_come_out(mechanism):
    synthesizer = make(mechanism=mechanism)
    synthesizer.fit({TABLE: table()})
    entries = synthesizer.get_release().ledger
    assert not [entry for entry in entries if entry.stage == 'domain']
    assert found(synthesizer.sample(200)[TABLE]) <= set(map(tuple, KNOWN))


def test_counts_are_those_of_the_declared_ones(fitted):
    """A third of the rows has another combination: it has no cell, and is counted in none."""
    rows = fitted.sample(300)[TABLE]
    shares = rows.groupby('city', dropna=False).size() / len(rows)
    # Two cells of 100 rows each; the noise of a cell has a scale below 2 at this epsilon.
    assert shares['Oslo'] == pytest.approx(0.5, abs=0.1)
    assert shares['Pisa'] == pytest.approx(0.5, abs=0.1)


def test_what_is_taken_as_public_is_said(fitted):
    assert fitted.get_release().public_columns == ('city', 'open', 'city#land#zone')
    report = ' '.join(str(fitted.get_privacy_report()).split())
    assert 'of 2 of 4 columns: city, open' in report
    assert 'declared combinations city#land#zone' in report


def test_conditions_are_on_the_declared_values(fitted):
    known = pd.DataFrame({'land': ['Norway', 'Italy']})
    rows = fitted.sample_remaining_columns(known)[TABLE]
    assert rows['city'][0] == 'Oslo' and rows['land'].tolist() == ['Norway', 'Italy']
    with pytest.raises(ValueError, match="'Norway'"):
        fitted.sample_remaining_columns(pd.DataFrame({'land': ['France']}))


def test_they_are_saved_loaded_and_needed_by_a_release(fitted, tmp_path, monkeypatch):
    fitted.get_constraints(tmp_path / 'constraints.json')
    fitted.get_release().save(tmp_path / 'some.release')
    assert json.loads((tmp_path / 'constraints.json').read_text())[0]['parameters'] == {
        'column_names': NAMES,
        'combinations': KNOWN,
        'table_name': None,
    }
    # SDV looks for the class where the package's entry point puts it.
    text = (Path(__file__).parents[1] / 'pyproject.toml').read_text(encoding='utf-8')
    value = DeclaredCombinations
    assert f'"sdv.cag:DeclaredCombinations" = "{value.__module__}:{value.__name__}"' in text
    monkeypatch.setattr(sdv.cag, 'DeclaredCombinations', DeclaredCombinations, raising=False)
    again = SlicedDPSynthesizer.from_release(
        tmp_path / 'some.release',
        METADATA,
        constraints=load_constraints(tmp_path / 'constraints.json'),
        **QUICK,
    )
    assert again.public_domain == ['city', 'open']
    assert found(again.sample(50)[TABLE]) <= set(map(tuple, KNOWN))


def test_added_after_the_fit_they_reject_for_free():
    synthesizer = SlicedDPSynthesizer(METADATA, epsilon=20.0, **QUICK)
    synthesizer.fit({TABLE: table()})
    with pytest.warns(RefitWarning, match='costs no budget'):
        synthesizer.add_constraints([DeclaredCombinations(['city', 'zone'], [['Oslo', 1]])])
    rows = synthesizer.sample(20)[TABLE]
    assert len(rows) == 20 and set(rows['city']) == {'Oslo'} and set(rows['zone']) == {1}


@pytest.mark.parametrize(
    'combinations, problem',
    [
        ([], 'empty'),
        ([['Oslo', 'Norway']], 'one value for each'),
        (['abc'], 'one value for each'),
        ([['Oslo', 'Norway', float('nan')]], 'finite'),
        ([['Oslo', 'Norway', pd.Timestamp('2020-01-01')]], 'may hold'),
        ([['Oslo', 'Norway', 1], ['Oslo', 'Norway', 1.0]], 'more than once'),
    ],
)
def test_lists_that_are_none_are_refused(combinations, problem):
    with pytest.raises(ValueError, match=problem):
        DeclaredCombinations(NAMES, combinations)


def test_values_outside_of_a_declared_column_are_refused_before_the_fit():
    with pytest.raises(DomainError, match=r"\['Bonn', 'Italy', 1\].*cannot have"):
        make([['Bonn', 'Italy', 1]])


def test_columns_have_their_combinations_from_one_constraint():
    synthesizer = make()
    for other in (FixedCombinations(['zone', 'open']), DeclaredCombinations(NAMES, KNOWN)):
        with pytest.raises(DomainError, match='Declare the combinations of all'):
            synthesizer.add_constraints([other])
    assert len(synthesizer.get_constraints()) == 1
    with pytest.raises(SynthesizerInputError, match='must be a list'):
        synthesizer.add_constraints(DeclaredCombinations(NAMES, KNOWN))
