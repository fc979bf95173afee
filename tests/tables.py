"""A table with everything in it, and metadata for it."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
from sdv.metadata import Metadata

N_ROWS = 400
TABLE = 'mixed'
QUICK = {'epochs': 20, 'n_components': 40, 'slices_per_step': 16, 'random_state': 0}

MIXED_COLUMNS = {
    'key': {'sdtype': 'id', 'regex_format': 'K[A-Z]{4}'},
    'account': {'sdtype': 'id'},
    'email': {'sdtype': 'email', 'pii': True},
    'note': {'sdtype': 'unknown', 'pii': True},
    'age': {
        'sdtype': 'numerical',
        'range_min': 0,
        'range_max': 120,
        'decimal_places': 0,
        'range_is_nullable': False,
    },
    'income': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 9000.5, 'decimal_places': 2},
    'points': {'sdtype': 'numerical', 'range_min': -50, 'range_max': 50, 'decimal_places': 0},
    'ratio': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 1, 'decimal_places': 1},
    'floor': {
        'sdtype': 'numerical',
        'range_min': -3,
        'range_max': 100,
        'decimal_places': 0,
        'range_is_nullable': False,
    },
    'city': {'sdtype': 'categorical', 'range_values': ['Oslo', 'Rome', 'Bonn']},
    'grade': {'sdtype': 'ordinal', 'range_values': ['low', 'mid', 'high']},
    'size': {'sdtype': 'ordinal', 'range_values': [1, 2, 3], 'range_is_nullable': False},
    'member': {'sdtype': 'boolean', 'range_is_nullable': False},
    'opted': {'sdtype': 'boolean'},
    'flag': {'sdtype': 'boolean'},
    'born': {
        'sdtype': 'datetime',
        'datetime_format': '%d/%m/%Y',
        'range_min': '01/01/1950',
        'range_max': '31/12/2010',
    },
    'seen': {
        'sdtype': 'datetime',
        'datetime_format': '%Y-%m-%d %H:%M:%S',
        'range_min': '2020-01-01 00:00:00',
        'range_max': '2021-12-31 23:59:59',
    },
    'zoned': {
        'sdtype': 'datetime',
        'datetime_format': '%Y-%m-%d %H:%M',
        'range_min': '2020-01-01 00:00',
        'range_max': '2020-12-31 23:59',
    },
    'title': {'sdtype': 'categorical', 'range_values': ['Dr', 'Ms', 'Mr']},
}


def make_mixed_table(n_rows: int = N_ROWS, seed: int = 0) -> pd.DataFrame:
    """A table with every sdtype, missing values, extension dtypes and the category dtype."""
    rng = np.random.default_rng(seed)

    def with_gaps(values: object, share: float = 0.1) -> pd.Series:
        return pd.Series(values).mask(rng.random(n_rows) < share)

    letters = np.array(list('ABCDEFGHIJKLMNOPQRSTUVWXYZ'))
    age = np.clip(rng.normal(45, 15, n_rows), 0, 120).round().astype(np.int64)
    days = rng.integers(0, 20_000, n_rows)
    seconds = rng.integers(0, 600 * 86_400, n_rows)
    start = pd.Timestamp('2020-01-01')
    born = (pd.Timestamp('1950-01-01') + pd.to_timedelta(days, 'D')).strftime('%d/%m/%Y')
    zoned = pd.Series(start + pd.to_timedelta(seconds // 120 * 60, 's'))
    return pd.DataFrame(
        {
            'key': ['K' + ''.join(row) for row in letters[rng.integers(0, 26, (n_rows, 4))]],
            'account': rng.integers(10**6, 10**7, n_rows),
            'email': [f'person{i}@private.example' for i in range(n_rows)],
            'note': with_gaps([f'private note {i}' for i in range(n_rows)]),
            'age': age,
            'income': with_gaps((age * 60 + rng.random(n_rows) * 1000).round(2)),
            'points': with_gaps(rng.integers(-50, 51, n_rows)).astype('Int64'),
            'ratio': with_gaps(rng.integers(0, 11, n_rows) / 10).astype('Float32'),
            'floor': rng.integers(-3, 60, n_rows).astype(np.int8),
            'city': with_gaps(rng.choice(['Oslo', 'Rome', 'Bonn'], n_rows, p=[0.6, 0.3, 0.1])),
            'grade': with_gaps(rng.choice(['low', 'mid', 'high'], n_rows)).astype('category'),
            'size': rng.choice([1, 2, 3], n_rows),
            'member': rng.random(n_rows) < 0.3,
            'opted': with_gaps(rng.random(n_rows) < 0.5).astype('boolean'),
            'flag': with_gaps(rng.random(n_rows) < 0.5).astype(object),
            'born': with_gaps(born),
            'seen': with_gaps(start + pd.to_timedelta(seconds, 's')),
            'zoned': with_gaps(zoned).dt.tz_localize('UTC').dt.tz_convert('Europe/Paris'),
            'title': with_gaps(rng.choice(['Dr', 'Ms', 'Mr'], n_rows)).astype('string'),
        }
    )


def make_metadata(columns: dict[str, dict[str, object]], **table: object) -> Metadata:
    """Metadata of one table ``mixed``."""
    description = {'columns': copy.deepcopy(columns), **table}
    return Metadata.load_from_dict({'tables': {TABLE: description}, 'relationships': []})
