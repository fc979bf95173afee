"""Tables and synthesizers that the tests share, and hypothesis profiles."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable

# Before torch and numpy are loaded: pytest-xdist has a process for each core.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import pandas as pd
import pytest
from effort import THOROUGH
from hypothesis import HealthCheck, settings
from sdv.metadata import Metadata
from tables import MIXED_COLUMNS, QUICK, TABLE, make_metadata, make_mixed_table

from sdv_slicedp.synthesizer import SlicedDPSynthesizer

settings.register_profile(
    'default', deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    'thorough', settings.get_profile('default'), max_examples=100 * THOROUGH, derandomize=False
)
settings.load_profile(os.environ.get('HYPOTHESIS_PROFILE', 'default'))


@pytest.fixture
def mixed_table() -> pd.DataFrame:
    return make_mixed_table()


@pytest.fixture
def mixed_metadata() -> Metadata:
    return make_metadata(MIXED_COLUMNS, primary_key='key')


@pytest.fixture
def small_metadata() -> Metadata:
    return make_metadata({name: MIXED_COLUMNS[name] for name in ('age', 'income', 'city')})


@pytest.fixture
def small_table(mixed_table: pd.DataFrame) -> pd.DataFrame:
    return mixed_table[['age', 'income', 'city']].copy()


@pytest.fixture
def make_synthesizer() -> Callable[..., SlicedDPSynthesizer]:
    """Constructor with a short training and, unless told otherwise, attested ranges."""

    def make(metadata: Metadata, **options: object) -> SlicedDPSynthesizer:
        return SlicedDPSynthesizer(
            metadata, **{'epsilon': 10.0, 'public_domain': True, **QUICK, **options}
        )

    return make


@pytest.fixture(scope='session')
def _fitted_mixed() -> SlicedDPSynthesizer:
    metadata = make_metadata(MIXED_COLUMNS, primary_key='key')
    # Little noise, so that tests of what is sampled do not depend on luck.
    synthesizer = SlicedDPSynthesizer(metadata, epsilon=50.0, public_domain=True, **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        synthesizer.fit({TABLE: make_mixed_table()})
    return synthesizer


@pytest.fixture
def fitted(_fitted_mixed: SlicedDPSynthesizer) -> SlicedDPSynthesizer:
    """A synthesizer fitted on the mixed table, the test's own copy."""
    return copy.deepcopy(_fitted_mixed)
