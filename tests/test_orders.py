"""Ordered columns as differences: nothing is lost, and every result is in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp.domain import NumericalDomain
from sdv_slicedp.errors import DomainError
from sdv_slicedp.orders import Edge, in_sequence, least_above, ordered

DAY = 86_400 * 10**9
STEPS = [(1, 1), (1, 100), (5, 1), (3, 1)]


def number(name, lower=0, upper=40, step=(1, 1), sdtype='numerical'):
    return NumericalDomain(name, sdtype, lower, upper, step, True)


def order_of(edges, *domains):
    columns = {domain.name: domain for domain in domains}
    above = {edge.high for edge in edges}
    names = {name: f'm:{name}' if name in above else name for name in columns}
    return ordered(edges, columns, names)


def complete(order):
    """Domains that a release could have, where everything was declared."""
    return {link.measured: order.measured_domain(link) for link in order.links}


@st.composite
def declared_orders(draw):
    names = ['a', 'b', 'c', 'd'][: draw(st.integers(2, 4))]
    domains = []
    for name in names:
        lower = draw(st.integers(-20, 5))
        step = draw(st.sampled_from(STEPS))
        domains.append(number(name, lower, lower + draw(st.integers(40, 90)), step))
    pairs = [(low, high) for i, low in enumerate(names) for high in names[i + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True))
    edges = [Edge(low, high, draw(st.booleans())) for low, high in chosen]
    used = {name for pair in chosen for name in pair}
    return edges, [domain for domain in domains if domain.name in used]


def in_order(edges, values):
    flags = np.ones(len(next(iter(values.values()))), dtype=bool)
    for edge in edges:
        low, high = values[edge.low], values[edge.high]
        flags &= ~(low >= high if edge.strict else low > high)
    return flags


def draws(seed, domains, n=60):
    """Values on the grids, some missing; not in order."""
    rng = np.random.default_rng(seed)
    values = {}
    for domain in domains:
        units = rng.integers(domain.lower, domain.upper + 1, n)
        values[domain.name] = units * domain.step[0] / domain.step[1]
        values[domain.name][rng.random(n) < 0.2] = np.nan
    return values


@given(declared_orders(), st.integers(0, 2**32))
def test_records_in_order_come_back_and_others_are_put_in_order(case, seed):
    edges, domains = case
    try:
        order = order_of(edges, *domains)
    except DomainError:
        return  # the ranges left no room
    values = draws(seed, domains)
    measured = order.encode(values)
    back = order.decode(measured, complete(order))
    assert in_order(edges, back).all()
    caps = {link.domain.name: link.cap for link in order.links}
    fine = in_order(edges, values)
    for name, column in values.items():
        # Missing values stay missing, whatever the order; so do those that are present.
        np.testing.assert_array_equal(np.isnan(back[name]), np.isnan(column))
        fine &= ~(column > caps[name])
    for name, column in values.items():
        np.testing.assert_allclose(back[name][fine], column[fine], rtol=1e-12, atol=1e-12)


@given(declared_orders(), st.integers(0, 2**32))
def test_whatever_is_sampled_is_decoded_in_order_and_in_bounds(case, seed):
    edges, domains = case
    try:
        order = order_of(edges, *domains)
    except DomainError:
        return
    released = complete(order)
    sampled = draws(seed, released.values())
    back = order.decode(sampled, released)
    assert in_order(edges, back).all()
    for domain in domains:
        shown = back[domain.name][~np.isnan(back[domain.name])]
        units = shown * domain.step[1] / domain.step[0]
        np.testing.assert_allclose(units, np.rint(units), atol=1e-6)
        assert (units >= domain.lower - 1e-6).all() and (units <= domain.upper + 1e-6).all()


@given(declared_orders(), st.integers(0, 2**32))
def test_measured_domains_hold_every_encoded_record(case, seed):
    edges, domains = case
    try:
        order = order_of(edges, *domains)
    except DomainError:
        return
    measured = order.encode(draws(seed, domains))
    for link in order.links:
        domain = order.measured_domain(link)
        units = measured[link.measured] * domain.step[1] / domain.step[0]
        shown = units[~np.isnan(units)]
        assert (shown >= domain.lower - 1e-6).all() and (shown <= domain.upper + 1e-6).all()


def unknown(name, sdtype='numerical', step=None):
    return NumericalDomain(name, sdtype, None, None, step, True)


@pytest.mark.parametrize('strict', [False, True])
def test_undeclared_columns_are_in_order_too(strict):
    order = order_of([Edge('a', 'b', strict)], unknown('a'), unknown('b'))
    values = {
        'a': np.array([0.1, 1000000.1, np.nan, 3.0, 5.0]),
        'b': np.array([0.3, 1000000.4, -7.5, np.nan, 1.0]),
    }
    measured = order.encode(values)
    # Decimal differences, so that their decimals can be discovered.
    assert measured['m:b'][:3].tolist() == [0.2, 0.3, -7.5] and measured['m:b'][4] == 0
    released = {
        'a': number('a', 0, 10**8, (1, 10)),
        'm:b': number('m:b', -75, 10, (1, 10)),
    }
    back = order.decode(measured, released)
    assert in_order([Edge('a', 'b', strict)], back).all()
    np.testing.assert_allclose(back['b'][:3], values['b'][:3], rtol=1e-12)
    found = order.restored(released)['b']
    assert found.step == (1, 10) and found.is_complete
    assert found.lower <= -75 and found.upper >= 10**8 + 10


def test_datetimes_are_compared_at_the_coarser_precision():
    day, second = unknown('a', 'datetime', (DAY, 1)), unknown('b', 'datetime', (10**9, 1))
    low = np.array([3.0 * DAY, np.nan])
    assert least_above(low, day, second, strict=True)[0] == 4 * DAY
    assert least_above(low, day, second, strict=False)[0] == 3 * DAY
    noon = np.array([3.5 * DAY])
    assert least_above(noon, second, day, strict=False).tolist() == [4.0 * DAY]
    assert least_above(noon, second, day, strict=True).tolist() == [4.0 * DAY]
    assert np.isnan(least_above(low, day, second, strict=True)[1])


def test_numbers_on_different_grids():
    whole, cents = number('a'), number('b', 0, 4000, (1, 100))
    assert least_above(np.array([0.29]), cents, whole, strict=False).tolist() == [1.0]
    assert least_above(np.array([0.29]), whole, cents, strict=False).tolist() == [0.29]
    assert least_above(np.array([0.29]), whole, cents, strict=True).tolist() == [0.3]


def test_ranges_without_room_are_refused():
    with pytest.raises(DomainError, match=r"no value for column 'a'"):
        order_of([Edge('a', 'b', False)], number('a', 50, 60), number('b', 0, 40))
    with pytest.raises(DomainError, match=r"'a'"):
        order_of([Edge('a', 'b', True)], number('a', 40, 60), number('b', 0, 40))
    order_of([Edge('a', 'b', False)], number('a', 40, 60), number('b', 0, 40))


def test_values_below_leave_room_above():
    order = order_of([Edge('a', 'b', True), Edge('b', 'c', True)], *map(number, 'abc'))
    assert [link.cap for link in order.links] == [38.0, 39.0, 40.0]
    assert order.measured_domain(order.links[0]).upper == 38


def test_sequences_and_cycles():
    edges = [Edge('b', 'c', False), Edge('a', 'b', False)]
    assert in_sequence(edges) == ('a', 'b', 'c')
    with pytest.raises(ValueError, match='cycle'):
        in_sequence([*edges, Edge('c', 'a', False)])
