import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sdv.metadata import Metadata
from tables import MIXED_COLUMNS, make_metadata

from sdv_slicedp import schema
from sdv_slicedp.domain import MAX_UNITS, CategoricalDomain, NumericalDomain
from sdv_slicedp.errors import DomainError

DAY = 86_400 * 10**9


def domain_of(column, public_domain=True):
    (domain,) = schema.column_domains({'x': column}, public_domain)
    return domain


def test_attested_columns_are_all_none_or_the_named_ones():
    names = ['a', 'b', '7']
    assert schema.attested_columns(names, True) == ('a', 'b', '7')
    assert schema.attested_columns(names, False) == ()
    assert schema.attested_columns(names, ['7', 'a']) == ('a', '7')
    assert schema.attested_columns(names, (7,)) == ('7',)
    assert schema.attested_columns([], ['unknown as yet']) == ()


@pytest.mark.parametrize('wrong', ['a', 1, None, {'a': 1}, [1.5], [['a']]])
def test_attested_columns_refuse_other_types(wrong):
    with pytest.raises(TypeError, match='public_domain must be'):
        schema.attested_columns(['a'], wrong)


def test_attested_columns_refuse_unknown_names():
    with pytest.raises(ValueError, match=r"does not have: \['c'\]"):
        schema.attested_columns(['a', 'b'], ['a', 'c'])


@pytest.mark.parametrize('public_domain', [False, True, ['age', 'city']])
def test_stripped_metadata_keeps_ranges_of_attested_columns_only(public_domain):
    metadata = make_metadata(MIXED_COLUMNS, primary_key='key')
    before = metadata.to_dict()
    stripped = schema.strip_unattested(metadata, public_domain)
    attested = schema.attested_columns(list(MIXED_COLUMNS), public_domain)
    for name, column in stripped.tables['mixed'].columns.items():
        if name in attested:
            assert column == MIXED_COLUMNS[name]
        else:
            assert not schema.RANGES & set(column)
            assert schema.without_ranges(MIXED_COLUMNS[name]) == column
    assert stripped.tables['mixed'].primary_key == 'key'
    assert metadata.to_dict() == before
    assert not stripped._check_updated_flag()


def test_stripped_copy_of_empty_metadata_is_empty():
    assert schema.strip_unattested(Metadata(), True).to_dict() == Metadata().to_dict()


def test_modelled_columns_leave_out_keys_ids_and_personal_data():
    columns = {
        'key': {'sdtype': 'email', 'pii': False},
        'id': {'sdtype': 'id'},
        'name': {'sdtype': 'name', 'pii': True},
        'town': {'sdtype': 'city', 'pii': False},
        'other': {'sdtype': 'unknown', 'pii': False},
        'age': {'sdtype': 'numerical'},
    }
    assert schema.modelled_columns(columns, {'key'}) == ('town', 'age')
    assert schema.column_domains({'town': columns['town']})[0].sdtype == 'categorical'


def test_nothing_but_format_and_booleans_is_public_without_attestation():
    domains = schema.column_domains(MIXED_COLUMNS, False, {'key'})
    for domain in domains:
        assert domain.has_missing
        if domain.sdtype == 'boolean':
            assert domain.categories == (False, True)
        elif domain.sdtype == 'datetime':
            assert domain.step is not None and domain.lower is domain.upper is domain.bounds is None
        elif isinstance(domain, NumericalDomain):
            assert domain.lower is domain.upper is domain.step is domain.bounds is None
        else:
            assert domain.categories is None
    stripped = {name: schema.without_ranges(column) for name, column in MIXED_COLUMNS.items()}
    assert schema.column_domains(stripped, True, {'key'}) == domains


def test_attested_domains_are_complete():
    domains = schema.column_domains(MIXED_COLUMNS, True, {'key'})
    assert all(domain.is_complete for domain in domains)
    by_name = {domain.name: domain for domain in domains}
    assert by_name['income'] == NumericalDomain(
        'income', 'numerical', 0, 900_050, (1, 100), has_missing=True
    )
    assert by_name['size'] == CategoricalDomain('size', 'ordinal', (1, 2, 3), has_missing=False)
    assert by_name['born'].step == (DAY, 1)
    assert by_name['born'].lower == -20 * 365 - 5


bounds = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(-1e9, 1e9, allow_nan=False),
)


