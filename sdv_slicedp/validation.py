"""Checks of a table's structure: names and dtypes against the metadata, and never a cell.

An error that depends on a cell would answer a question about the private rows; what a column
cannot hold is left to the row-by-row maps of ``dtypes.py`` and ``datetimes.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.api import types
from sdv._utils import get_possible_chars
from sdv.errors import InvalidDataError, InvalidDataTypeError, SynthesizerInputError

from sdv_slicedp import dtypes, schema
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain


def single_table(data: Any, table_name: str | None) -> pd.DataFrame:
    """The only table of ``data``.

    Raises:
        InvalidDataTypeError: If ``data`` is not a dictionary of exactly one table.
        InvalidDataError: If the table has another name than in the metadata.
    """
    if not isinstance(data, dict) or len(data) != 1:
        found = f'{len(data)} tables' if isinstance(data, dict) else type(data).__name__
        raise InvalidDataTypeError(
            'data must be a dictionary of exactly one table name and its DataFrame, such as '
            f'{{{table_name or "table"!r}: table}}; got {found}.'
        )
    ((name, table),) = data.items()
    if not isinstance(table, pd.DataFrame):
        raise InvalidDataTypeError(
            f"Table '{name}' must be a pandas DataFrame, got {type(table).__name__}."
        )
    if name != table_name:
        raise InvalidDataError(
            [f"The data has table '{name}', but the metadata describes table '{table_name}'."]
        )
    return table


def named_by_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table with text as column names and a plain index; shares the cells of ``table``.

    Raises:
        InvalidDataError: If two columns have the same name.
    """
    names = pd.Index([str(name) for name in table.columns], dtype=object)
    repeated = sorted(set(names[names.duplicated()]))
    if repeated:
        raise InvalidDataError([f'The table has several columns with the name {repeated}.'])
    view = table.copy(deep=False)
    view.columns, view.index = names, pd.RangeIndex(len(table))
    return view


def check_columns(found: Sequence[str], expected: Sequence[str]) -> None:
    """Refuse a table whose columns are not those of the metadata."""
    problems = []
    unknown = sorted(set(found) - set(expected))
    absent = sorted(set(expected) - set(found))
    if unknown:
        problems.append(f'The columns {unknown} are not present in the metadata.')
    if absent:
        problems.append(f'The metadata columns {absent} are not present in the data.')
    if problems:
        raise InvalidDataError(problems)


def check_table(
    table: pd.DataFrame,
    columns: Mapping[str, schema.ColumnMetadata],
    domains: Sequence[ColumnDomain],
    keys: Collection[str] = (),
) -> None:
    """Refuse an empty table, and columns whose dtype cannot hold what the metadata says.

    Args:
        table: The table, with text as column names.
        columns: Metadata of all columns.
        domains: Domains of the modelled columns.
        keys: Primary and alternate keys.

    Raises:
        InvalidDataError: With all problems found.
    """
    check_columns(list(table.columns), list(columns))
    if table.empty:
        raise InvalidDataError(['The table is empty: it needs at least one row and one column.'])
    modelled = {domain.name: domain for domain in domains}
    problems = [
        _modelled_problem(modelled[name], column, table[name].dtype)
        if name in modelled
        else _key_problem(name, column, table[name].dtype)
        for name, column in columns.items()
        if name in modelled or name in keys
    ]
    found = [problem for problem in problems if problem]
    if found:
        raise InvalidDataError(found)


def check_processed(processed: pd.DataFrame, domains: Sequence[ColumnDomain]) -> None:
    """Refuse a processed table that is not what ``preprocess`` gives."""
    check_columns(list(processed.columns), [domain.name for domain in domains])
    if not len(processed):
        raise InvalidDataError(['The processed table has no rows.'])


def check_release(released: Sequence[ColumnDomain], described: Sequence[ColumnDomain]) -> None:
    """Refuse a release whose columns are not the modelled columns of the metadata."""
    found = {domain.name: domain.sdtype for domain in released}
    expected = {domain.name: domain.sdtype for domain in described}
    if found != expected:
        differing = sorted(
            name for name in found | expected if found.get(name) != expected.get(name)
        )
        raise SynthesizerInputError(
            f'The release does not fit the metadata: the columns {differing} are not modelled in '
            'both, or with another sdtype. If it was measured with constraints, give the same ones.'
        )


def _modelled_problem(
    domain: ColumnDomain, column: schema.ColumnMetadata, dtype: Any
) -> str | None:
    cure = _cure(domain.sdtype, dtype, column.get('datetime_format') is not None)
    if cure is not None:
        return (
            f"Column '{domain.name}' is declared {column['sdtype']}, but has dtype "
            f'{dtypes.described(dtype)}: {cure}.'
        )
    categories = domain.categories if isinstance(domain, CategoricalDomain) else None
    if categories and dtypes.is_number(dtype) and all(isinstance(c, str) for c in categories):
        return (
            f"Column '{domain.name}' has dtype {dtypes.described(dtype)}, but its declared "
            'range_values are text: declare numbers, or turn the column into text.'
        )
    return None


def _cure(sdtype: str, dtype: Any, has_format: bool) -> str | None:
    """What to do about a dtype that does not fit; ``None`` if it fits."""
    if isinstance(dtype, pd.CategoricalDtype) or types.is_object_dtype(dtype):
        return None
    number, text = dtypes.is_number(dtype), types.is_string_dtype(dtype)
    if sdtype == 'numerical':
        return None if number else 'turn it into numbers, or declare another sdtype'
    if sdtype == 'boolean':
        fits = types.is_bool_dtype(dtype)
        return None if fits else 'turn it into booleans, or declare it categorical'
    if sdtype == 'datetime':
        if types.is_datetime64_any_dtype(dtype) or text or (number and has_format):
            return None
        declare = 'declare its datetime_format' if number else 'turn it into datetimes'
        return f'{declare}, or declare another sdtype'
    fits = number or text or types.is_bool_dtype(dtype)
    return None if fits else 'turn it into text, or declare another sdtype'


def _key_problem(name: str, column: schema.ColumnMetadata, dtype: Any) -> str | None:
    regex = column.get('regex_format')
    if regex and dtypes.is_integer(dtype) and '0' in get_possible_chars(regex, 1):
        return (
            f"Column '{name}' holds integers, but its regex_format allows a leading 0: change the "
            'regex_format, or turn the column into text.'
        )
    return None
