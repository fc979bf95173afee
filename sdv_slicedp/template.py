"""Metadata to fill in by hand: what a public domain is declared with, from column names only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from sdv.metadata import Metadata

from sdv_slicedp.errors import DomainError
from sdv_slicedp.files import load_metadata, write_text
from sdv_slicedp.schema import column_domains, without_ranges

SDTYPE = '<numerical, datetime, categorical, ordinal, boolean, id or another sdtype>'
FIELDS: dict[str, Any] = {
    'datetime_format': '<such as %Y-%m-%d>',
    'range_min': '<least possible value>',
    'range_max': '<greatest possible value>',
    'decimal_places': '<0 for whole numbers>',
    'range_values': ['<first category>', '<second category, and so on>'],
    'range_is_nullable': '<true if values can be missing, else false>',
}
"""What stands in a template where something is to be filled in."""
FIELDS_OF = {
    'numerical': ('range_min', 'range_max', 'decimal_places', 'range_is_nullable'),
    'datetime': ('datetime_format', 'range_min', 'range_max', 'range_is_nullable'),
    'categorical': ('range_values', 'range_is_nullable'),
    'ordinal': ('range_values', 'range_is_nullable'),
    'boolean': ('range_is_nullable',),
    SDTYPE: tuple(FIELDS),
}
PLACEHOLDERS = {SDTYPE, *FIELDS['range_values'], *(v for v in FIELDS.values() if type(v) is str)}

Columns: TypeAlias = Iterable[str] | Mapping[str, str | None] | Metadata


def metadata_template(columns: Columns, path: str | Path, table_name: str = 'table') -> None:
    """Write SDV metadata of one table with places to fill in, without looking at any data.

    Fill them in from a data dictionary, the law or common sense, never from the table; delete a
    line to have it discovered with budget. :func:`load_template` reads the file back.

    Args:
        columns: Column names; or the sdtype of each, ``None`` where it is to be filled in; or
            metadata of one table, of which ranges, categories, decimals and nullability are not
            taken over, since SDV's detection copies them from the data.
        path: The JSON file to write; an existing one is replaced.
        table_name: Name of the table, unless ``columns`` are metadata.

    Raises:
        ValueError: If there are no columns, one is there twice, or there are several tables.
    """
    if isinstance(columns, Metadata):
        description = columns.to_dict()
        if len(description['tables']) != 1:
            raise ValueError(f'columns must describe one table, got {[*description["tables"]]}.')
        ((table_name, table),) = description['tables'].items()
    else:
        table = {'columns': _named(columns)}
        description = {'tables': {table_name: table}, 'relationships': []}
    if not table.get('columns'):
        raise ValueError('columns must name at least one column.')
    known = {str(name): without_ranges(column) for name, column in table['columns'].items()}
    keys = {str(table.get('primary_key')), *map(str, table.get('alternate_keys', ()))}
    table['columns'] = {
        name: column if name in keys else _to_fill_in(column) for name, column in known.items()
    }
    write_text(Path(path), json.dumps(description, indent=2, ensure_ascii=False) + '\n')


def load_template(path: str | Path, table_name: str | None = None) -> Metadata:
    """Read a filled-in template, or any SDV metadata that declares a public domain.

    Args:
        path: The JSON file.
        table_name: Which table; may be left out if the file describes only one.

    Raises:
        FileNotFoundError: If there is no such file.
        DomainError: If something is not filled in yet, or if declarations contradict themselves.
        ValueError: If the file is not SDV metadata.
    """
    path = Path(path)
    open_fields = list(_open_fields(path))
    if open_fields:
        raise DomainError(
            f"'{path}' is not filled in yet: {', '.join(open_fields)}. Fill them in, or delete a "
            'line to have it discovered with budget.'
        )
    metadata = load_metadata(path, table_name)
    (table,) = metadata.tables.values()
    column_domains(table.columns, public_domain=True)
    return metadata


def _named(columns: Iterable[str] | Mapping[str, str | None]) -> dict[str, dict[str, str]]:
    if isinstance(columns, str):
        raise ValueError(f'columns must be a list of names, got the text {columns!r}.')
    sdtypes = columns if isinstance(columns, Mapping) else None
    names = [str(name) for name in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f'columns has {twice} more than once.')
    given = [None] * len(names) if sdtypes is None else list(sdtypes.values())
    return {name: {'sdtype': sdtype or SDTYPE} for name, sdtype in zip(names, given, strict=True)}


def _to_fill_in(column: Mapping[str, Any]) -> dict[str, Any]:
    wanted = {name: FIELDS[name] for name in FIELDS_OF.get(column['sdtype'], ())}
    return {'sdtype': column['sdtype'], **wanted, **column}


def _open_fields(path: Path) -> Iterable[str]:
    """Fields of a file that hold what the template put there; nothing for a broken file."""
    try:
        tables = json.loads(path.read_text(encoding='utf-8'))['tables']
        columns = [item for table in tables.values() for item in table['columns'].items()]
        fields = [(name, *field) for name, column in columns for field in column.items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # load_metadata says what is wrong
    for name, key, value in fields:
        values = value if isinstance(value, list) else [value]
        if any(isinstance(v, str) and v in PLACEHOLDERS for v in values):
            yield f"{key} of column '{name}'"
