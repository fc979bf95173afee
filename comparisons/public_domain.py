"""The public domain that every method is given, and tables as numbers on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sdv.metadata import Metadata

MODELLED = ('numerical', 'categorical', 'boolean', 'ordinal')

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Number:
    """A number in ``lower..upper`` with so many decimals."""

    name: str
    lower: float
    upper: float
    decimals: int
    has_missing: bool


@dataclass(frozen=True)
class Choice:
    """One of finitely many values."""

    name: str
    values: tuple[Any, ...]
    has_missing: bool

    @property
    def n_cells(self) -> int:
        """Number of values, the missing one included."""
        return len(self.values) + int(self.has_missing)


PublicColumn = Number | Choice


def public_columns(metadata: Metadata) -> list[PublicColumn]:
    """Declared domains of all columns of the one table.

    Raises:
        ValueError: If a column has no declared range; names all that lack one.
    """
    (table,) = metadata.tables.values()
    lacking = [name for name, column in table.columns.items() if not _declared(column)]
    if lacking:
        raise ValueError(
            f'The metadata lacks public domains for {lacking}: declare range_min, range_max and '
            'decimal_places of numbers, range_values of categories (comparisons leave out ids, '
            'datetimes and other columns that are not modelled; drop them from table and metadata).'
        )
    return [_public(name, column) for name, column in table.columns.items()]


def _declared(column: dict[str, Any]) -> bool:
    if column['sdtype'] == 'boolean':
        return True
    if column['sdtype'] == 'numerical':
        return {'range_min', 'range_max', 'decimal_places'} <= set(column)
    return column['sdtype'] in MODELLED and bool(column.get('range_values'))


def _public(name: str, column: dict[str, Any]) -> PublicColumn:
    missing = bool(column.get('range_is_nullable', True))
    if column['sdtype'] == 'numerical':
        lower, upper = float(column['range_min']), float(column['range_max'])
        return Number(name, lower, upper, int(column['decimal_places']), missing)
    if column['sdtype'] == 'boolean':
        return Choice(name, (False, True), missing)
    return Choice(name, tuple(column['range_values']), missing)


def encode(table: pd.DataFrame, columns: Sequence[PublicColumn]) -> pd.DataFrame:
    """Numbers as floats clipped to their range, NaN if missing; choices as codes.

    The code of a missing value is the last one; a value outside the declared ones becomes the
    missing value where there is one, else code 0. One row of ``table`` is one row of the result,
    and depends on no other.
    """
    return pd.DataFrame({column.name: _encoded(table[column.name], column) for column in columns})


def _encoded(values: pd.Series, column: PublicColumn) -> npt.NDArray[Any]:
    if isinstance(column, Number):
        floats = pd.to_numeric(values, errors='coerce').to_numpy(dtype=float, na_value=np.nan)
        clipped: Floats = np.clip(floats, column.lower, column.upper)
        return clipped if column.has_missing else np.nan_to_num(clipped, nan=column.lower)
    codes = pd.Categorical(values.astype(object), categories=list(column.values)).codes
    return np.where(codes < 0, len(column.values) * column.has_missing, codes).astype(np.int64)


def decode(
    encoded: pd.DataFrame, columns: Sequence[PublicColumn], like: pd.DataFrame
) -> pd.DataFrame:
    """Inverse of :func:`encode`: numbers rounded to their decimals, data types of ``like``."""
    frame = {}
    for column in columns:
        values = encoded[column.name].to_numpy()
        if isinstance(column, Number):
            rounded = np.round(
                np.clip(values.astype(float), column.lower, column.upper), column.decimals
            )
            whole = column.decimals == 0 and not np.isnan(rounded).any()
            series = pd.Series(rounded.astype(np.int64) if whole else rounded)
        else:
            lookup = np.array([*column.values, None], dtype=object)
            series = pd.Series(lookup[values.astype(np.int64)], dtype=object)
        frame[column.name] = _typed(series, like[column.name].dtype)
    return pd.DataFrame(frame)


def _typed(values: pd.Series, dtype: Any) -> pd.Series:
    holds_missing = pd.api.types.is_extension_array_dtype(dtype)
    return values if values.isna().any() and not holds_missing else values.astype(dtype)


def widths(columns: Sequence[PublicColumn]) -> Floats:
    """Lengths of the ranges; 1 for choices and empty ranges."""
    found = [c.upper - c.lower if isinstance(c, Number) else 1.0 for c in columns]
    return np.array([width if width > 0 else 1.0 for width in found])
