"""The synthesizers that the contract is run against, and a small table with a bit of everything."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata
from sdv.single_table import GaussianCopulaSynthesizer
from tables import QUICK

from sdv_slicedp.synthesizer import SlicedDPSynthesizer

OURS = ('histogram', 'projection')
KINDS = (*OURS, 'copula')
NAME = 'people'
COLUMNS = {
    'key': {'sdtype': 'id', 'regex_format': 'K[A-Z]{4}'},
    'email': {'sdtype': 'email', 'pii': True},
    'note': {'sdtype': 'unknown', 'pii': True},
    'age': {
        'sdtype': 'numerical',
        'range_min': 0,
        'range_max': 99,
        'decimal_places': 0,
        'range_is_nullable': False,
    },
    'profit': {
        'sdtype': 'numerical',
        'range_min': -500,
        'range_max': 500,
        'decimal_places': 1,
        'range_is_nullable': True,
    },
    'city': {
        'sdtype': 'categorical',
        'range_values': ['Oslo', 'Rome', 'Bonn'],
        'range_is_nullable': True,
    },
    'code': {'sdtype': 'categorical', 'range_values': [3, 5, 8], 'range_is_nullable': False},
    'member': {'sdtype': 'boolean', 'range_is_nullable': False},
    'born': {
        'sdtype': 'datetime',
        'datetime_format': '%d %b %Y',
        'range_min': '01 Jan 1950',
        'range_max': '31 Dec 2009',
        'range_is_nullable': False,
    },
}


def metadata_of(names: Sequence[str] = tuple(COLUMNS), **described: Any) -> Metadata:
    """Metadata of some columns; ``described`` replaces or adds columns."""
    columns = {**{name: dict(COLUMNS[name]) for name in names}, **described}
    table = {'columns': columns, **({'primary_key': 'key'} if 'key' in columns else {})}
    return Metadata.load_from_dict({'tables': {NAME: table}, 'relationships': []})


def people(n: int = 200, seed: int = 0) -> pd.DataFrame:
    """A made-up table that its declared domain holds."""
    rng = np.random.default_rng(seed)
    age = rng.integers(10, 70, n)
    born = pd.Timestamp('2009-12-31') - pd.to_timedelta(age * 300 + rng.integers(0, 300, n), 'D')
    return pd.DataFrame(
        {
            'key': [f'K{"".join(row)}' for row in rng.choice(list('ABCDEFGH'), (n, 4))],
            'email': [f'person{i}@private.example' for i in range(n)],
            'note': [f'private note {i}' for i in range(n)],
            'age': age,
            'profit': pd.Series((age * 5.0 - 250 + rng.normal(0, 20, n)).round(1)).mask(
                rng.random(n) < 0.2
            ),
            'city': pd.Series(rng.choice(['Oslo', 'Rome', 'Bonn'], n)).mask(rng.random(n) < 0.2),
            'code': rng.choice([3, 5, 8], n),
            'member': rng.random(n) < 0.4,
            'born': born.strftime('%d %b %Y'),
        }
    ).drop_duplicates('key', ignore_index=True)


def make(kind: str, metadata: Metadata, **options: Any) -> Any:
    """A synthesizer of a kind; ours attest the declared ranges and add little noise."""
    if kind == 'copula':
        return GaussianCopulaSynthesizer(metadata, **options)
    quick = {**QUICK, 'epochs': 5, 'n_components': 20}
    ours = {'epsilon': 50.0, 'public_domain': True, 'mechanism': kind, **quick}
    return SlicedDPSynthesizer(metadata, **{**ours, **options})


def fit(kind: str, metadata: Metadata, table: pd.DataFrame, **options: Any) -> Any:
    """A fitted synthesizer; the warnings of the control's fits are its own affair."""
    synthesizer = make(kind, metadata, **options)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore' if kind == 'copula' else 'error')
        synthesizer.fit({NAME: table})
    return synthesizer
