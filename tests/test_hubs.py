import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp import hubs
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.release import ColumnRelease


def three_way(seed, shape=(2, 4, 3)):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(np.prod(shape))).reshape(shape) * 0.9 + 0.1 / np.prod(shape)


def pairs_of(law):
    return law.sum(0), law.sum(2), law.sum(1)


@given(st.integers(0, 10**6))
def test_the_implied_law_has_the_pairs(seed):
    pairs = pairs_of(three_way(seed))
    for found, given_ in zip(pairs_of(hubs.implied(*pairs)), pairs, strict=True):
        np.testing.assert_allclose(found, given_, atol=2e-3)


@given(st.integers(0, 10**6))
def test_a_law_without_dependence_of_three_is_implied_by_its_pairs(seed):
    rng = np.random.default_rng(seed)
    a, b, c = rng.uniform(0.5, 2, (2, 4)), rng.uniform(0.5, 2, (2, 3)), rng.uniform(0.5, 2, (4, 3))
    law = a[:, :, None] * b[:, None, :] * c[None]
    law /= law.sum()
    np.testing.assert_allclose(hubs.implied(*pairs_of(law)), law, atol=1e-4)


def test_columns_can_be_swapped():
    pair, first, second = pairs_of(three_way(0))
    swapped = hubs.implied(pair.T, second, first)
    np.testing.assert_allclose(swapped.swapaxes(1, 2), hubs.implied(pair, first, second), atol=1e-3)


def test_negative_entries_are_cut():
    pair, first, second = pairs_of(three_way(1))
    pair[0, 0] = -0.01
    law = hubs.implied(pair, first, second)
    assert np.isfinite(law).all()
    assert law.min() >= 0
    assert law.sum() == pytest.approx(1)


def joint():
    """Two causes, an effect of both, a copy of the first cause, and something else."""
    law = np.zeros((2, 2, 2, 2, 2))
    for a, b, effect, copy, other in np.ndindex(*law.shape):
        likely = (0.1, 0.5, 0.5, 0.9)[2 * a + b]
        p = 0.25 * (likely if effect else 1 - likely) * (1 - 0.001 if copy == a else 0.001) / 2
        law[a, b, effect, copy, other] = p
    return law / law.sum()


def laws_of(law):
    ones = [law.sum(tuple(k for k in range(5) if k != i)) for i in range(5)]

    def pair(i, j):
        table = law.sum(tuple(k for k in range(5) if k not in (i, j)))
        return table if i < j else table.T

    return ones, pair


def test_what_two_columns_tell_together_makes_a_hub():
    ones, pair = laws_of(joint())
    worth = [hubs.usefulness(i, ones, pair) for i in range(5)]
    assert int(np.argmax(worth)) == 2
    assert worth[4] == pytest.approx(0, abs=1e-6)
    assert hubs.choose(range(5), ones, pair, 1) == (2,)
    assert hubs.choose([4, 3], ones, pair, 2) == (3, 4)


def test_partners_are_the_most_telling():
    _, pair = laws_of(joint())
    assert hubs.partners(3, 5, pair, 2) == [0, 2]
    assert hubs.partners(3, 5, pair, 9) == [0, 1, 2, 4]


def test_lookup_knows_both_orders():
    table = np.arange(6.0).reshape(2, 3)
    law = hubs.lookup([(0, 1)], [table])
    np.testing.assert_array_equal(law(0, 1), table)
    np.testing.assert_array_equal(law(1, 0), table.T)


def column(name, n_cells, *, number=False):
    codes = np.arange(n_cells)
    if number:
        domain = NumericalDomain(name, 'numerical', 0, n_cells - 1, (1, 1), False)
    else:
        domain = CategoricalDomain(name, 'categorical', tuple(map(str, codes)), False)
    return ColumnRelease(domain, (), codes, codes, codes, n_cells)


COLUMNS = [column('a', 2), column('b', 9), column('c', 1), column('d', 5, number=True)]


@pytest.mark.parametrize(
    ('names', 'expected'),
    [(None, [0]), (['d', 'a'], [0, 3]), (['b'], [1]), (['c'], []), ([], [])],
)
def test_candidates(names, expected):
    assert hubs.candidates(COLUMNS, names) == expected


def test_two_columns_have_no_hub():
    assert hubs.candidates(COLUMNS[:2], None) == []
    assert hubs.candidates([*COLUMNS[:2], column('e', 65)], ['e']) == []


def test_independent_pairs_imply_the_product():
    rng = np.random.default_rng(2)
    h, a, b = (rng.dirichlet(np.full(n, 2.0)) for n in (3, 4, 2))
    law = hubs.implied(np.outer(a, b), np.outer(h, a), np.outer(h, b))
    np.testing.assert_allclose(law, h[:, None, None] * a[:, None] * b, atol=1e-7)


def test_information_is_nothing_without_dependence_and_the_entropy_of_a_copy():
    law = np.array([0.2, 0.3, 0.5])
    assert hubs.information(np.outer(law, [0.4, 0.6])) == pytest.approx(0, abs=1e-6)
    entropy = -np.sum(law * np.log(law))
    assert hubs.information(np.diag(law)) == pytest.approx(entropy, abs=1e-5)
