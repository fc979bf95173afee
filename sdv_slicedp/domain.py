"""What is public about a column: its domain, as a grid of cells.

A field that is ``None`` is not public and has to be discovered with privacy budget
(``mechanism.py``). A complete domain turns every value into an integer: a category code, or a
number of grid steps. These maps look at one value at a time and have public parameters only, so
they may be applied to private rows on either side of the boundary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pandas as pd

MISSING = np.iinfo(np.int64).min
"""Grid position of a missing value of a numeric column."""
UNCOUNTED = np.iinfo(np.int64).min + 1
"""Grid position of a value that the domain has no cell for; it is counted in no slice."""
MAX_UNITS = 2**53
"""Largest number of grid steps from zero: beyond it, float64 does not hold every integer."""

Category = str | int | float | bool


@dataclass(frozen=True)
class CategoricalDomain:
    """Domain of a discrete column.

    Attributes:
        name: Column name.
        sdtype: ``categorical``, ``boolean`` or ``ordinal``.
        categories: The possible values, in order; ``None`` if they must be discovered.
        has_missing: Whether there is a cell for missing values (code ``len(categories)``).
        has_other: Whether there is a remainder cell for all other values (the last code).
        remainder: The category that all other values count for, if the user has named one. Only
            the private rows need it: a release has a category like any other in its place.
    """

    name: str
    sdtype: str
    categories: tuple[Category, ...] | None
    has_missing: bool
    has_other: bool = False
    remainder: Category | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to discover."""
        return self.categories is not None

    @property
    def n_cells(self) -> int:
        """Number of cells, the missing and the remainder cell included."""
        return len(self.categories or ()) + int(self.has_missing) + int(self.has_other)


@dataclass(frozen=True)
class NumericalDomain:
    """Domain of a numeric or datetime column: the grid ``{k * step : lower <= k <= upper}``.

    Attributes:
        name: Column name.
        sdtype: ``numerical`` or ``datetime``.
        lower: Smallest grid position; ``None`` if it must be discovered.
        upper: Largest grid position (inclusive); ``None`` if it must be discovered.
        step: Grid step as ``(numerator, denominator)``: ``(1, 100)`` for two decimals,
            ``(86_400_000_000_000, 1)`` nanoseconds for days; ``None`` if it must be discovered.
        has_missing: Whether there is a cell for missing values.
        bounds: Declared bounds in the column's own unit, kept while ``step`` is unknown.
    """

    name: str
    sdtype: str
    lower: int | None
    upper: int | None
    step: tuple[int, int] | None
    has_missing: bool
    bounds: tuple[float, float] | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to discover."""
        return self.lower is not None and self.upper is not None and self.step is not None


ColumnDomain = CategoricalDomain | NumericalDomain


def with_category(categories: tuple[Category, ...], named: Category) -> tuple[Category, ...]:
    """Categories with one more at the end, if it is not among them."""
    return categories if named in categories else (*categories, named)


def with_remainders(
    domains: Sequence[ColumnDomain], remainders: Mapping[str, Category]
) -> tuple[ColumnDomain, ...]:
    """Domains with a named category, by column, for the values that are in no other one."""
    named: list[ColumnDomain] = []
    for domain in domains:
        if isinstance(domain, CategoricalDomain) and domain.name in remainders:
            remainder, known = remainders[domain.name], domain.categories
            known = None if known is None else with_category(known, remainder)
            domain = replace(domain, categories=known, remainder=remainder)
        named.append(domain)
    return tuple(named)


def fitting_step(step: tuple[int, int], largest: float | Fraction) -> tuple[int, int]:
    """The step, widened by powers of ten until a grid up to ``largest`` fits ``MAX_UNITS``."""
    numerator, denominator = step
    while Fraction(largest) * denominator / numerator > MAX_UNITS:
        numerator, denominator = (
            (numerator, denominator // 10) if denominator > 1 else (numerator * 10, denominator)
        )
    return numerator, denominator


def to_units(values: npt.NDArray[np.float64], step: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Nearest grid positions of ``values``, as floats that hold integers (NaN stays NaN)."""
    numerator, denominator = step
    with np.errstate(over='ignore', invalid='ignore'):
        units = np.rint(np.asarray(values, dtype=np.float64) * denominator / numerator)
    return np.clip(units, -MAX_UNITS, MAX_UNITS)


def from_units(units: npt.NDArray[np.int64], step: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Values at grid positions ``units``; inverse of :func:`to_units` on the grid."""
    numerator, denominator = step
    return np.asarray(units, dtype=np.float64) * numerator / denominator


def grid_positions(values: pd.Series, domain: NumericalDomain) -> npt.NDArray[np.int64]:
    """Grid position of each value, clipped to the domain's bounds.

    Args:
        values: Floats; NaN is missing, infinities are clipped.
        domain: A complete domain.

    Returns:
        Positions of shape ``(n,)``; missing values are ``MISSING``, or ``UNCOUNTED`` if the
        domain has no cell for them.
    """
    if domain.lower is None or domain.upper is None or domain.step is None:
        raise ValueError(f"The domain of column '{domain.name}' is not complete.")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    units = np.clip(to_units(numbers, domain.step), domain.lower, domain.upper)
    absent = np.isnan(units)
    positions = np.where(absent, 0.0, units).astype(np.int64)
    positions[absent] = MISSING if domain.has_missing else UNCOUNTED
    return positions


def positions_of(values: pd.Series, domain: ColumnDomain) -> npt.NDArray[np.int64]:
    """Where the values of a column lie in its complete domain.

    Args:
        values: Values in the processed space.
        domain: A complete domain.

    Returns:
        :func:`category_codes` or :func:`grid_positions`, shape ``(n,)``.

    Formal guarantees:
        One row at a time. Public: ``domain``.
    """
    if isinstance(domain, CategoricalDomain):
        return category_codes(values, domain)
    return grid_positions(values, domain)


def category_codes(values: pd.Series, domain: CategoricalDomain) -> npt.NDArray[np.int64]:
    """Code of each value of a discrete column.

    Args:
        values: Raw values; ``None`` and NaN are missing.
        domain: A complete domain.

    Returns:
        Codes of shape ``(n,)``: ``0..len(categories) - 1``, then the missing cell, then the
        remainder cell; ``UNCOUNTED`` for values that have no cell. Values that are no category
        have the code of ``remainder``, if there is one.
    """
    if domain.categories is None:
        raise ValueError(f"The domain of column '{domain.name}' is not complete.")
    objects = values.astype(object)
    index = pd.Index(list(domain.categories), dtype=object)
    codes: npt.NDArray[np.int64] = index.get_indexer(pd.Index(objects, dtype=object)).astype(
        np.int64
    )
    absent = objects.isna().to_numpy()
    outside = (codes < 0) & ~absent
    codes[outside] = domain.n_cells - 1 if domain.has_other else UNCOUNTED
    if domain.remainder is not None:
        codes[outside] = domain.categories.index(domain.remainder)
    codes[absent] = len(domain.categories) if domain.has_missing else UNCOUNTED
    return codes
