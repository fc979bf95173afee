"""One record replaced by a strange one must not show in the structure of a release."""

from __future__ import annotations

import numpy as np
import pytest
from memory import remembered_accounting
from structure import EPSILON, OUTLIER, RUNS, SECRET, certain, leaked


@pytest.fixture(scope='module', autouse=True)
def _remember():
    with pytest.MonkeyPatch.context() as patch:
        remembered_accounting(patch)
        yield


@pytest.mark.parametrize(
    'record', [(OUTLIER, SECRET), (np.nan, None), (-np.inf, ''), (0.1, True)], ids=repr
)
def test_one_record_shows_nowhere(record):
    # False alarms: 18 features and directions at 2e-7 each, below 4e-6.
    assert leaked(record) == set()


def test_domains_read_from_the_table_are_caught():
    found = leaked((OUTLIER, SECRET), attested=True)
    assert {'large range', 'the category', 'categories'} <= found


@pytest.mark.parametrize('epsilon', [EPSILON, 2 * EPSILON])
def test_so_few_runs_can_show_a_leak(epsilon):
    assert certain(RUNS, 0, epsilon)
    assert not certain(RUNS, RUNS // 2, epsilon)
