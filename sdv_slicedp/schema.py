"""What the metadata makes public: which columns are modelled, and the domain of each.

Column names, sdtypes, keys, datetime formats, regular expressions and PII types are public in
every case. Ranges, categories, decimals and nullability are public only where the user attests
it: ``Metadata.detect_from_dataframes`` fills them from the private rows and leaves no mark.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata
from sdv.metadata.errors import InvalidMetadataError

from sdv_slicedp import datetimes
from sdv_slicedp.domain import (
    CategoricalDomain,
    Category,
    ColumnDomain,
    NumericalDomain,
    fitting_step,
)
from sdv_slicedp.errors import DomainError

ColumnMetadata = Mapping[str, Any]
PublicDomain = bool | Collection[str]
Bounds = tuple[float, float]

NO_BOUNDS: Bounds = (-math.inf, math.inf)

DISCRETE = frozenset({'categorical', 'boolean', 'ordinal'})
MODELLED = DISCRETE | {'numerical', 'datetime'}
RANGES = frozenset(
    {
        'range_min',
        'range_max',
        'range_values',
        'range_is_nullable',
        'decimal_places',
        'high_cardinality',
    }
)
MAX_UNBOUNDED_DECIMALS = 6
"""Most declared decimals that are taken without bounds: with more, the grid would be too short."""


def check_one_table(metadata: Metadata) -> None:
    """Refuse metadata of several tables: a row's owner may have rows in each of them.

    Raises:
        InvalidMetadataError: If there is more than one table.
    """
    tables = [*metadata.tables]
    if len(tables) > 1:
        raise InvalidMetadataError(
            f'The metadata describes the tables {tables}, and a guarantee for rows of one table '
            'says nothing about related ones. Take one table, such as '
            f'metadata.get_table_metadata({tables[0]!r}).'
        )


def attested_columns(columns: Collection[str], public_domain: PublicDomain) -> tuple[str, ...]:
    """Columns whose declared ranges the user attests as public, in the order of ``columns``.

    Args:
        columns: Names of all columns.
        public_domain: ``True`` for all of them, ``False`` for none, or their names.

    Raises:
        TypeError: If ``public_domain`` is neither a boolean nor a collection of names.
        ValueError: If it names columns that are not there.
    """
    if isinstance(public_domain, bool):
        return tuple(columns) if public_domain else ()
    listed = isinstance(public_domain, list | tuple | set | frozenset)
    if not listed or not all(isinstance(name, str | int) for name in public_domain):
        raise TypeError(
            f'public_domain must be True, False or a list of column names, got {public_domain!r}.'
        )
    names = {str(name) for name in public_domain}
    unknown = sorted(names - set(columns))
    if unknown and columns:
        raise ValueError(
            f'public_domain names columns that the metadata does not have: {unknown}. '
            f'Its columns are {list(columns)}.'
        )
    return tuple(name for name in columns if name in names)


def strip_unattested(metadata: Metadata, public_domain: PublicDomain) -> Metadata:
    """Copy of ``metadata`` without the ranges that are not attested as public."""
    description = metadata.to_dict()
    for table in description['tables'].values():
        # An empty table has no 'columns'.
        columns = {str(name): column for name, column in table.get('columns', {}).items()}
        attested = attested_columns(columns, public_domain)
        table['columns'] = {
            name: dict(column) if name in attested else without_ranges(column)
            for name, column in columns.items()
        }
    return Metadata.load_from_dict(description)


def without_ranges(column: ColumnMetadata) -> dict[str, Any]:
    """A column's metadata without what may come from the data."""
    return {key: value for key, value in column.items() if key not in RANGES}


def modelled_sdtype(column: ColumnMetadata) -> str | None:
    """The sdtype that a column is modelled as; ``None`` if its values are made by a generator."""
    sdtype = str(column['sdtype'])
    if sdtype in MODELLED:
        return sdtype
    # SDV models a PII column that is declared not to be PII as a categorical one.
    not_pii = sdtype not in {'id', 'unknown'} and column.get('pii', True) is False
    return 'categorical' if not_pii else None


def modelled_columns(
    columns: Mapping[str, ColumnMetadata], keys: Collection[str] = ()
) -> tuple[str, ...]:
    """Names of the columns that the mechanism measures, in the order of the metadata."""
    return tuple(
        name for name, column in columns.items() if name not in keys and modelled_sdtype(column)
    )


def column_domains(
    columns: Mapping[str, ColumnMetadata],
    public_domain: PublicDomain = False,
    keys: Collection[str] = (),
) -> tuple[ColumnDomain, ...]:
    """Domains of the modelled columns; what is not attested is left to be discovered.

    Args:
        columns: Metadata of each column.
        public_domain: Which columns' declared ranges are attested as public.
        keys: Primary and alternate keys, which are generated.

    Raises:
        DomainError: If an attested declaration contradicts itself.
    """
    attested = attested_columns(columns, public_domain)
    return tuple(
        _column_domain(name, columns[name] if name in attested else without_ranges(columns[name]))
        for name in modelled_columns(columns, keys)
    )


def declared_bounds(name: str, column: ColumnMetadata) -> Bounds:
    """Declared range of a numeric or datetime column as floats; infinite where it is open."""
    layout = datetimes.layout(column)
    ends = [
        _instant(name, key, column, layout)
        if column['sdtype'] == 'datetime'
        else _bound(name, key, column.get(key))
        for key in ('range_min', 'range_max')
    ]
    lower, upper = (end if end is None else float(end) for end in ends)
    return NO_BOUNDS[0] if lower is None else lower, NO_BOUNDS[1] if upper is None else upper


