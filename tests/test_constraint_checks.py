"""Checks of unfitted constraints against what SDV's own say when they are fitted."""

import copy

import numpy as np
import pandas as pd
import pytest
from sdv.cag import FixedCombinations, FixedIncrements, Inequality, OneHotEncoding, Range
from sdv.cag import SingleTableProgrammableConstraint as Programmed
from sdv.errors import NotFittedError, SynthesizerInputError
from sdv.metadata import Metadata

from sdv_slicedp import schema
from sdv_slicedp.constraint_checks import Checker
from sdv_slicedp.constraints import record_maps
from sdv_slicedp.domain import CategoricalDomain
from sdv_slicedp.encoding import SchemaProcessor
from sdv_slicedp.frames import families

COLUMNS = {
    'a': {'sdtype': 'numerical'},
    'b': {'sdtype': 'numerical'},
    'c': {'sdtype': 'numerical'},
    'u': {'sdtype': 'categorical'},
    'v': {'sdtype': 'boolean'},
    'd': {'sdtype': 'datetime', 'datetime_format': '%d/%m/%Y'},
    'e': {'sdtype': 'datetime', 'datetime_format': '%d/%m/%Y'},
    'f': {'sdtype': 'datetime', 'datetime_format': '%d/%m/%Y %H:%M'},
}
METADATA = Metadata.load_from_dict({'tables': {'t': {'columns': COLUMNS}}, 'relationships': []})


def rows(n=300, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.integers(0, 4, n).astype(float) for name in 'abc'})
    frame = frame.mask(rng.random(frame.shape) < 0.2)
    frame['u'] = rng.choice(np.array(['x', 'y', None], dtype=object), n)
    frame['v'] = rng.choice(np.array([True, False, None], dtype=object), n)
    for name, written in (('d', '%d/%m/%Y'), ('e', '%d/%m/%Y'), ('f', '%d/%m/%Y %H:%M')):
        hours = rng.integers(0, 24 * 60, n)
        stamps = pd.Timestamp('2020-01-10') + pd.to_timedelta(hours, 'h')
        frame[name] = pd.Series(stamps.strftime(written), dtype=object).mask(rng.random(n) < 0.1)
    return frame


def check(constraint, frame, combinations=()):
    domains = schema.column_domains(COLUMNS)
    maps = record_maps([constraint], domains)
    processor = SchemaProcessor(METADATA._convert_to_single_table())
    processor.fit_domains(domains, families(frame))
    joint = [CategoricalDomain('u#v', 'categorical', tuple(combinations), False, True)]
    return Checker(maps, tuple(joint)).valid(constraint, frame, processor.transform(frame))


def fitted_elsewhere(constraint, frame):
    """SDV's own answer, after a fit on public rows that meet the constraint."""
    valid = pd.DataFrame(
        {
            **{'a': [0.0, 1.0], 'b': [1.0, 2.0], 'c': [3.0, 4.0], 'u': ['x', 'y']},
            **{'v': [True, False], 'd': ['01/01/2020'] * 2, 'e': ['02/01/2020'] * 2},
            'f': ['03/01/2020 00:00'] * 2,
        }
    )
    own = copy.deepcopy(constraint)
    own.fit({'t': valid}, METADATA)
    return np.asarray(own.is_valid({'t': frame})['t'], dtype=bool)


@pytest.mark.parametrize('strict', [False, True])
@pytest.mark.parametrize(
    'kind, names',
    [(Inequality, 'ab'), (Inequality, 'de'), (Inequality, 'df'), (Range, 'abc'), (Range, 'def')],
)
def test_orders_are_those_of_sdv_when_it_is_fitted(kind, names, strict):
    constraint, frame = kind(*names, strict_boundaries=strict), rows()
    found, expected = check(constraint, frame), fitted_elsewhere(constraint, frame)
    if kind is Range and names == 'def':
        # SDV compares instants here; days against minutes are compared at days, as it does in
        # an Inequality.
        assert not (found & ~expected).any() and found.sum() > 20
    else:
        assert found.tolist() == expected.tolist()
        assert 20 < found.sum() < len(found) - 20


def test_dates_as_text_are_not_compared_as_text():
    frame = rows(1).assign(d='09/03/2020', e='10/02/2020')
    assert not check(Inequality('d', 'e'), frame).any()
    assert Range('d', 'e', 'f').is_valid(frame.assign(f='11/01/2020'), metadata=METADATA).all()
    assert not check(Range('d', 'e', 'f'), frame.assign(f='11/01/2020 00:00')).any()


def test_increments():
    frame = rows(6).assign(a=[0.0, 3.0, -6.0, 4.0, 3.5, np.nan])
    assert check(FixedIncrements('a', 3), frame).tolist() == [True, True, True, False, False, True]


def test_one_hot_columns():
    frame = rows(6).assign(a=[1, 0, 1, 0, np.nan, 0.5], b=[0, 1, 1, 0, 1, 0.5])
    expected = [True, True, False, False, False, False]
    constraint = OneHotEncoding(['a', 'b'])
    assert check(constraint, frame).tolist() == expected
    assert constraint.is_valid(frame, metadata=METADATA).tolist() == expected


def test_combinations_are_those_of_the_release():
    frame = rows(4).assign(
        u=np.array(['x', 'y', 'x', None], dtype=object),
        v=np.array([True, True, None, False], dtype=object),
    )
    known = ['["x", true]', '["x", null]']
    found = check(FixedCombinations(['u', 'v']), frame, known)
    assert found.tolist() == [True, False, True, False]
    with pytest.raises(NotFittedError, match='not known yet'):
        Checker(record_maps([], schema.column_domains(COLUMNS)), ()).valid(
            FixedCombinations(['u', 'v']), frame, frame
        )


class Wrong(Programmed):
    def is_valid(self, synthetic_data):
        return [True]


def test_a_program_must_answer_for_every_row():
    with pytest.raises(SynthesizerInputError, match=r'is_valid of Wrong.*300 rows'):
        check(Wrong(), rows())
