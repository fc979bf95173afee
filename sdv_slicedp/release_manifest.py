"""Releases as JSON records and flat arrays, and back with every type checked.

The arrays of all levels, columns and marginals are joined end to end; the records hold their sizes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sdv_slicedp.domain import CategoricalDomain, Category, ColumnDomain, NumericalDomain
from sdv_slicedp.errors import ReleaseFormatError
from sdv_slicedp.ledger import LedgerEntry
from sdv_slicedp.release import ColumnRelease, Level, Marginal, Release

ARRAYS = (
    'level_lower',
    'level_upper',
    'level_counts',
    'fine_lower',
    'fine_upper',
    'bins',
    'marginal_counts',
)

Integers = npt.NDArray[np.int64]
Arrays = dict[str, Integers]
Record = dict[str, Any]

_RELEASE = {
    'mechanism': str,
    'neighboring_relation': str,
    'epsilon': float,
    'delta': float,
    'public_columns': list,
    'ledger': list,
    'columns': list,
    'marginals': list,
}
_LEDGER = {
    'stage': str,
    'description': str,
    'slices': int,
    'sigma': float,
    'draws': int,
    'threshold_delta': float,
}
_COLUMN = {'domain': dict, 'levels': list, 'fine_cells': int, 'n_bins': int}
_LEVEL = {'cells': int, 'sigma': float}
_MARGINAL = {'columns': list, 'shape': list, 'sigma': float}
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


def to_manifest(release: Release) -> Record:
    """Everything of a release that is no array, as JSON records."""
    return {
        'mechanism': release.mechanism,
        'neighboring_relation': release.neighboring_relation,
        'epsilon': release.epsilon,
        'delta': release.delta,
        'public_columns': list(release.public_columns),
        'ledger': [asdict(entry) for entry in release.ledger],
        'columns': [_column_record(column) for column in release.columns],
        'marginals': [
            {'columns': list(m.columns), 'shape': list(m.counts.shape), 'sigma': m.sigma}
            for m in release.marginals
        ],
    }


def joined_arrays(release: Release) -> Arrays:
    """The arrays of a release, joined end to end."""
    levels = [level for column in release.columns for level in column.levels]
    parts: dict[str, list[Integers]] = {
        'level_lower': [level.lower for level in levels],
        'level_upper': [level.upper for level in levels],
        'level_counts': [level.counts for level in levels],
        'fine_lower': [column.fine_lower for column in release.columns],
        'fine_upper': [column.fine_upper for column in release.columns],
        'bins': [column.bins for column in release.columns],
        'marginal_counts': [marginal.counts.reshape(-1) for marginal in release.marginals],
    }
    empty = np.zeros(0, dtype=np.int64)
    return {name: np.concatenate([empty, *parts[name]]) for name in ARRAYS}


def release_of(manifest: Record, arrays: Arrays) -> Release:
    """Inverse of :func:`to_manifest` and :func:`joined_arrays`.

    Raises:
        ReleaseFormatError: If a record is not as :func:`to_manifest` writes it.
        ValueError: If the parts contradict each other.
    """
    _check(manifest, _RELEASE)
    records = [_check(record, _COLUMN) for record in manifest['columns']]
    levels = [_check(record, _LEVEL) for column in records for record in column['levels']]
    marginals = [_check(record, _MARGINAL) for record in manifest['marginals']]
    sizes = {
        'level': [_size(record['cells']) for record in levels],
        'fine': [_size(record['fine_cells']) for record in records],
        'marginal': [math.prod(map(_size, record['shape'])) for record in marginals],
    }
    pieces = {name: _cut(arrays[name], sizes[_kind(name)]) for name in ARRAYS}
    return Release(
        columns=_columns(records, levels, pieces),
        marginals=tuple(
            Marginal(tuple(map(_size, m['columns'])), counts.reshape(m['shape']), m['sigma'])
            for m, counts in zip(marginals, pieces['marginal_counts'], strict=True)
        ),
        ledger=tuple(LedgerEntry(**_check(entry, _LEDGER)) for entry in manifest['ledger']),
        epsilon=manifest['epsilon'],
        delta=manifest['delta'],
        mechanism=manifest['mechanism'],
        neighboring_relation=manifest['neighboring_relation'],
        public_columns=tuple(manifest['public_columns']),
    )


def _columns(
    records: list[Record], levels: list[Record], pieces: dict[str, list[Integers]]
) -> tuple[ColumnRelease, ...]:
    parts = (pieces[name] for name in ('level_lower', 'level_upper', 'level_counts'))
    all_levels = [
        Level(lower, upper, counts, record['sigma'])
        for record, lower, upper, counts in zip(levels, *parts, strict=True)
    ]
    columns, start = [], 0
    for i, record in enumerate(records):
        stop = start + len(record['levels'])
        columns.append(
            ColumnRelease(
                domain=_domain(record['domain']),
                levels=tuple(all_levels[start:stop]),
                fine_lower=pieces['fine_lower'][i],
                fine_upper=pieces['fine_upper'][i],
                bins=pieces['bins'][i],
                n_bins=record['n_bins'],
            )
        )
        start = stop
    return tuple(columns)


def _kind(array: str) -> str:
    return 'fine' if array == 'bins' else array.partition('_')[0]


def _cut(array: Integers, sizes: list[int]) -> list[Integers]:
    if sum(sizes) != array.size:
        raise ReleaseFormatError('The sizes in the manifest are not those of the arrays.')
    edges = np.cumsum([0, *sizes])
    return [array[start:stop] for start, stop in pairwise(edges)]


def _column_record(column: ColumnRelease) -> Record:
    return {
        'domain': _domain_record(column.domain),
        'levels': [{'cells': level.counts.size, 'sigma': level.sigma} for level in column.levels],
        'fine_cells': column.bins.size,
        'n_bins': column.n_bins,
    }


def _domain_record(domain: ColumnDomain) -> Record:
    record = {field.name: getattr(domain, field.name) for field in fields(domain)}
    if isinstance(domain, CategoricalDomain):
        record['categories'] = [_category_record(c) for c in domain.categories or ()]
    return record


def _domain(record: Record) -> ColumnDomain:
    if 'categories' in record:
        _check(record, _CATEGORICAL)
        categories = tuple(_category(c) for c in record['categories'])
        return CategoricalDomain(**{**record, 'categories': categories})
    _check(record, _NUMERICAL)
    numerator, denominator = map(_size, record['step'])
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
        return {'inf': math.inf, '-inf': -math.inf}[_check(record, {'float': str})['float']]
    if not isinstance(record, str | int | float | bool):
        raise ReleaseFormatError('The manifest has a category that is no str, number or bool.')
    return record


def _check(record: Any, kinds: dict[str, type]) -> Record:
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


def _size(value: Any) -> int:
    if not _is(value, int) or value < 0:
        raise ReleaseFormatError('The manifest has a size that is no integer.')
    return int(value)
