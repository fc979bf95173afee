"""The ledger holds entries of both kinds, and only such whose cost is defined."""

import dataclasses
import math

import numpy as np
import pytest

from sdv_slicedp.ledger import Ledger, LedgerEntry, ProjectionEntry, drawn_scale

COUNTS = LedgerEntry('domain', 'bounds', 3, 5.0, 30)
PROJECTION = ProjectionEntry(
    stage='projection',
    description='text',
    directions='sphere',
    dimension=20,
    slices=10,
    sensitivity=2.0,
    rounding=1e-3,
    sigma=4.0,
    lattice_scale=4096.0,
)


def test_both_kinds_are_recorded_in_order():
    ledger = Ledger()
    ledger.record(COUNTS)
    ledger.record(PROJECTION)

    assert ledger.entries == (COUNTS, PROJECTION)
    assert [drawn_scale(entry) for entry in ledger.entries] == [5.0, 4096.0]


def test_only_drawable_scales_are_recorded():
    ledger = Ledger()
    for entry, name in (
        (dataclasses.replace(COUNTS, sigma=0.3), 'sigma'),
        (dataclasses.replace(PROJECTION, lattice_scale=4096.0001), 'lattice_scale'),
        (dataclasses.replace(PROJECTION, lattice_scale=2.0**21), 'lattice_scale'),
    ):
        with pytest.raises(ValueError, match=f'{name} must be admissible'):
            ledger.record(entry)
    with pytest.raises(TypeError, match='ProjectionEntry'):
        ledger.record('entry')
    assert ledger.entries == ()


@pytest.mark.parametrize(
    'change',
    [
        {'directions': 'gaussian'},
        {'dimension': 0},
        {'dimension': 2.0},
        {'slices': True},
        {'sensitivity': 0.0},
        {'sensitivity': math.inf},
        {'rounding': -1e-9},
        {'rounding': math.nan},
        {'sigma': math.nan},
        {'lattice_scale': '4096'},
        {'threshold_delta': 1.0},
        {'stage': None},
    ],
)
def test_projections_without_a_defined_cost_are_refused(change):
    with pytest.raises((TypeError, ValueError), match=next(iter(change))):
        dataclasses.replace(PROJECTION, **change)


def test_numbers_of_numpy_become_plain_ones():
    entry = dataclasses.replace(PROJECTION, slices=np.int64(7), sigma=np.float64(3.0), rounding=0)

    assert (type(entry.slices), type(entry.sigma), type(entry.rounding)) == (int, float, float)
