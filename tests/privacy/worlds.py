"""Two tables with the same public schema that have nothing else in common, and what they share."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata

from sdv_slicedp.accounting import Ledger
from sdv_slicedp.mechanism import measure, measure_projection
from sdv_slicedp.release import Release
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

TABLE = 'people'
QUICK = {
    'epochs': 3,
    'n_components': 4,
    'slices_per_step': 16,
    'random_state': 0,
    'enable_gpu': False,
}

SCHEMA: dict[str, dict[str, Any]] = {
    'key': {'sdtype': 'id', 'regex_format': 'K[A-Z]{5}'},
    'account': {'sdtype': 'id'},
    'email': {'sdtype': 'email', 'pii': True},
    'note': {'sdtype': 'unknown', 'pii': True},
    'amount': {'sdtype': 'numerical'},
    'rate': {'sdtype': 'numerical'},
    'visits': {'sdtype': 'numerical'},
    'place': {'sdtype': 'categorical'},
    'grade': {'sdtype': 'ordinal'},
    'code': {'sdtype': 'categorical'},
    'member': {'sdtype': 'boolean'},
    'day': {'sdtype': 'datetime'},
    'seen': {'sdtype': 'datetime', 'datetime_format': '%Y-%m-%d %H:%M:%S'},
}

ATTESTED: dict[str, dict[str, Any]] = {
    'amount': {'range_min': -100, 'range_max': 900, 'decimal_places': 0},
    'rate': {'range_min': 0.0, 'range_max': 1.0, 'decimal_places': 2},
    'visits': {'range_min': 0, 'range_max': 9, 'decimal_places': 0},
    'place': {'range_values': ['Oslo', 'Rome', 'Bonn']},
    'grade': {'range_values': ['low', 'mid', 'high']},
    'code': {'range_values': [1, 2, 3]},
    'member': {'range_is_nullable': True},
    'day': {'range_min': pd.Timestamp('2000-01-01'), 'range_max': pd.Timestamp('2009-12-31')},
    'seen': {'range_min': '2000-01-01 00:00:00', 'range_max': '2009-12-31 23:59:59'},
}
"""Declarations that could be public; both tables are full of values outside."""

CANARY_NUMBER = 987654321.25
CANARY_TEXTS = ('CANARY_9f3', 'KCANAR', 'canary9f3@private.example', 'a canary sang')
CANARY_INTEGER = 5557779991
CANARY_TIMES = ('1987-06-05 04:03:02', '1988-07-06 05:04:03')

PUBLIC_DOMAINS = [False, ['amount', 'place', 'seen'], True]
MECHANISMS = ['histogram', 'projection']
PUBLIC_ROWS = 200
"""Rows of both tables where their number is public, which it is for the projection mechanism."""


def first_world() -> pd.DataFrame:
    """200 rows: complete integers, category dtypes, planted canaries."""
    rng = np.random.default_rng(1)
    n = 200
    days = pd.Timestamp('1985-01-01') + pd.to_timedelta(rng.integers(0, 900, n), 'D')
    seen = pd.Timestamp('1986-01-01') + pd.to_timedelta(rng.integers(0, 10**7, n), 's')
    table = pd.DataFrame(
        {
            'key': [f'KA{chr(65 + i // 26 % 26)}{chr(65 + i % 26)}ZZ' for i in range(n)],
            'account': rng.integers(10**9, 2 * 10**9, n),
            'email': [f'first{i}@private.example' for i in range(n)],
            'note': [f'a secret of the first world {i}' for i in range(n)],
            'amount': rng.integers(10, 60, n),
            'rate': rng.normal(5000, 300, n).round(4),
            'visits': pd.array(rng.integers(100, 120, n), dtype='Int64'),
            'place': rng.choice(['Lima', 'Cali'], n),
            'grade': pd.Categorical(rng.choice(['A', 'B', 'C'], n), ['C', 'A', 'B']),
            'code': rng.integers(70, 74, n),
            'member': rng.random(n) < 0.9,
            'day': days,
            'seen': pd.Series(seen).dt.strftime('%Y-%m-%d %H:%M:%S'),
        }
    )
    table.loc[7, ['key', 'place', 'email', 'note']] = CANARY_TEXTS[1], *CANARY_TEXTS[::2], 'x'
    table.loc[8, 'note'] = CANARY_TEXTS[3]
    table.loc[7, ['account', 'rate']] = CANARY_INTEGER, CANARY_NUMBER
    table.loc[9, 'code'] = CANARY_INTEGER
    table.loc[7, 'day'], table.loc[7, 'seen'] = pd.Timestamp(CANARY_TIMES[0]), CANARY_TIMES[1]
    return table


def second_world() -> pd.DataFrame:
    """350 rows: gaps everywhere, so other dtypes of the same families; other values."""
    rng = np.random.default_rng(2)
    n = 350

    def gaps(values: object, share: float) -> pd.Series:
        return pd.Series(values).mask(rng.random(n) < share)

    days = pd.Timestamp('2031-01-01') + pd.to_timedelta(rng.integers(0, 9000, n), 'D')
    seen = pd.Timestamp('2040-01-01') + pd.to_timedelta(rng.integers(0, 10**8, n), 's')
    return pd.DataFrame(
        {
            'key': [f'KQ{chr(65 + i // 26 % 26)}{chr(65 + i % 26)}QQ' for i in range(n)],
            'account': gaps(rng.integers(10, 99, n), 0.3),
            'email': gaps([f'second{i}@other.example' for i in range(n)], 0.5),
            'note': gaps([f'the second world keeps {i}' for i in range(n)], 0.2),
            'amount': gaps(rng.integers(-(10**6), 10**6, n), 0.2),
            'rate': gaps(rng.normal(0, 0.001, n), 0.6),
            'visits': gaps(rng.integers(0, 3, n), 0.4).astype('Int64'),
            'place': gaps(rng.choice([f'town {i}' for i in range(40)], n), 0.1),
            'grade': gaps(rng.choice(['x', 'y'], n), 0.05).astype('category'),
            'code': gaps(rng.integers(1, 4, n), 0.3),
            'member': gaps(rng.random(n) < 0.1, 0.4).astype(object),
            'day': gaps(days + pd.to_timedelta(rng.integers(0, 86_400, n), 's'), 0.1),
            'seen': gaps(pd.Series(seen).dt.strftime('%Y-%m-%d %H:%M:%S'), 0.2),
        }
    )


WORLDS = {'first': first_world, 'second': second_world}


@functools.cache
def _detected(make_table: Callable[[], pd.DataFrame]) -> dict[str, dict[str, Any]]:
    detected = Metadata.detect_from_dataframes({TABLE: make_table()})
    return detected.to_dict()['tables'][TABLE]['columns']


def metadata_of(world: str, public_domain: bool | list[str]) -> Metadata:
    """Metadata as users have it: ranges read from the table, but for what they attest."""
    detected = _detected(WORLDS[world])
    attested = SCHEMA if public_domain is True else public_domain or []
    columns = copy.deepcopy(SCHEMA)
    for name, column in columns.items():
        read = {k: v for k, v in detected[name].items() if k.startswith(('range', 'decimal'))}
        sdtypes = {detected[name]['sdtype'], column['sdtype']}
        same = len(sdtypes) == 1 or sdtypes == {'categorical', 'ordinal'}
        column.update(ATTESTED.get(name, {}) if name in attested else read if same else {})
    description = {'columns': columns, 'primary_key': 'key'}
    return Metadata.load_from_dict({'tables': {TABLE: description}, 'relationships': []})


def make_synthesizer(
    world: str, public_domain: bool | list[str], **options: Any
) -> SlicedDPSynthesizer:
    """An unfitted synthesizer, quick to train."""
    return SlicedDPSynthesizer(
        metadata_of(world, public_domain), public_domain=public_domain, **{**QUICK, **options}
    )


def rows_for(mechanism: str, table: pd.DataFrame) -> pd.DataFrame:
    """As much of a table as two tables that a guarantee compares may have."""
    return table.head(PUBLIC_ROWS) if mechanism == 'projection' else table


def fixed_release(public_domain: bool | list[str], mechanism: str = 'histogram') -> Release:
    """A release of the schema that neither table had a part in."""
    synthesizer = make_synthesizer('first', public_domain, epsilon=20.0)
    names = [domain.name for domain in synthesizer._domains()]
    rng = np.random.default_rng(3)
    public = pd.DataFrame({name: rng.integers(0, 10**6, 500) / 100 for name in names})
    public.loc[:50, ['rate', 'visits']] = np.nan
    for name, values in {
        'place': ['Rome', 'Bonn'],
        'grade': ['low', 'high'],
        'code': [1, 2],
        'member': [True, False],
    }.items():
        public[name] = pd.Series(rng.choice(np.array([*values, None], dtype=object), 500))
    ask = measure_projection if mechanism == 'projection' else measure
    return ask(
        rows_for(mechanism, public),
        synthesizer._domains(),
        epsilon=20.0,  # so few rows have slices of three columns only where noise is small
        delta=1e-6,
        ledger=Ledger(),
        public_columns=synthesizer._attested(),
    )
