"""Constraints tell nothing of the rows: whether they meet them, or how.

Two tables with nothing in common but their public schema, one of rows that meet the constraints
and one of rows that do not, are measured by one and the same release.
"""

from __future__ import annotations

import cloudpickle
import numpy as np
import pandas as pd
import pytest
from sdv.cag import FixedCombinations, FixedIncrements, Inequality, OneHotEncoding, Range
from sdv.metadata import Metadata
from state import differences, reachable
from test_leaks import overheard, settled_state, without_identity
from worlds import MECHANISMS, QUICK, TABLE

from sdv_slicedp import DeclaredCombinations
from sdv_slicedp import synthesizer as synthesizer_module
from sdv_slicedp.release import Release
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

COLUMNS = {
    'low': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 99, 'decimal_places': 0},
    'high': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 99, 'decimal_places': 1},
    'first': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'},
    'then': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'},
    'last': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d'},
    'place': {'sdtype': 'categorical'},
    'land': {'sdtype': 'categorical'},
    'count': {'sdtype': 'numerical'},
    'yes': {'sdtype': 'numerical'},
    'no': {'sdtype': 'boolean'},
    'shop': {'sdtype': 'categorical'},
    'open': {'sdtype': 'boolean'},
}
CONSTRAINTS = [
    Inequality('low', 'high', strict_boundaries=True),
    Range('first', 'then', 'last'),
    FixedCombinations(['place', 'land']),
    FixedIncrements('count', 10),
    OneHotEncoding(['yes', 'no']),
    DeclaredCombinations(['shop', 'open'], [['North', True], ['South', False]]),
]
CANARY = 'CANARY_7d1'


def meeting(n: int = 150) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    start = pd.Timestamp('2001-01-01') + pd.to_timedelta(rng.integers(0, 99, n), 'D')
    days = [start + pd.Timedelta(k, 'D') for k in (0, 3, 9)]
    low, yes = rng.integers(0, 50, n), rng.integers(0, 2, n)
    table = pd.DataFrame({'low': low, 'high': low + 1.5})
    table[['first', 'then', 'last']] = np.stack([d.strftime('%Y-%m-%d') for d in days], axis=1)
    table['place'], table['land'] = 'Bonn', 'D'
    table['shop'], table['open'] = 'North', True
    table['count'], table['yes'], table['no'] = rng.integers(0, 9, n) * 10, yes, yes == 0
    return table


def violating(n: int = 230) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = meeting(n)
    table['low'], table['high'] = table['high'] + 70.25, table['low'] - 1e6
    table[['first', 'last']] = table[['last', 'first']].to_numpy()
    table['place'] = [f'{CANARY}{i}' for i in range(n)]
    table['shop'] = CANARY
    table['land'] = rng.choice(np.array(['F', None], dtype=object), n)
    table['count'], table['yes'] = rng.normal(0, 1e5, n), rng.normal(size=n)
    return table.mask(rng.random(table.shape) < 0.2)


WORLDS = {'meeting': meeting, 'violating': violating}


def make(mechanism: str, public: bool) -> SlicedDPSynthesizer:
    metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': COLUMNS}}})
    attested = ['low', 'high'] if public else False
    synthesizer = SlicedDPSynthesizer(
        metadata, epsilon=5.0, public_domain=attested, mechanism=mechanism, **QUICK
    )
    synthesizer.add_constraints(CONSTRAINTS)
    return synthesizer


def rows_of(mechanism: str, world: str) -> pd.DataFrame:
    """The number of rows is public in the projection mechanism."""
    return WORLDS[world](150) if mechanism == 'projection' else WORLDS[world]()


@pytest.mark.parametrize(
    'mechanism, public', [('histogram', True), ('histogram', False), ('projection', True)]
)
def test_tables_that_meet_constraints_and_that_do_not_leave_one_state(
    monkeypatch, mechanism, public
):
    source = make(mechanism, public)
    source.fit({TABLE: meeting(300)})  # public rows
    release = source.get_release()

    def answer(processed: pd.DataFrame, domains: object, *, ledger, **_: object) -> Release:
        for entry in release.ledger:
            ledger.record(entry)
        return release

    name = 'measure' if mechanism == 'histogram' else 'measure_projection'
    monkeypatch.setattr(synthesizer_module, name, answer)
    states, heard, pickles, samples = [], [], [], []
    for world in WORLDS:
        synthesizer = make(mechanism, public)
        with overheard() as lines:
            synthesizer.fit({TABLE: rows_of(mechanism, world)})
        states.append(settled_state(synthesizer))
        heard.append(without_identity(lines))
        pickles.append(cloudpickle.dumps(synthesizer))
        samples.append(synthesizer.sample(20)[TABLE])
    assert differences(*states) == set() and len(states[0]) > 500
    assert heard[0] == heard[1] and pickles[0] == pickles[1]
    pd.testing.assert_frame_equal(*samples)


@pytest.mark.parametrize('mechanism', MECHANISMS)
def test_violating_rows_are_measured_without_a_word(mechanism):
    # A category that one row has is released with probability at most delta = 1e-6.
    synthesizer = make(mechanism, False)
    with overheard() as lines:
        synthesizer.fit({TABLE: rows_of(mechanism, 'violating')})
    assert CANARY not in '\n'.join(lines)
    assert CANARY.encode() not in cloudpickle.dumps(synthesizer)
    assert CANARY not in '\n'.join(reachable(synthesizer).values())


def test_a_constraint_that_was_fitted_on_rows_brings_none_of_them():
    learned = FixedCombinations(['place', 'land'])
    table = violating().assign(place=CANARY)
    metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': COLUMNS}}})
    learned.fit({TABLE: table}, metadata)
    assert CANARY.encode() in cloudpickle.dumps(learned)
    synthesizer = SlicedDPSynthesizer(metadata, **QUICK)
    synthesizer.add_constraints([learned])
    assert CANARY.encode() not in cloudpickle.dumps(synthesizer)
