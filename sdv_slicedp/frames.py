"""Frames and dtypes made from public facts: what SDV's data processor gets instead of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sdv_slicedp import datetimes, dtypes, schema
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain, from_units

_EXAMPLE_NUMBERS = (0.0, 1.0)
_EXAMPLE_IDS = (1, 999_999)
"""Numbers of one and of six digits: SDV generates numbers of unknown columns in between."""


def families(table: pd.DataFrame) -> dict[str, Any]:
    """Dtype family of each column of a table."""
    return {name: dtypes.family(dtype) for name, dtype in table.dtypes.items()}


def default_families(
    columns: Mapping[str, schema.ColumnMetadata], domains: Sequence[ColumnDomain]
) -> dict[str, Any]:
    """Dtype family of each column when there is no table to ask."""
    chosen = dict.fromkeys(columns, dtypes.OBJECT)
    for domain in domains:
        if isinstance(domain, CategoricalDomain):
            kinds = {type(category) for category in domain.categories or ('',)}
            number = kinds <= {int, float}
        else:
            number = domain.sdtype == 'numerical'
            if not number and columns[domain.name].get('datetime_format') is None:
                chosen[domain.name] = np.dtype('datetime64[ns]')
        if number:
            chosen[domain.name] = dtypes.NUMBER
    return chosen


def plain_rows(processed: pd.DataFrame, domains: Sequence[ColumnDomain]) -> pd.DataFrame:
    """Processed rows that may come from a user, as the data processor makes them."""
    columns = {
        domain.name: dtypes.plain_categories(processed[domain.name])
        if isinstance(domain, CategoricalDomain)
        else dtypes.plain_numbers(processed[domain.name])
        for domain in domains
    }
    return uninferred(columns, len(processed))


def uninferred(columns: Mapping[str, npt.NDArray[Any]], n_rows: int) -> pd.DataFrame:
    """Frame of arrays as they are: pandas would infer dtypes of objects from all rows together."""
    series = {
        name: pd.Series(values, dtype=values.dtype, copy=False) for name, values in columns.items()
    }
    return pd.DataFrame(series, index=pd.RangeIndex(n_rows), copy=False)


def original_columns(given: pd.Index, names: Iterable[str]) -> pd.Index:
    """The table's own column names in the order of the metadata; empty if all are text."""
    if all(isinstance(name, str) for name in given):
        return pd.Index([])
    own = {str(name): name for name in given}
    return pd.Index([own[name] for name in names])


def example_frame(
    columns: Mapping[str, schema.ColumnMetadata],
    domains: Mapping[str, ColumnDomain],
    families: Mapping[str, Any],
) -> pd.DataFrame:
    """Two rows that SDV's data processor is fitted on instead of private rows.

    Args:
        columns: Metadata of all columns.
        domains: Domains of the modelled columns; placeholders stand for what is not known.
        families: Dtype family of each column.
    """
    examples = {}
    for name, column in columns.items():
        domain = domains.get(name)
        if domain is None:
            examples[name] = _generated_examples(families[name])
        elif isinstance(domain, CategoricalDomain):
            known = domain.categories or ('a', 'b')
            examples[name] = pd.Series([known[0], known[-1]], dtype=object)
        elif domain.sdtype == 'numerical':
            examples[name] = pd.Series(_finite_bounds(domain))
        else:
            numbers = np.array(_finite_bounds(domain))
            layout = datetimes.layout(column)
            examples[name] = datetimes.from_nanoseconds(
                numbers, layout, domain.step, families[name]
            )
    return pd.DataFrame(examples)


def _generated_examples(family: Any) -> pd.Series:
    if not dtypes.is_number(family):
        return pd.Series(['example-0', 'example-1'], dtype=object)
    if family == dtypes.NUMBER:
        return pd.Series(_EXAMPLE_IDS)
    digits = len(str(_EXAMPLE_IDS[1]))
    if dtypes.is_integer(family):
        # All numbers of so many digits must fit the dtype.
        digits = min(digits, len(str(np.iinfo(family.numpy_dtype).max)) - 1)
    return pd.Series([_EXAMPLE_IDS[0], 10**digits - 1]).astype(family)


def grid_bounds(domain: NumericalDomain) -> schema.Bounds:
    """Range of a numeric domain as floats, as far as it is known."""
    if domain.lower is None or domain.upper is None or domain.step is None:
        return domain.bounds or schema.NO_BOUNDS
    ends = np.array([domain.lower, domain.upper], dtype=np.int64)
    lower, upper = from_units(ends, domain.step)
    return float(lower), float(upper)


def _finite_bounds(domain: NumericalDomain) -> schema.Bounds:
    bounds = grid_bounds(domain)
    return bounds if np.isfinite(bounds).all() else _EXAMPLE_NUMBERS
