"""Real tables that come with the package, each with metadata written by hand."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files

import pandas as pd
from sdv.metadata import Metadata


def load_adult() -> tuple[dict[str, pd.DataFrame], Metadata]:
    """The Adult table (census income, 48,842 rows x 15) and its metadata.

    Missing values (in ``workclass``, ``occupation`` and ``native_country``) are kept. The ranges
    in the metadata were declared by hand, not detected, so ``public_domain=True`` may be used.

    Becker, B. and Kohavi, R. (1996), Adult, UCI Machine Learning Repository,
    https://doi.org/10.24432/C5XW20, licensed under CC BY 4.0.

    Returns:
        The table as ``{'adult': DataFrame}``, and its metadata.
    """
    folder = files('sdv_slicedp') / 'data'
    description = json.loads((folder / 'adult.metadata.json').read_text(encoding='utf-8'))
    columns = description['tables']['adult']['columns']
    dtypes = {
        name: 'int64' if column['sdtype'] == 'numerical' else object
        for name, column in columns.items()
    }
    with (folder / 'adult.csv.gz').open('rb') as packed, gzip.open(packed) as text:
        table = pd.read_csv(text, dtype=dtypes, keep_default_na=False, na_values=[''])
    return {'adult': table}, Metadata.load_from_dict(description)
