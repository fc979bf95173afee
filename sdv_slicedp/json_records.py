"""JSON records whose types are checked on reading, and domains as such records."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from sdv_slicedp.domain import CategoricalDomain, Category, ColumnDomain, NumericalDomain
from sdv_slicedp.errors import ReleaseFormatError

Record = dict[str, Any]

_CATEGORICAL = {
    'name': str,
    'sdtype': str,
    'categories': list,
    'has_missing': bool,
    'has_other': bool,
}
_NUMERICAL = {
    'name': str,
    'sdtype': str,
    'lower': int,
    'upper': int,
    'step': list,
    'has_missing': bool,
    'bounds': object,
}


def domain_record(domain: ColumnDomain) -> Record:
    """A domain as a JSON record."""
    record = {field.name: getattr(domain, field.name) for field in fields(domain)}
    if isinstance(domain, CategoricalDomain):
        del record['remainder']  # released domains have none
        record['categories'] = [_category_record(c) for c in domain.categories or ()]
    return record


def domain_of(record: Record) -> ColumnDomain:
    """Inverse of :func:`domain_record`."""
    if 'categories' in record:
        checked(record, _CATEGORICAL)
        categories = tuple(_category(c) for c in record['categories'])
        return CategoricalDomain(**{**record, 'categories': categories})
    checked(record, _NUMERICAL)
    numerator, denominator = map(size, record['step'])
    bounds = record['bounds']
    if bounds is not None:
        lower, upper = bounds
        if not (_is(lower, float) and _is(upper, float)):
            raise ReleaseFormatError('The manifest has bounds that are no numbers.')
        bounds = (lower, upper)
    return NumericalDomain(**{**record, 'step': (numerator, denominator), 'bounds': bounds})


def _category_record(category: Category) -> Any:
    infinite = isinstance(category, float) and math.isinf(category)
    return {'float': repr(category)} if infinite else category


def _category(record: Any) -> Category:
    if isinstance(record, dict):
        return {'inf': math.inf, '-inf': -math.inf}[checked(record, {'float': str})['float']]
    if not isinstance(record, str | int | float | bool):
        raise ReleaseFormatError('The manifest has a category that is no str, number or bool.')
    return record


def checked(record: Any, kinds: dict[str, type]) -> Record:
    """``record`` if it has exactly these keys, with values of these types."""
    if not isinstance(record, dict) or record.keys() != kinds.keys():
        raise ReleaseFormatError(f'The manifest has a record without the keys {sorted(kinds)}.')
    for key, kind in kinds.items():
        if not _is(record[key], kind):
            raise ReleaseFormatError(f"The manifest has a '{key}' that is no {kind.__name__}.")
    return record


def _is(value: Any, kind: type) -> bool:
    """Whether ``value`` is of type ``kind``; integers are floats too, booleans are neither."""
    if isinstance(value, bool):
        return kind in (bool, object)
    return isinstance(value, (int, float) if kind is float else kind)


def size(value: Any) -> int:
    """``value`` if it is an integer that is not negative."""
    if not _is(value, int) or value < 0:
        raise ReleaseFormatError('The manifest has a size that is no integer.')
    return int(value)
