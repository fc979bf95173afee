"""Released projections: checked, immutable, comparable, and floats in the encoding's units."""

import copy
import pickle

import numpy as np
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st

from sdv_slicedp.directions import DIRECTION_UNIT, draw_directions
from sdv_slicedp.projection import Projection, narrowest

PITCH = 3 * 2.0**-42


def make(n=7, d=3, m=2, seed=0, values=None, **changes) -> Projection:
    rng = np.random.default_rng(seed)
    values = rng.integers(-50_000, 50_000, (n, m)) if values is None else np.array(values)
    fields = {
        'kind': 'sphere',
        'directions': draw_directions('sphere', d, m),
        'values': values,
        'pitch': PITCH,
        'sigma': 4096 * PITCH,
    }
    return Projection(**{**fields, **changes})


@given(st.integers(0, 5), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 2**20, 2**45]))
def test_copies_are_equal_and_immutable(n, d, m, scale):
    values = scale * np.random.default_rng(n).integers(-100, 100, (n, m))
    projection = make(n, d, m, values=values)
    for twin in (projection, copy.deepcopy(projection), pickle.loads(pickle.dumps(projection))):
        assert twin == projection
        assert twin.values.tolist() == values.tolist()
        for array in (twin.directions, twin.values):
            with pytest.raises(ValueError, match='WRITEABLE'):
                array.setflags(write=True)


def test_what_was_passed_may_change_afterwards():
    values = np.arange(6).reshape(3, 2)
    projection = make(values=values)
    values[0, 0] = 99

    assert projection.values[0, 0] == 0


@pytest.mark.parametrize('reach', [2**31 - 1, 2**31, 2**62])
@pytest.mark.parametrize('sign', [1, -1])
def test_values_take_no_more_memory_than_they_need(reach, sign):
    for given_type in (np.int64, narrowest(reach)):
        values = np.array([[sign * reach, 0]], dtype=given_type)
        projection = make(values=values)

        assert projection.values.dtype == (np.int32 if reach < 2**31 else np.int64)
        assert projection.values.tolist() == [[sign * reach, 0]]
        assert projection == make(values=values.astype(np.int64), directions=projection.directions)


def test_the_smallest_integer_is_not_mistaken():
    assert make(values=[[-(2**63), 0]]).values.dtype == np.int64


@pytest.mark.parametrize(
    ('change', 'error'),
    [
        ({'kind': 'gaussian'}, ValueError),
        ({'kind': None}, ValueError),
        ({'directions': np.zeros((3, 2), dtype=int)}, ValueError),
        ({'directions': np.full((3, 2), -(2**63))}, ValueError),
        ({'directions': np.full((3, 2), DIRECTION_UNIT)}, ValueError),
        ({'directions': np.zeros((0, 2), dtype=int)}, ValueError),
        ({'directions': np.zeros((3, 0), dtype=int)}, ValueError),
        ({'directions': np.array([DIRECTION_UNIT, 0, 0])}, ValueError),
        ({'directions': np.eye(3, 2)}, TypeError),
        ({'values': np.zeros((7, 3), dtype=int)}, ValueError),
        ({'values': np.zeros(7, dtype=int)}, ValueError),
        ({'values': np.zeros((7, 2))}, TypeError),
        ({'values': np.zeros((7, 2), dtype=np.uint64)}, TypeError),
        ({'pitch': 0.0}, ValueError),
        ({'pitch': np.nan}, ValueError),
        ({'pitch': '1'}, TypeError),
        ({'sigma': -1.0}, ValueError),
        ({'sigma': np.inf}, ValueError),
    ],
)
def test_what_makes_no_sense_is_refused(change, error):
    with pytest.raises(error, match=next(iter(change))):
        make(**change)


@examples(20)
@given(st.integers(0, 9), st.integers(1, 3), st.integers(1, 4))
def test_floats_are_in_units_of_the_encoding(n, m, k):
    projection = make(n, 4, m)
    coefficients = np.random.default_rng(1).normal(size=(m, k))

    plain, combined = projection.rows(), projection.rows(coefficients)

    exact = projection.values * projection.pitch
    assert plain.dtype == combined.dtype == np.float32
    assert np.allclose(plain, exact, rtol=1e-6, atol=0)
    assert np.allclose(combined, exact @ coefficients, rtol=1e-5, atol=1e-6 * PITCH * 2**17)
    assert np.array_equal(projection.matrix * 2**22, projection.directions)
    assert projection.n_rows == n


def test_many_rows_are_combined_in_parts(monkeypatch):
    projection, coefficients = make(50), np.array([[1.0], [-2.0]])
    whole = projection.rows(coefficients)
    monkeypatch.setattr('sdv_slicedp.projection._CHUNK', 14)

    assert np.array_equal(projection.rows(coefficients), whole)


def test_others_are_not_equal():
    projection = make()

    assert projection != make(directions=projection.directions, sigma=1.0)
    assert projection != make(directions=projection.directions, seed=1)
    assert projection != 'projection'
    assert make().directions.tolist() != make().directions.tolist()
