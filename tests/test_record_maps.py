"""Record maps look at one record at a time, and are undone by their inverse."""

import numpy as np
import pandas as pd
import pytest
from sdv.cag import FixedCombinations, FixedIncrements, Inequality, OneHotEncoding, Range

from sdv_slicedp.constraints import record_maps
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.errors import DomainError
from sdv_slicedp.record_maps import Increments, RecordMaps


def number(name, lower=0, upper=40):
    return NumericalDomain(name, 'numerical', lower, upper, (1, 1), True)


DOMAINS = (
    number('low'),
    CategoricalDomain('city', 'categorical', ('x', 'y', 'z'), True),
    number('high'),
    number('count', 0, 99),
    CategoricalDomain('land', 'categorical', None, True),
    number('p', 0, 1),
    CategoricalDomain('q', 'boolean', (False, True), True),
    number('plain'),
)
CONSTRAINTS = [
    Inequality('low', 'high'),
    FixedIncrements('count', 5),
    FixedCombinations(['city', 'land']),
    OneHotEncoding(['p', 'q']),
]
MAPS = record_maps(CONSTRAINTS, DOMAINS)


def records(n=80, seed=0):
    """Processed records, many of which violate every constraint."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({d.name: rng.integers(0, 41, n).astype(float) for d in DOMAINS})
    frame['city'] = rng.choice(np.array(['x', 'y', 'odd', None], dtype=object), n)
    frame['land'] = rng.choice(np.array(['X', 1, True, 1.5, None], dtype=object), n)
    frame['p'] = rng.choice([0.0, 1.0, np.nan, 7.0], n)
    frame['q'] = rng.choice(np.array([True, False, None], dtype=object), n)
    return frame.mask(rng.random(frame.shape) < 0.1)


def released(maps, categories=('["x", "X"]', '["y", null]')):
    return tuple(
        d if d.is_complete else CategoricalDomain(d.name, d.sdtype, categories, False, True)
        for d in maps.measured
    )


def test_measured_columns_take_the_place_of_the_first():
    assert [domain.name for domain in MAPS.measured] == [
        *('low', 'city#land', 'low#high', 'count', 'p#q', 'plain'),
    ]
    assert list(MAPS.encode(records())) == list(MAPS.encode(records(0)))
    assert set(MAPS.encode(records())) == {domain.name for domain in MAPS.measured}


def test_each_record_is_mapped_by_itself():
    frame = records()
    together = MAPS.encode(frame)
    alone = [MAPS.encode(frame.iloc[[i]]) for i in range(len(frame))]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True))
    order = np.random.default_rng(1).permutation(len(frame))
    shuffled = MAPS.encode(frame.iloc[order])
    pd.testing.assert_frame_equal(shuffled, together.iloc[order].reset_index(drop=True))


def test_valid_records_come_back():
    frame = pd.DataFrame(
        {
            'low': [1.0, 3.0, np.nan, 2.0],
            'city': np.array(['x', 'y', 'x', 'y'], dtype=object),
            'high': [1.0, 9.0, 5.0, np.nan],
            'count': [5.0, 10.0, np.nan, 0.0],
            'land': np.array(['X', None, 'X', None], dtype=object),
            'p': [1.0, 0.0, 0.0, 1.0],
            'q': np.array([False, True, True, False], dtype=object),
            'plain': [1.0, 2.0, 3.0, 4.0],
        }
    )
    back = MAPS.decode(MAPS.encode(frame), released(MAPS))
    pd.testing.assert_frame_equal(back[list(frame)], frame)


def test_restored_domains_are_those_of_the_table():
    found = {domain.name: domain for domain in MAPS.restored(released(MAPS))}
    assert set(found) == {domain.name for domain in DOMAINS}
    assert all(domain.is_complete for domain in found.values())
    assert found['city'] == DOMAINS[1] and found['high'] == DOMAINS[2]
    assert found['land'].categories == ('X',) and found['land'].has_missing
    assert found['count'].step == (5, 1) and found['count'].upper == 19
    assert found['q'].categories == (False, True) and not found['q'].has_missing


def test_a_record_outside_of_declared_categories_is_not_counted():
    frame = records(1)
    frame['city'], frame['land'] = 'odd', 'X'
    assert MAPS.encode(frame)['city#land'].tolist() == [None]


def test_records_that_are_not_one_hot_count_for_the_first_of_the_largest():
    frame = pd.concat([records(1)] * 4)
    frame['p'] = [1.0, 0.0, np.nan, np.nan]
    frame['q'] = np.array([True, False, True, None], dtype=object)
    assert MAPS.encode(frame)['p#q'].tolist() == ['p', 'p', 'q', 'p']


def test_values_that_are_equal_but_of_other_types_are_other_combinations():
    frame = pd.concat([records(1)] * 3)
    frame['city'] = 'x'
    frame['land'] = np.array([1, True, 1.0], dtype=object)
    assert MAPS.encode(frame)['city#land'].tolist() == ['["x", 1]', '["x", true]', '["x", 1.0]']


def test_overlapping_combinations_are_one_column():
    domains = tuple(CategoricalDomain(n, 'categorical', None, True) for n in 'abcd')
    wanted = [FixedCombinations(['a', 'b']), FixedCombinations(['c', 'd'])]
    assert [d.name for d in record_maps(wanted, domains).measured] == ['a#b', 'c#d']
    wanted.append(FixedCombinations(['b', 'c']))
    assert len(record_maps(wanted, domains).measured) == 1


def test_what_does_not_fit_together_is_left_to_rejection():
    numbers = tuple(map(number, 'abc'))
    cycle = [Inequality('a', 'b'), Inequality('b', 'a', True), Range('a', 'b', 'c')]
    assert [d.name for d in record_maps(cycle, numbers).measured] == ['a', 'a#b', 'a#b#c']
    hot = [OneHotEncoding(['a', 'b']), OneHotEncoding(['b', 'c'])]
    assert record_maps(hot, numbers).parts == ()


def test_names_of_measured_columns_are_unused_ones():
    domains = (number('a'), number('b'), number('a#b'))
    maps = record_maps([Inequality('a', 'b')], domains, {'a#b_'})
    assert [domain.name for domain in maps.measured] == ['a', 'a#b__', 'a#b']


def test_public_names_are_those_whose_declaration_is_attested():
    assert MAPS.public_names(['high', 'land']) == ('high', 'land', 'low#high')
    assert MAPS.measured_names(['high', 'low', 'city', 'land']) == ['low#high', 'low', 'city#land']
    assert RecordMaps(DOMAINS).public_names(['low']) == ('low',)


@pytest.mark.parametrize(
    'domain, expected',
    [
        (number('x', 3, 22), (1, 4, (5, 1))),
        (NumericalDomain('x', 'numerical', None, None, None, True), (None, None, (5, 1))),
        (NumericalDomain('x', 'numerical', None, None, None, True, (0.5, 11.0)), (1, 2, (5, 1))),
        (NumericalDomain('x', 'numerical', -1, 3, (10, 1), True), (-1, 3, (10, 1))),
        (NumericalDomain('x', 'numerical', 0, 3000, (1, 100), True), (0, 6, (5, 1))),
    ],
)
def test_increments_are_the_step_of_the_grid(domain, expected):
    (found,) = Increments((('x', 5),)).domains([domain])
    assert (found.lower, found.upper, found.step) == expected


def test_a_range_without_a_multiple_is_refused():
    with pytest.raises(DomainError, match=r"'x' holds no multiple of 5"):
        Increments((('x', 5),)).domains([number('x', 6, 9)])
