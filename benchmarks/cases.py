"""Tables that the benchmarks are run on. All of them are public."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata

from sdv_slicedp.datasets import load_adult
from sdv_slicedp.files import load_metadata, read_table

TABLE = 'table'


@dataclass(frozen=True)
class Case:
    """One table to measure on.

    Attributes:
        name: What the results call it.
        kind: ``adult``, ``tiled``, ``independent`` or ``file``.
        rows: Number of rows; ``None`` for as many as the source has.
        columns: Number of columns of the made-up kinds.
        table: CSV file of the kind ``file``.
        metadata: Its SDV metadata.
    """

    name: str
    kind: str
    rows: int | None = None
    columns: int | None = None
    table: str | None = None
    metadata: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def load(case: Case) -> tuple[dict[str, pd.DataFrame], Metadata]:
    """The table of a case, ``{name: DataFrame}``, and its metadata."""
    if case.kind == 'file':
        return _from_file(Path(case.table or ''), Path(case.metadata or ''), case.rows)
    if case.kind == 'independent':
        return _independent(case.rows or 50_000, case.columns or 15)
    tables, metadata = load_adult()
    columns = metadata.to_dict()['tables']['adult']['columns']
    table = tables['adult']
    if case.columns:
        table, columns = _tiled(table, columns, case.columns)
    return {TABLE: resampled(table, case.rows)}, described(columns)


def resampled(table: pd.DataFrame, rows: int | None) -> pd.DataFrame:
    """``rows`` rows of a table, drawn with replacement."""
    if rows is None or rows == len(table):
        return table
    chosen = np.random.default_rng(0).integers(0, len(table), rows)
    return table.take(chosen).reset_index(drop=True)


def described(columns: dict[str, dict[str, Any]]) -> Metadata:
    """Metadata of one table with these columns."""
    return Metadata.load_from_dict({'tables': {TABLE: {'columns': columns}}, 'relationships': []})


def _from_file(
    path: Path, metadata_path: Path, rows: int | None
) -> tuple[dict[str, pd.DataFrame], Metadata]:
    metadata = load_metadata(metadata_path)
    (name,) = metadata.tables
    table = read_table(path, metadata.tables[name].columns)
    return {name: resampled(table, rows)}, metadata


def _tiled(
    table: pd.DataFrame, columns: dict[str, dict[str, Any]], n_columns: int
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Adult beside renamed copies of itself; the rows of every copy are in another order."""
    rng = np.random.default_rng(0)
    parts, described_as = [], {}
    while len(described_as) < n_columns:
        number = len(parts)
        names = list(columns)[: n_columns - len(described_as)]
        renamed = {name: f'{name}_{number}' if number else name for name in names}
        order = rng.permutation(len(table)) if number else np.arange(len(table))
        part = table[names].take(order).rename(columns=renamed)
        parts.append(part.reset_index(drop=True))
        described_as.update({renamed[name]: columns[name] for name in names})
    return pd.concat(parts, axis=1), described_as


def _independent(rows: int, n_columns: int) -> tuple[dict[str, pd.DataFrame], Metadata]:
    """Columns without any dependence: numbers and categories in turn."""
    rng = np.random.default_rng(0)
    letters = np.array(list('abcdefgh'), dtype=object)
    frame: dict[str, Any] = {}
    columns: dict[str, dict[str, Any]] = {}
    for i in range(n_columns):
        name = f'column_{i}'
        if i % 2 == 0:
            frame[name] = np.minimum(rng.exponential(100.0, rows).round(1), 2_000.0)
            columns[name] = {'sdtype': 'numerical', 'range_min': 0, 'range_max': 2_000}
            columns[name] |= {'decimal_places': 1, 'range_is_nullable': False}
        else:
            frame[name] = letters[np.minimum(rng.geometric(0.4, rows) - 1, 7)]
            columns[name] = {'sdtype': 'categorical', 'range_values': list(letters)}
            columns[name] |= {'range_is_nullable': False}
    return {TABLE: pd.DataFrame(frame)}, described(columns)