def _column_domain(name: str, column: ColumnMetadata) -> ColumnDomain:
    sdtype = modelled_sdtype(column)
    if sdtype == 'numerical':
        return _numerical_domain(name, column)
    if sdtype == 'datetime':
        return _datetime_domain(name, column)
    categories = (False, True) if sdtype == 'boolean' else _categories(name, column)
    return CategoricalDomain(name, str(sdtype), categories, _has_missing(column))


def _has_missing(column: ColumnMetadata) -> bool:
    # Nothing said means that missing values are allowed, as in SDV's own validation.
    return bool(column.get('range_is_nullable', True))


def _numerical_domain(name: str, column: ColumnMetadata) -> NumericalDomain:
    lower, upper = (_bound(name, key, column.get(key)) for key in ('range_min', 'range_max'))
    decimals = _decimals(name, column.get('decimal_places'))
    has_missing = _has_missing(column)
    if lower is None or upper is None:
        known = decimals is not None and decimals <= MAX_UNBOUNDED_DECIMALS
        step = (1, 10 ** (decimals or 0)) if known else None
        return NumericalDomain(name, 'numerical', None, None, step, has_missing)
    _check_order(name, lower, upper)
    if decimals is None:
        bounds = (float(lower), float(upper))
        return NumericalDomain(name, 'numerical', None, None, None, has_missing, bounds)
    step = fitting_step((1, 10**decimals), max(abs(lower), abs(upper)))
    return _grid_domain(name, 'numerical', (lower, upper), step, has_missing)


def _datetime_domain(name: str, column: ColumnMetadata) -> NumericalDomain:
    layout = datetimes.layout(column)
    if layout.format is not None and not datetimes.is_readable(layout.format):
        raise DomainError(
            f"The datetime_format of column '{name}', {layout.format!r}, cannot be read by pandas."
        )
    lower, upper = (_instant(name, key, column, layout) for key in ('range_min', 'range_max'))
    step, has_missing = layout.step, _has_missing(column)
    if lower is None or upper is None:
        return NumericalDomain(name, 'datetime', None, None, step, has_missing)
    _check_order(name, lower, upper)
    if step is None:
        bounds = (float(lower), float(upper))
        return NumericalDomain(name, 'datetime', None, None, None, has_missing, bounds)
    return _grid_domain(name, 'datetime', (lower, upper), step, has_missing)


def _grid_domain(
    name: str,
    sdtype: str,
    bounds: tuple[Fraction, Fraction],
    step: tuple[int, int],
    has_missing: bool,
) -> NumericalDomain:
    """Domain of the grid points inside the bounds."""
    pitch = Fraction(*step)
    lower, upper = math.ceil(bounds[0] / pitch), math.floor(bounds[1] / pitch)
    if lower > upper:
        raise DomainError(
            f"The declared range of column '{name}' holds no value: nothing between range_min and "
            'range_max has the declared decimal_places or datetime_format.'
        )
    return NumericalDomain(name, sdtype, lower, upper, step, has_missing)


def _bound(name: str, key: str, value: Any) -> Fraction | None:
    """A declared bound as the exact decimal number that was written."""
    if value is None:
        return None
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and math.isfinite(value)):
        raise DomainError(
            f"{key} of column '{name}' must be a finite number, got {value!r}; leave it out to "
            'have it discovered.'
        )
    whole = isinstance(value, int | np.integer)
    return Fraction(int(value)) if whole else Fraction(repr(float(value)))


def _instant(
    name: str, key: str, column: ColumnMetadata, layout: datetimes.Layout
) -> Fraction | None:
    """A declared bound of a datetime column in nanoseconds."""
    value = column.get(key)
    if value is None:
        return None
    nanoseconds = datetimes.exact_nanoseconds(value, layout)
    if nanoseconds is None:
        raise DomainError(
            f"{key} of column '{name}' must be a date between 1677 and 2262 in the column's "
            f'datetime_format, got {value!r}.'
        )
    return Fraction(nanoseconds)


def _check_order(name: str, lower: Fraction, upper: Fraction) -> None:
    if lower > upper:
        raise DomainError(f"range_min of column '{name}' is larger than its range_max.")


def _decimals(name: str, value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise DomainError(
            f"decimal_places of column '{name}' must be an integer of at least 0, got {value!r}."
        )
    return int(value)


def _categories(name: str, column: ColumnMetadata) -> tuple[Category, ...] | None:
    declared = column.get('range_values')
    if declared is None:
        return None
    values = tuple(v.item() if isinstance(v, np.generic) else v for v in declared)
    if not values:
        raise DomainError(f"range_values of column '{name}' is empty.")
    for value in values:
        finite = not isinstance(value, float) or math.isfinite(value)
        if not (isinstance(value, str | int | float) and finite):
            raise DomainError(
                f"range_values of column '{name}' may hold strings, finite numbers and booleans, "
                f'got {value!r}; missing values are declared by range_is_nullable.'
            )
    repeated = pd.Index(values, dtype=object).duplicated()
    if repeated.any():
        first = values[int(np.flatnonzero(repeated)[0])]
        raise DomainError(f"range_values of column '{name}' has {first!r} more than once.")
    return values