@given(a=bounds, b=bounds, decimals=st.integers(0, 8))
def test_grid_is_the_widest_inside_the_declared_range(a, b, decimals):
    lower, upper = sorted((a, b))
    exact = [Fraction(x) if isinstance(x, int) else Fraction(repr(x)) for x in (lower, upper)]
    column = {
        'sdtype': 'numerical',
        'range_min': lower,
        'range_max': upper,
        'decimal_places': decimals,
    }
    try:
        domain = domain_of(column)
    except DomainError:
        assert math.ceil(exact[0] * 10**decimals) > math.floor(exact[1] * 10**decimals)
        return
    step = Fraction(*domain.step)
    assert (domain.lower - 1) * step < exact[0] <= domain.lower * step
    assert domain.upper * step <= exact[1] < (domain.upper + 1) * step
    assert -MAX_UNITS <= domain.lower <= domain.upper <= MAX_UNITS


def test_bounds_are_kept_until_the_step_is_known():
    domain = domain_of({'sdtype': 'numerical', 'range_min': 0.5, 'range_max': 3})
    assert domain == NumericalDomain('x', 'numerical', None, None, None, True, (0.5, 3.0))
    domain = domain_of({'sdtype': 'datetime', 'range_min': '1970-01-02', 'range_max': '1970-01-03'})
    assert domain.bounds == (DAY, 2 * DAY)


def test_one_declared_bound_leaves_both_to_be_discovered_and_is_still_kept_to():
    column = {'sdtype': 'numerical', 'range_min': 0, 'decimal_places': 2}
    domain = domain_of(column)
    assert (domain.lower, domain.upper, domain.step) == (None, None, (1, 100))
    assert schema.declared_bounds('x', column) == (0.0, math.inf)
    assert domain_of({**column, 'decimal_places': 12}).step is None


def test_missing_cells_follow_the_attestation():
    column = {'sdtype': 'categorical', 'range_values': ['a'], 'range_is_nullable': False}
    assert not domain_of(column).has_missing
    assert domain_of(column, public_domain=False).has_missing
    assert domain_of({'sdtype': 'categorical', 'range_values': ['a']}).has_missing


@pytest.mark.parametrize(
    'column, message',
    [
        ({'sdtype': 'numerical', 'range_min': 2, 'range_max': 1}, 'larger than its range_max'),
        ({'sdtype': 'numerical', 'range_min': 0, 'range_max': math.inf}, 'finite number'),
        ({'sdtype': 'numerical', 'range_min': math.nan, 'range_max': 1}, 'finite number'),
        ({'sdtype': 'numerical', 'range_min': True, 'range_max': 1}, 'finite number'),
        ({'sdtype': 'numerical', 'range_min': '0', 'range_max': 1}, 'finite number'),
        ({'sdtype': 'numerical', 'decimal_places': -1}, 'decimal_places'),
        ({'sdtype': 'numerical', 'decimal_places': 1.5}, 'decimal_places'),
        (
            {'sdtype': 'numerical', 'range_min': 0.1, 'range_max': 0.2, 'decimal_places': 0},
            'holds no value',
        ),
        ({'sdtype': 'categorical', 'range_values': []}, 'empty'),
        ({'sdtype': 'categorical', 'range_values': ['a', 'b', 'a']}, "'a' more than once"),
        ({'sdtype': 'ordinal', 'range_values': [1, True]}, 'more than once'),
        ({'sdtype': 'categorical', 'range_values': ['a', None]}, 'range_is_nullable'),
        ({'sdtype': 'categorical', 'range_values': [math.nan]}, 'finite numbers'),
        ({'sdtype': 'categorical', 'range_values': [['a']]}, 'may hold strings'),
        ({'sdtype': 'datetime', 'range_min': 'soon', 'range_max': '2020-01-01'}, 'must be a date'),
        ({'sdtype': 'datetime', 'range_min': 5, 'range_max': '2020-01-01'}, 'must be a date'),
        ({'sdtype': 'datetime', 'range_min': '2021-01-01', 'range_max': '2020-01-01'}, 'larger'),
        (
            {'sdtype': 'datetime', 'datetime_format': '%d/%m/%Y', 'range_min': '2020-01-01'},
            'must be a date',
        ),
    ],
)
def test_contradictions_name_the_column(column, message):
    with pytest.raises(DomainError, match=message) as caught:
        domain_of(column)
    assert "column 'x'" in str(caught.value)
    assert domain_of(column, public_domain=False).has_missing


def test_formats_that_pandas_cannot_read_are_refused_in_every_case():
    for public_domain in (True, False):
        with pytest.raises(DomainError, match="datetime_format of column 'x', '%s'"):
            domain_of({'sdtype': 'datetime', 'datetime_format': '%s'}, public_domain)
