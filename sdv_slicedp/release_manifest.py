"""Releases as JSON records and flat arrays, and back with every type checked.

The arrays of all levels, columns and marginals are joined end to end; the records hold their sizes.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from sdv_slicedp.errors import ReleaseFormatError
from sdv_slicedp.json_records import Record, checked, domain_of, domain_record, size
from sdv_slicedp.ledger import Entry, LedgerEntry, ProjectionEntry
from sdv_slicedp.levels import Level
from sdv_slicedp.projection import Projection
from sdv_slicedp.release import ColumnRelease, Marginal, Release

ARRAYS = (
    'level_lower',
    'level_upper',
    'level_counts',
    'fine_lower',
    'fine_upper',
    'bins',
    'marginal_counts',
)
"""Arrays of every release."""
PROJECTION_ARRAYS = ('directions', 'projections')
"""Arrays since version 2; empty without a projection."""

Integers = npt.NDArray[np.int64]
Arrays = dict[str, Integers]

_RELEASE = {
    'mechanism': str,
    'neighboring_relation': str,
    'epsilon': float,
    'delta': float,
    'public_columns': list,
    'ledger': list,
    'columns': list,
    'marginals': list,
    'projection': object,
}
_LEDGER = {
    'stage': str,
    'description': str,
    'slices': int,
    'sigma': float,
    'draws': int,
    'threshold_delta': float,
}
_PROJECTION_LEDGER = {
    'stage': str,
    'description': str,
    'directions': str,
    'dimension': int,
    'slices': int,
    'sensitivity': float,
    'rounding': float,
    'sigma': float,
    'lattice_scale': float,
    'threshold_delta': float,
}
_PROJECTION = {
    'kind': str,
    'dimension': int,
    'slices': int,
    'rows': int,
    'pitch': float,
    'sigma': float,
}
_COLUMN = {'domain': dict, 'levels': list, 'fine_cells': int, 'n_bins': int}
_LEVEL = {'cells': int, 'sigma': float}
_MARGINAL = {'columns': list, 'shape': list, 'sigma': float}


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
        'projection': _projection_record(release.projection),
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
    joined = {name: np.concatenate([empty, *parts[name]]) for name in ARRAYS}
    projection = release.projection
    directions = empty if projection is None else projection.directions.reshape(-1)
    values = empty if projection is None else projection.values.reshape(-1)
    return {**joined, 'directions': directions, 'projections': values}


def release_of(manifest: Record, arrays: Arrays) -> Release:
    """Inverse of :func:`to_manifest` and :func:`joined_arrays`.

    Raises:
        ReleaseFormatError: If a record is not as :func:`to_manifest` writes it.
        ValueError: If the parts contradict each other.
    """
    checked(manifest, _RELEASE)
    records = [checked(record, _COLUMN) for record in manifest['columns']]
    levels = [checked(record, _LEVEL) for column in records for record in column['levels']]
    marginals = [checked(record, _MARGINAL) for record in manifest['marginals']]
    sizes = {
        'level': [size(record['cells']) for record in levels],
        'fine': [size(record['fine_cells']) for record in records],
        'marginal': [math.prod(map(size, record['shape'])) for record in marginals],
    }
    pieces = {name: _cut(arrays[name], sizes[_kind(name)]) for name in ARRAYS}
    return Release(
        columns=_columns(records, levels, pieces),
        marginals=tuple(
            Marginal(tuple(map(size, m['columns'])), counts.reshape(m['shape']), m['sigma'])
            for m, counts in zip(marginals, pieces['marginal_counts'], strict=True)
        ),
        ledger=tuple(_entry(record) for record in manifest['ledger']),
        epsilon=manifest['epsilon'],
        delta=manifest['delta'],
        mechanism=manifest['mechanism'],
        neighboring_relation=manifest['neighboring_relation'],
        public_columns=tuple(manifest['public_columns']),
        projection=_projection(manifest['projection'], arrays),
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
                domain=domain_of(record['domain']),
                levels=tuple(all_levels[start:stop]),
                fine_lower=pieces['fine_lower'][i],
                fine_upper=pieces['fine_upper'][i],
                bins=pieces['bins'][i],
                n_bins=record['n_bins'],
            )
        )
        start = stop
    return tuple(columns)


def _entry(record: Any) -> Entry:
    if isinstance(record, dict) and 'lattice_scale' in record:
        return ProjectionEntry(**checked(record, _PROJECTION_LEDGER))
    return LedgerEntry(**checked(record, _LEDGER))


def _projection_record(projection: Projection | None) -> Record | None:
    if projection is None:
        return None
    return {
        'kind': projection.kind,
        'dimension': projection.directions.shape[0],
        'slices': projection.directions.shape[1],
        'rows': projection.n_rows,
        'pitch': projection.pitch,
        'sigma': projection.sigma,
    }


def _projection(record: Any, arrays: Arrays) -> Projection | None:
    directions, values = (arrays[name] for name in PROJECTION_ARRAYS)
    if record is None:
        _cut(directions, []), _cut(values, [])
        return None
    checked(record, _PROJECTION)
    d, m, n = (size(record[name]) for name in ('dimension', 'slices', 'rows'))
    (directions,), (values,) = _cut(directions, [d * m]), _cut(values, [n * m])
    return Projection(
        record['kind'],
        directions.reshape(d, m),
        values.reshape(n, m),
        record['pitch'],
        record['sigma'],
    )


def _kind(array: str) -> str:
    return 'fine' if array == 'bins' else array.partition('_')[0]


def _cut(array: Integers, sizes: list[int]) -> list[Integers]:
    if sum(sizes) != array.size:
        raise ReleaseFormatError('The sizes in the manifest are not those of the arrays.')
    edges = np.cumsum([0, *sizes])
    return [array[start:stop] for start, stop in pairwise(edges)]


def _column_record(column: ColumnRelease) -> Record:
    return {
        'domain': domain_record(column.domain),
        'levels': [{'cells': level.counts.size, 'sigma': level.sigma} for level in column.levels],
        'fine_cells': column.bins.size,
        'n_bins': column.n_bins,
    }
