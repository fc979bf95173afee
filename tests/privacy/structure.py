"""What one strange record would show in the structure of a release.

At epsilon = 0.1 and with features that are there or not: a leak that goes around the noise does not
shrink with epsilon. The number of rows stays the same.
"""

from __future__ import annotations

import functools
import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
from state import encodings

from sdv_slicedp import mechanism as mechanisms
from sdv_slicedp.audit_statistics import lower, upper
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.ledger import Ledger

EPSILON, DELTA, RUNS, ALPHA = 0.1, 1e-6, 28, 1e-7
"""28 runs are enough to catch a feature that is always there with the record, never without."""
OUTLIER, SECRET, N_ROWS = 987654321.25, 'CANARY_9f3', 947
PLAIN = (45.0, 'p')
Domains = tuple[ColumnDomain, ...]
UNKNOWN: Domains = (
    NumericalDomain('amount', 'numerical', None, None, None, True),
    CategoricalDomain('word', 'categorical', None, True),
)


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


def features(table: pd.DataFrame, domains: Domains, mechanism: str) -> dict[str, bool]:
    ask = mechanisms.measure if mechanism == 'histogram' else mechanisms.measure_projection
    release = ask(table, domains, epsilon=EPSILON, delta=DELTA, ledger=Ledger())
    number, word = (column.domain for column in release.columns)
    saved = pickle.dumps(release)
    found = {
        'large range': number.upper / number.step[1] > 1e6,
        'decimals': number.step != (1, 1),
        'the number': any(text in saved for text in encodings(OUTLIER)),
        'the category': SECRET.encode() in saved,
        'categories': len(word.categories) > 2,
        'missing numbers': number.has_missing,
        'missing words': word.has_missing,
    }
    if release.projection is not None:
        found['coordinates'] = len(release.projection.directions) > 5
        found['levels'] = [len(column.levels) for column in release.columns] != [1, 0]
    return found


@functools.cache
def hits(
    record: tuple[Any, Any], mechanism: str = 'projection', *, attested: bool = False
) -> dict[str, int]:
    table = table_with(record)
    domains = read_from(table) if attested else UNKNOWN
    runs = [features(table, domains, mechanism) for _ in range(RUNS)]
    return {name: sum(run[name] for run in runs) for name in runs[0]}


def certain(more: int, less: int, epsilon: float) -> bool:
    """Whether a feature with these counts in two worlds shows more than epsilon."""
    least, most = lower(more, RUNS, ALPHA), upper(less, RUNS, ALPHA)
    return least - 2 * DELTA * math.exp(epsilon) > math.exp(epsilon) * most


def leaked(
    record: tuple[Any, Any], mechanism: str = 'projection', *, attested: bool = False
) -> set[str]:
    """Features that tell whether one record is strange or plain.

    Replacing a record is removing one and adding another: 2 epsilon under ``add_or_remove_one``.
    """
    epsilon = EPSILON if mechanism == 'projection' else 2 * EPSILON
    first, second = (hits(r, mechanism, attested=attested) for r in (record, PLAIN))
    pairs = {name: (first[name], second[name]) for name in first}
    return {
        name for name, (a, b) in pairs.items() if certain(a, b, epsilon) or certain(b, a, epsilon)
    }
