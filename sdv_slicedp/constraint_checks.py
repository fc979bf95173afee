"""Which synthetic rows meet a constraint, from its parameters and public facts alone.

The comparisons are made in the processed space: numbers, nanoseconds, plain values. SDV's own
checks of constraints that are not fitted take every combination, and compare datetimes as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sdv.cag import FixedCombinations, FixedIncrements, Inequality, OneHotEncoding, Range
from sdv.errors import NotFittedError, SynthesizerInputError

from sdv_slicedp import dtypes
from sdv_slicedp.constraints import columns_of, edges_of
from sdv_slicedp.declared_combinations import DeclaredCombinations
from sdv_slicedp.domain import ColumnDomain, NumericalDomain
from sdv_slicedp.joint_columns import Combinations
from sdv_slicedp.orders import Edge, least_above
from sdv_slicedp.record_maps import RecordMaps

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Checker:
    """Which rows meet constraints.

    Attributes:
        maps: The maps that the release was measured with.
        released: Its domains.
    """

    maps: RecordMaps
    released: tuple[ColumnDomain, ...]

    def valid(self, constraint: Any, rows: pd.DataFrame, processed: pd.DataFrame) -> Flags:
        """Whether each row meets a constraint.

        Args:
            constraint: A constraint as :func:`constraints.admitted` gives it.
            rows: Rows of the table.
            processed: The same rows in the processed space.
        """
        if isinstance(constraint, Inequality | Range):
            return self._in_order(edges_of(constraint), processed)
        if isinstance(constraint, FixedIncrements):
            values = _numbers(processed, constraint.column_name)
            multiple = np.mod(values, constraint.increment_value) == 0
            return np.asarray(np.isnan(values) | multiple)
        if isinstance(constraint, OneHotEncoding):
            return _one_hot(processed, columns_of(constraint))
        if isinstance(constraint, DeclaredCombinations):
            return _declared(constraint, processed)
        if isinstance(constraint, FixedCombinations):
            return self._released(constraint, processed)
        flags = np.asarray(constraint.is_valid(rows), dtype=bool)
        if flags.shape != (len(rows),):
            raise SynthesizerInputError(
                f'is_valid of {type(constraint).__name__} must return one boolean for each of '
                f'{len(rows)} rows, got shape {flags.shape}.'
            )
        return flags

    def _in_order(self, edges: Sequence[Edge], processed: pd.DataFrame) -> Flags:
        domains = {d.name: d for d in self.maps.columns if isinstance(d, NumericalDomain)}
        flags = np.ones(len(processed), dtype=bool)
        for edge in edges:
            low, high = (_numbers(processed, name) for name in (edge.low, edge.high))
            flags &= ~(low >= high if edge.strict else low > high)
            if edge.strict and domains[edge.low].sdtype == 'datetime':
                least = least_above(low, domains[edge.low], domains[edge.high], strict=True)
                flags &= ~(least > high)
        return flags

    def _released(self, constraint: FixedCombinations, processed: pd.DataFrame) -> Flags:
        names = set(constraint.column_names)
        for part in self.maps.parts:
            if isinstance(part, Combinations) and names <= set(part.renamed):
                (joint,) = (d for d in self.released if d.name == part.name)
                known = set(getattr(joint, 'categories', None) or ())
                return np.array([text in known for text in part.texts(processed)], dtype=bool)
        raise NotFittedError(
            'The combinations are not known yet. Please fit the synthesizer first.'
        )


def _numbers(processed: pd.DataFrame, name: str) -> npt.NDArray[np.float64]:
    return np.asarray(processed[name].to_numpy(dtype=np.float64, na_value=np.nan))


def _declared(constraint: DeclaredCombinations, processed: pd.DataFrame) -> Flags:
    known = set(map(tuple, constraint.combinations))
    columns = (processed[name].astype(object) for name in constraint.column_names)
    records = zip(*(column.where(column.notna(), None) for column in columns), strict=True)
    return np.array([record in known for record in records], dtype=bool)


def _one_hot(processed: pd.DataFrame, names: Sequence[str]) -> Flags:
    values = np.stack([dtypes.plain_numbers(processed[name]) for name in names], axis=1)
    bits = np.isin(values, (0.0, 1.0)).all(axis=1)
    return np.asarray(bits & (values.sum(axis=1) == 1))
