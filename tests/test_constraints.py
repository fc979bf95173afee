"""Which constraints are admitted, and that nothing learned from rows is kept of them."""

import cloudpickle
import pandas as pd
import pytest
from sdv.cag import (
    FixedCombinations,
    FixedIncrements,
    Inequality,
    OneHotEncoding,
    ProgrammableConstraint,
    Range,
    SingleTableProgrammableConstraint,
)
from sdv.cag._errors import ConstraintNotMetError
from sdv.errors import SamplingError, SynthesizerInputError
from tables import MIXED_COLUMNS, make_metadata, make_mixed_table

from sdv_slicedp.constraints import admitted, columns_of, edges_of, maps_of_release, record_maps
from sdv_slicedp.constraints import report_few as report
from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.orders import Edge

METADATA = make_metadata(MIXED_COLUMNS, primary_key='key', alternate_keys=['account'])
MODELLED = [name for name in MIXED_COLUMNS if name not in {'key', 'account', 'email', 'note'}]


def admit(*constraints):
    return admitted(list(constraints), METADATA, MODELLED, list(MIXED_COLUMNS))


def test_what_was_learned_from_rows_is_left_behind():
    fitted = FixedCombinations(['city', 'grade'])
    fitted.fit({'mixed': make_mixed_table().astype({'grade': object})}, METADATA)
    assert b'fixed_combination#' in cloudpickle.dumps(fitted)
    (fresh,) = admit(fitted)
    assert fresh is not fitted and not fresh._fitted
    assert b'fixed_combination#' not in cloudpickle.dumps(fresh)
    assert fresh.get_constraint_dict() == FixedCombinations(['city', 'grade']).get_constraint_dict()


@pytest.mark.parametrize('given', [None, Inequality('age', 'floor'), 'Inequality', ('a',)])
def test_only_lists_are_taken(given):
    with pytest.raises(SynthesizerInputError, match='must be a list'):
        admitted(given, METADATA, MODELLED, list(MIXED_COLUMNS))


class ManyTables(ProgrammableConstraint):
    pass


class Mine(Inequality):
    pass


@pytest.mark.parametrize('given', [3, ManyTables(), Mine('age', 'floor')])
def test_other_things_are_no_constraints(given):
    with pytest.raises(SynthesizerInputError, match=f"got '{type(given).__name__}'"):
        admit(given)


@pytest.mark.parametrize(
    'constraint, message',
    [
        (Inequality('age', 'nowhere'), 'nowhere'),
        (Inequality('age', 'city'), "'city' has an incompatible sdtype"),
        (Inequality('age', 'seen'), 'same sdtype'),
        (FixedCombinations(['city', 'age']), "'age' has an incompatible sdtype"),
        (FixedIncrements('seen', 5), "'seen' has an incompatible sdtype"),
        (OneHotEncoding(['key', 'age']), "'key' is the primary key"),
        (Range('age', 'floor', 'points', table_name='other'), 'other'),
    ],
)
def test_constraints_that_do_not_fit_the_metadata(constraint, message):
    with pytest.raises(ConstraintNotMetError, match=message):
        admit(constraint)


@pytest.mark.parametrize('name', ['account', 'email', 'note'])
def test_generated_columns_are_no_part_of_a_constraint(name):
    with pytest.raises(SynthesizerInputError, match=rf"\['{name}'\].*never read"):
        admit(OneHotEncoding(['age', name]))


class Positive(SingleTableProgrammableConstraint):
    def validate(self, metadata):
        self.columns = list(metadata.tables['mixed'].columns)

    def validate_input_data(self, data):
        raise AssertionError('the table is not for programs')

    def fit(self, data, metadata):
        self.seen = data

    def is_valid(self, synthetic_data):
        return synthetic_data['floor'] > 0


def test_programs_are_fitted_on_no_rows():
    given = Positive()
    (found,) = admit(given)
    assert found.columns == list(found.seen.columns) == list(MIXED_COLUMNS)
    assert len(found.seen) == 0 and not hasattr(given, 'seen')


def test_columns_and_orders_of_constraints():
    assert columns_of(Range('a', 'b', 'c')) == ['a', 'b', 'c']
    assert columns_of(OneHotEncoding(['a', 'b'])) == ['a', 'b']
    assert columns_of(FixedIncrements('a', 2)) == ['a']
    assert edges_of(Range('a', 'b', 'c')) == [
        Edge('a', 'b', True),
        Edge('a', 'c', True),
        Edge('b', 'c', True),
    ]
    assert edges_of(Inequality('a', 'b')) == [Edge('a', 'b', False)]
    assert edges_of(FixedIncrements('a', 2)) == []


def test_a_release_measured_without_constraints_can_have_them_by_rejection():
    domains = [NumericalDomain(n, 'numerical', 0, 9, (1, 1), False) for n in 'ab']
    planned = record_maps([Inequality('a', 'b')], domains)
    assert maps_of_release([Inequality('a', 'b')], domains, planned).parts == ()
    assert maps_of_release([Inequality('a', 'b')], planned.measured, planned) is planned
    with pytest.raises(SynthesizerInputError, match=r"'a#b', 'b'.*give the same"):
        maps_of_release([], planned.measured, record_maps([], domains))


def test_too_few_rows_are_said_to_be_so():
    with pytest.warns(UserWarning, match=r'Only 3 of 10 rows.*max_tries_per_batch'):
        report(3, 10)
    with pytest.raises(SamplingError, match=r'Only 0 of 10 rows.*contradict'):
        report(0, 10)


def test_programs_are_checked_on_frames_of_any_index():
    (found,) = admit(Positive())
    assert found.is_valid(pd.DataFrame({'floor': [1, -1]}, index=[7, 9])).tolist() == [True, False]
