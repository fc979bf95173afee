"""Raw columns to plain values and back, one value at a time.

Nothing here raises or warns because of a cell: a value that a column cannot hold becomes missing.
The dtype of a column is public, but for what one missing value does to it: numpy turns integers
into floats, and booleans into objects. Those dtypes are therefore taken as one family, and the
member is chosen again from what was sampled.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from sdv_slicedp.domain import Category

Floats = npt.NDArray[np.float64]

NUMBER = np.dtype(np.float64)
"""Family of the numpy integers and float64."""
OBJECT = np.dtype(object)
"""Family of objects, booleans and the category dtype (whose categories are data)."""
EXACT = 2.0**53
"""Up to here, float64 holds every integer."""
LARGEST_INTEGER = 2**63 - 1
"""Larger whole numbers are no numbers to pandas; as categories they are text."""

_PLAIN = frozenset({str, bool})


def family(dtype: Any) -> Any:
    """The dtype family of a column: what of its dtype no single value can change."""
    if isinstance(dtype, pd.SparseDtype):
        return family(dtype.subtype)
    if isinstance(dtype, pd.CategoricalDtype) or types.is_dtype_equal(dtype, np.bool_):
        return OBJECT
    if isinstance(dtype, np.dtype) and (dtype.kind in 'iu' or dtype == NUMBER):
        return NUMBER
    return dtype


def described(dtype: Any) -> str:
    """Name of a dtype for an error message, without the values that some dtypes hold."""
    return f'Sparse[{dtype.subtype}]' if isinstance(dtype, pd.SparseDtype) else str(dtype)


def is_number(dtype: Any) -> bool:
    """Whether a dtype holds real numbers (booleans are not numbers here)."""
    real = types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)
    return bool(real and not types.is_bool_dtype(dtype))


def is_integer(dtype: Any) -> bool:
    """Whether a dtype holds integers only."""
    return bool(types.is_integer_dtype(dtype))


def plain_numbers(values: pd.Series) -> Floats:
    """Each value as a float; NaN where it is missing, infinite or no number."""
    values = _dense(values)
    if is_number(values.dtype):
        numbers = _float64(values)
    else:
        objects = values.astype(object)
        numbers = np.fromiter(map(_number, objects), dtype=np.float64, count=len(objects))
    finite = np.isfinite(numbers)
    return numbers if finite.all() else np.where(finite, numbers, np.nan)


def plain_categories(values: pd.Series) -> npt.NDArray[Any]:
    """Each value as a string, integer, float or boolean; ``None`` where it is missing.

    In numeric columns, whole numbers are integers whatever the dtype, below ``EXACT``, and floats
    beyond, so that a missing value elsewhere in the column does not change them.
    """
    values = _dense(values)
    if is_number(values.dtype):
        return _plain_whole_numbers(values)
    objects = np.asarray(values.astype(object, copy=False), dtype=object)
    absent = np.asarray(pd.isna(objects))
    if set(map(type, objects[~absent])) <= _PLAIN:
        if absent.any():
            objects = objects.copy()
            objects[absent] = None
        return objects
    plain = np.empty(len(objects), dtype=object)
    plain[:] = [_category(value) for value in objects]
    return plain


def restored_numbers(numbers: Floats, dtype: Any, *, whole: bool) -> pd.Series:
    """Numbers in the dtype family of their column.

    Args:
        numbers: Values; NaN is missing.
        dtype: Family of the column.
        whole: Whether the column's grid holds integers only.
    """
    column = pd.Series(numbers)
    if types.is_float_dtype(dtype) and dtype != NUMBER:
        return column.astype(dtype)
    if not is_integer(dtype):
        complete = not column.isna().any()
        return column.astype(np.int64) if whole and complete else column
    limits = np.iinfo(getattr(dtype, 'numpy_dtype', np.int64))
    largest = np.nextafter(float(limits.max), 0) if limits.max > EXACT else limits.max
    return column.round().clip(limits.min, largest).astype(dtype)


def restored_categories(
    values: npt.NDArray[Any], dtype: Any, categories: Collection[Category]
) -> pd.Series:
    """Categories in the dtype family of their column, as pandas would read them back.

    Args:
        values: Some of the categories; ``None`` is missing.
        dtype: Family of the column.
        categories: All categories.
    """
    column = pd.Series(values, dtype=object)
    kinds = set(map(type, categories))
    if dtype == OBJECT:
        return column.astype(bool) if kinds == {bool} and column.notna().all() else column
    if dtype != NUMBER:
        return _cast(column, dtype)
    if not kinds <= {int, float}:
        return column
    whole = all(float(category).is_integer() for category in categories)
    integers = whole and column.notna().all()
    return _cast(column, np.dtype(np.int64) if integers else NUMBER)


def restored_generated(values: pd.Series, dtype: Any) -> pd.Series:
    """Generated identifiers in the dtype of their column, if it can hold them."""
    if dtype == NUMBER:
        return _cast(values, np.dtype(np.int64))
    return _cast(values, dtype)


def _cast(column: pd.Series, dtype: Any) -> pd.Series:
    try:
        return column.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        # Declared categories or generated values that the dtype cannot hold: public either way.
        return column


def _dense(values: pd.Series) -> pd.Series:
    return values.sparse.to_dense() if isinstance(values.dtype, pd.SparseDtype) else values


def _float64(values: pd.Series) -> Floats:
    """Numbers as float64; those of less precision as the decimals that they stand for."""
    if types.is_float_dtype(values.dtype) and values.dtype.itemsize < NUMBER.itemsize:
        short = values.to_numpy(dtype=f'float{8 * values.dtype.itemsize}', na_value=np.nan)
        return np.asarray(short, dtype=str).astype(np.float64)
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _plain_whole_numbers(values: pd.Series) -> npt.NDArray[Any]:
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in 'iu':
        plain = np.asarray(values).astype(object)
        beyond = np.abs(np.asarray(values, dtype=np.float64)) >= EXACT
        plain[beyond] = np.asarray(values)[beyond].astype(np.float64)
        return plain
    numbers = plain_numbers(values)
    finite = np.isfinite(numbers)
    whole = finite & (np.abs(numbers) < EXACT) & (numbers == np.rint(numbers))
    plain = np.full(len(numbers), None, dtype=object)
    plain[finite] = numbers[finite]
    plain[whole] = numbers[whole].astype(np.int64)
    return plain


def _number(value: Any) -> float:
    try:
        return float(value)
    except Exception:  # whatever the cell is, it is no number
        return math.nan


def _category(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, bool | str):
        return bool(value) if isinstance(value, bool) else str(value)
    if isinstance(value, int) and abs(value) <= LARGEST_INTEGER:
        return int(value)
    try:
        return str(value)
    except Exception:  # whatever the cell is, it has no name
        return None
