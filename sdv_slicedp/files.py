"""Reading a user's table, and writing results so that a file is either whole or not there."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata
from sdv.metadata.errors import InvalidMetadataError

from sdv_slicedp.atomic import write_whole

TRUE_WORDS = ('true', 't', 'yes', 'y', '1', '1.0')
FALSE_WORDS = ('false', 'f', 'no', 'n', '0', '0.0')


def load_metadata(path: Path, table_name: str | None = None) -> Metadata:
    """The metadata of one table, from a JSON file as SDV saves it.

    Args:
        path: The file.
        table_name: Which table; may be left out if the file describes only one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not SDV metadata of that table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no metadata file '{path}'.")
    try:
        description = json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        raise ValueError(f"'{path}' is not JSON text in UTF-8.") from None
    try:
        metadata = Metadata.load_from_dict(_only_table(description, path, table_name))
        metadata.validate()
    except (AttributeError, KeyError, TypeError, InvalidMetadataError) as error:
        # SDV does not check the shape of the file before it walks it.
        raise ValueError(f"'{path}' is not SDV metadata: {error}") from None
    return metadata


def _only_table(description: Any, path: Path, table_name: str | None) -> Any:
    tables = description.get('tables')
    if tables is None:
        return description  # an older form, of a single table, which SDV converts
    if table_name is None and len(tables) != 1:
        raise ValueError(f"'{path}' describes {len(tables)} tables; name one with --table-name.")
    if table_name is not None and table_name not in tables:
        raise ValueError(f"--table-name '{table_name}' is not in '{path}', which has {[*tables]}.")
    if len(tables) == 1:
        return description
    return {**description, 'tables': {table_name: tables[table_name]}, 'relationships': []}


def read_table(path: Path, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The table of a CSV file, with values of the types that the metadata declares.

    Only an empty cell is missing. Types are decided by the metadata and cell by cell, so no row
    changes how another row is read.

    Args:
        path: A CSV file with a header line; compression is known from the file name.
        columns: Each column's description, as in the metadata.

    Raises:
        ValueError: If the file is not a CSV table, or if a column that is declared numerical
            holds something else. Messages name columns, never cells.
    """
    try:
        with warnings.catch_warnings():
            # Lines longer than the header would lose cells with no more than this warning.
            warnings.simplefilter('error', pd.errors.ParserWarning)
            text = pd.read_csv(
                path, dtype=object, keep_default_na=False, na_values=[''], index_col=False
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        # The reader's own message may quote a line of the table.
        raise ValueError(f"'{path}' is not a CSV table in UTF-8: {type(error).__name__}.") from None
    except pd.errors.ParserWarning:
        raise ValueError(f"'{path}' has lines with more cells than its header.") from None
    return text.assign(
        **{name: _typed(text[name], columns[name]) for name in text.columns if name in columns}
    )


def check_writable(path: Path) -> None:
    """Raise ``OSError`` unless a file can be written at ``path``."""
    if path.is_dir():
        raise IsADirectoryError(f"Cannot write '{path}': it is a folder.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"Cannot write '{path}': there is no folder '{path.parent}'.")
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise PermissionError(f"Cannot write '{path}': {error.strerror}.") from None


def write_text(path: Path, text: str) -> None:
    """Write ``text`` in UTF-8."""
    write_whole(path, lambda part: part.write_text(text, encoding='utf-8'))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write ``table`` as CSV; numbers that are all whole are written without a decimal point."""
    whole = {name: 'Int64' for name in table.columns if _is_whole(table[name])}
    write_whole(path, lambda part: table.astype(whole).to_csv(part, index=False))


def _is_whole(values: pd.Series) -> bool:
    if values.dtype != np.float64:
        return False
    numbers = values.dropna()
    return bool((numbers == np.rint(numbers)).all() and (numbers.abs() < 2**53).all())


def _typed(values: pd.Series, column: Mapping[str, Any]) -> pd.Series:
    sdtype = column.get('sdtype')
    if sdtype == 'numerical':
        return _numbers(values)
    if sdtype == 'boolean':
        return values.map(_boolean, na_action='ignore')
    declared = column.get('range_values') or ()
    if declared and all(type(value) in (int, float) for value in declared):
        return values.map(_number_or_text, na_action='ignore')
    return values


def _numbers(values: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(values.map(_number, na_action='ignore'))
    except (ValueError, TypeError):
        raise ValueError(
            f"Column '{values.name}' is declared numerical but holds other text; clean the column "
            'or declare it categorical.'
        ) from None


def _number(text: str) -> int | float:
    """A number by Python's rules; pandas' own parser crashes at exponents of many digits."""
    if '_' in text:
        raise ValueError('Underscores are for programs.')
    number = float(text)
    exact = number.is_integer() and abs(number) < 2**63 and text.strip().lstrip('+-').isdecimal()
    return int(text) if exact else number


def _boolean(text: str) -> bool | None:
    word = text.strip().lower()
    if word in TRUE_WORDS:
        return True
    return False if word in FALSE_WORDS else None


def _number_or_text(text: str) -> int | float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number
