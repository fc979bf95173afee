"""What a user asks of the rows to sample: values of columns, checked against public domains.

The values are the user's own and the domains are public or released, so that errors may quote
both.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sdv_slicedp import datetimes, dtypes, schema
from sdv_slicedp.domain import (
    UNCOUNTED,
    CategoricalDomain,
    ColumnDomain,
    NumericalDomain,
    category_codes,
    from_units,
    grid_positions,
)

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MOST_LISTED = 12
"""Categories that an error message lists."""
LONGEST = 60
"""Characters of a value that an error message quotes."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of one column, a value for each row.

    Attributes:
        positions: Category codes, or nearest grid positions, shape ``(n,)``.
        shown: The values as the rows carry them, in the dtype family of the column.
    """

    positions: Integers
    shown: pd.Series


def asked(
    conditions: pd.DataFrame,
    columns: Mapping[str, schema.ColumnMetadata],
    domains: Mapping[str, ColumnDomain],
    families: Mapping[str, Any],
) -> dict[str, Asked]:
    """Values that the rows must have, by column.

    Args:
        conditions: Some columns of the rows to sample.
        columns: Metadata of all columns.
        domains: Complete domains of the modelled columns.
        families: Dtype family of each column.

    Raises:
        ValueError: If a column is not there or not modelled, or a value is not in its domain.
    """
    conditions = conditions.reset_index(drop=True)
    names = [str(name) for name in conditions.columns]
    for name in names:
        _check_name(name, names, columns, domains)
    found = {}
    for place, name in enumerate(names):
        values, domain = conditions.iloc[:, place], domains[name]
        if isinstance(domain, CategoricalDomain):
            found[name] = _categories(values, domain, families[name])
        elif domain.sdtype == 'numerical':
            found[name] = _numbers(values, domain, families[name])
        else:
            layout = datetimes.layout(columns[name])
            found[name] = _datetimes(values, domain, layout, families[name])
    return found


def _check_name(
    name: str, names: list[str], columns: Mapping[str, Any], domains: Mapping[str, Any]
) -> None:
    if name in domains and names.count(name) == 1:
        return
    if name not in columns:
        reason = 'the table has no such column'
    elif name in domains:
        reason = 'the conditions have it more than once'
    else:
        sdtype = columns[name]['sdtype']
        reason = f"its values (sdtype '{sdtype}') are made up, and depend on no other column"
    raise ValueError(
        f"Unable to sample any rows for the given conditions: column '{name}' cannot be a "
        f'condition, {reason}. Conditions can be on {_listed(list(domains))}.'
    )


def _categories(values: pd.Series, domain: CategoricalDomain, family: Any) -> Asked:
    objects = values.astype(object)
    absent = objects.isna().to_numpy()
    _check(objects, ~objects.map(lambda value: isinstance(value, Hashable)).to_numpy(bool), domain)
    codes = category_codes(objects, domain)
    hidden = domain.has_other & (codes == domain.n_cells - 1)
    _check(objects, (codes == UNCOUNTED) | hidden, domain)
    choices = np.array([*(domain.categories or ()), None], dtype=object)
    plain = choices[np.where(absent, len(choices) - 1, codes)]
    return Asked(codes, dtypes.restored_categories(plain, family, domain.categories or ()))


def _numbers(values: pd.Series, domain: NumericalDomain, family: Any) -> Asked:
    absent = values.isna().to_numpy(bool)
    if dtypes.is_number(values.dtype):
        numbers = dtypes.plain_numbers(values)
    else:
        numbers = np.fromiter(map(_number, values), dtype=np.float64, count=len(values))
    lower, upper = _ends(domain)
    _check(values, ~absent & ~((numbers >= lower) & (numbers <= upper)), domain)
    _check(values, absent & (not domain.has_missing), domain)
    numbers = np.where(absent, math.nan, numbers)
    whole = (domain.step or (1, 1))[1] == 1 and bool((absent | (numbers == np.rint(numbers))).all())
    shown = dtypes.restored_numbers(numbers, family, whole=whole)
    if dtypes.is_integer(family):
        kept = shown.to_numpy(dtype=np.float64, na_value=math.nan)
        shown = shown if np.array_equal(kept, numbers, equal_nan=True) else pd.Series(numbers)
    return Asked(grid_positions(pd.Series(numbers), domain), shown)


def _datetimes(
    values: pd.Series, domain: NumericalDomain, layout: datetimes.Layout, family: Any
) -> Asked:
    absent = values.isna().to_numpy(bool)
    instants = datetimes.asked_instants(values, layout, family)
    pitch, lower, upper = (domain.step or (1, 1))[0], domain.lower or 0, domain.upper or 0
    inside = (instants >= lower * pitch) & (instants <= upper * pitch)
    _check(values, ~absent & ~inside, domain, layout)
    _check(values, absent & (not domain.has_missing), domain, layout)
    instants = np.where(absent, 0, instants)
    fine = pitch if not np.any(instants % pitch) else 1
    shown = datetimes.written_out(instants, absent, layout, fine, family)
    kept = datetimes.asked_instants(shown, layout, family)
    _check(values, ~absent & (kept != instants), domain, layout, 'its rows cannot show that')
    if not pd.api.types.is_datetime64_any_dtype(family):
        text = values.map(lambda value: isinstance(value, str)).to_numpy(bool)
        shown = shown.where(~text, values.astype(object))
    numbers = pd.Series(np.where(absent, math.nan, instants.astype(np.float64)))
    return Asked(grid_positions(numbers, domain), shown)


def _number(value: Any) -> float:
    """A number as a float; NaN for anything else, text and booleans included."""
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        return math.nan
    try:
        return float(value)
    except (OverflowError, ValueError):
        return math.nan


def _check(
    values: pd.Series,
    wrong: Mask,
    domain: ColumnDomain,
    layout: datetimes.Layout | None = None,
    reason: str = '',
) -> None:
    """Refuse the first wrong value."""
    if not wrong.any():
        return
    value = values.iloc[int(np.argmax(wrong))]
    missing = bool(np.all(pd.isna(value)))
    plain = value.item() if isinstance(value, np.generic) and not missing else value
    quoted = 'missing' if missing else _cut(repr(plain))
    raise ValueError(
        f"Unable to sample any rows for the given conditions: column '{domain.name}' cannot be "
        f'{quoted}{reason and ": " + reason}. It holds {_described(domain, layout)}.'
    )


def _described(domain: ColumnDomain, layout: datetimes.Layout | None) -> str:
    """The values that a condition on a column can have."""
    missing = 'or missing values' if domain.has_missing else 'and no missing values'
    if isinstance(domain, CategoricalDomain):
        known = _listed([repr(category) for category in domain.categories or ()])
        if not domain.has_other:
            return f'{known}, {missing}'
        return (
            f'{known} (the values that were discovered; the others have no name that could be '
            f'shown), {missing}'
        )
    if layout is None:
        lower, upper = (f'{end:.15g}' for end in _ends(domain))
        return f'numbers from {lower} to {upper}, {missing}'
    ends = np.array([domain.lower or 0, domain.upper or 0]) * (domain.step or (1, 1))[0]
    present = np.zeros(2, dtype=bool)
    pitch = (domain.step or (1, 1))[0]
    lower, upper = datetimes.written_out(ends, present, layout, pitch, dtypes.OBJECT)
    written = f' in the format {layout.format!r}' if layout.format else ''
    return f'datetimes from {lower} to {upper}{written}, {missing}'


def _ends(domain: NumericalDomain) -> tuple[float, float]:
    ends = np.array([domain.lower or 0, domain.upper or 0], dtype=np.int64)
    lower, upper = from_units(ends, domain.step or (1, 1))
    return float(lower), float(upper)


def _listed(words: list[str]) -> str:
    shown = ', '.join(words[:MOST_LISTED])
    return shown if len(words) <= MOST_LISTED else f'{shown}, ... ({len(words)} in all)'


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + '...'
