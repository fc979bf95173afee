"""One record replaced by a strange one must not show in the structure of a projection release.

At epsilon = 0.1 and with features that are there or not, as in ``test_audit.py``: a leak that goes
around the noise does not shrink with epsilon. The number of rows is public and stays the same.
"""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from memory import remembered_accounting
from scipy.stats import beta
from state import encodings

from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.ledger import Ledger
from sdv_slicedp.mechanism import measure_projection

EPSILON, DELTA, RUNS, ALPHA = 0.1, 1e-6, 28, 1e-7
"""28 runs are enough to catch a feature that is always there with the record, never without."""
OUTLIER, SECRET, N_ROWS = 987654321.25, 'CANARY_9f3', 947
PLAIN = (45.0, 'p')
Domains = tuple[ColumnDomain, ...]
UNKNOWN: Domains = (
    NumericalDomain('amount', 'numerical', None, None, None, True),
    CategoricalDomain('word', 'categorical', None, True),
)


@pytest.fixture(scope='module', autouse=True)
def _remember():
    with pytest.MonkeyPatch.context() as patch:
        remembered_accounting(patch)
        yield


def table_with(record: tuple[Any, Any]) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    amount = rng.integers(0, 90, N_ROWS).astype(np.float64)
    word = rng.choice(np.array(['p', 'q'], dtype=object), N_ROWS)
    amount[-1], word[-1] = record
    return pd.DataFrame({'amount': amount, 'word': word})


def read_from(table: pd.DataFrame) -> Domains:
    """The twin: a domain that is said to be public, and was read from the rows."""
    largest = int(np.nanmax(table['amount']) * 100)
    words = tuple(sorted(table['word'].dropna().unique()))
    missing = bool(table['amount'].isna().any())
    return (
        NumericalDomain('amount', 'numerical', 0, largest, (1, 100), missing),
        CategoricalDomain('word', 'categorical', words, missing),
    )


def features(table: pd.DataFrame, domains: Domains) -> dict[str, bool]:
    release = measure_projection(table, domains, epsilon=EPSILON, delta=DELTA, ledger=Ledger())
    number, word = (column.domain for column in release.columns)
    saved = pickle.dumps(release)
    return {
        'large range': number.upper / number.step[1] > 1e6,
        'decimals': number.step != (1, 1),
        'the number': any(text in saved for text in encodings(OUTLIER)),
        'the category': SECRET.encode() in saved,
        'categories': len(word.categories) > 2,
        'missing numbers': number.has_missing,
        'missing words': word.has_missing,
        'coordinates': len(release.projection.directions) > 5,
        'levels': [len(column.levels) for column in release.columns] != [1, 0],
    }


def hits(record: tuple[Any, Any], *, attested: bool = False) -> dict[str, int]:
    table = table_with(record)
    domains = read_from(table) if attested else UNKNOWN
    runs = [features(table, domains) for _ in range(RUNS)]
    return {name: sum(run[name] for run in runs) for name in runs[0]}


def certain(more: int, less: int) -> bool:
    """Whether a feature with these counts in two worlds shows more than epsilon."""
    least = 0.0 if more == 0 else float(beta.ppf(ALPHA, more, RUNS - more + 1))
    most = 1.0 if less == RUNS else float(beta.ppf(1 - ALPHA, less + 1, RUNS - less))
    return least - DELTA > math.exp(EPSILON) * most


def leaked(first: dict[str, int], second: dict[str, int]) -> set[str]:
    pairs = {name: (first[name], second[name]) for name in first}
    return {name for name, (a, b) in pairs.items() if certain(a, b) or certain(b, a)}


@pytest.fixture(scope='module')
def plain_hits() -> dict[str, int]:
    return hits(PLAIN)


@pytest.mark.parametrize(
    'record', [(OUTLIER, SECRET), (np.nan, None), (-np.inf, ''), (0.1, True)], ids=repr
)
def test_one_record_shows_nowhere(record, plain_hits):
    # False alarms: 18 features and directions at 2e-7 each, below 4e-6.
    assert leaked(hits(record), plain_hits) == set()


def test_domains_read_from_the_table_are_caught():
    found = leaked(hits((OUTLIER, SECRET), attested=True), hits(PLAIN, attested=True))
    assert {'large range', 'the category', 'categories'} <= found


def test_so_few_runs_can_show_a_leak():
    assert certain(RUNS, 0)
    assert not certain(RUNS, RUNS // 2)
