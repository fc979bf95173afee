"""Discovery of a domain that is not public: which cells are asked for, and what is made of them.

The per-value maps have public parameters only; the decisions see noisy counts only. The counting
and the noise are in ``mechanism.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from sdv_slicedp.domain import (
    MAX_UNITS,
    MISSING,
    CategoricalDomain,
    Category,
    NumericalDomain,
    fitting_step,
    to_units,
    with_category,
)
from sdv_slicedp.grid import Cells, Floats, Integers, within

MAX_DECIMALS = 12
"""Most decimals that are asked for."""
EXPONENTS = range(-15, 16)
"""Powers of ten of numbers whose decimals have no end: a cell each in the decimals slice."""
DECIMAL_CELLS = MAX_DECIMALS + 1 + len(EXPONENTS)
"""Cells of the decimals slice: 0 to MAX_DECIMALS decimals, then the endless ones by magnitude."""
TIME_STEPS = (86_400 * 10**9, 3_600 * 10**9, 60 * 10**9, 10**9, 10**6, 10**3)
"""Candidate steps of a datetime column in nanoseconds: day, hour, minute, second, ms, us."""
TAIL_SIGNIFICANCE = 3.0
"""Noise scales that the counts beyond a bound must exceed together to be kept."""
ROUNDED_SHARE = 0.005
"""Share of the rows that may lose decimals to the discovered step."""
FALSE_ALARM = 1e-3
"""Probability that noise alone widens the range of a column, or refines its resolution, at most."""
SIGNIFICANT_DIGITS = 9
"""Digits that the largest values keep when the decimals have no end."""
EXACT_BELOW = 1e12
"""A number that is not whole with this many digits has endless decimals."""


def decimal_cells(values: Floats) -> Integers:
    """Cell of each number in the decimals slice; -1 if it is missing or infinite."""
    finite = np.isfinite(values)
    magnitude = np.abs(np.where(finite, values, 0.0))
    exponent = np.floor(np.log10(np.maximum(magnitude, 1e-300)))
    offset = np.clip(exponent, EXPONENTS[0], EXPONENTS[-1]).astype(np.int64) - EXPONENTS[0]
    cells = MAX_DECIMALS + 1 + offset
    undecided = finite.copy()
    for decimals in range(MAX_DECIMALS + 1):
        rows = np.flatnonzero(undecided & (magnitude < EXACT_BELOW / 10.0**decimals))
        scaled = magnitude[rows] * 10.0**decimals
        exact = np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.minimum(scaled, 1.0) + 1e-15 * scaled
        cells[rows[exact]] = decimals
        undecided[rows[exact]] = False
    whole = undecided & (magnitude >= EXACT_BELOW) & (magnitude == np.rint(magnitude))
    cells[whole] = 0
    cells[~finite] = -1
    return cells


def time_cells(values: Floats) -> Integers:
    """Index in ``TIME_STEPS`` of the coarsest step that holds each instant; -1 if missing.

    Instants are floats, so they may be off a step by their own rounding.
    """
    finite = np.isfinite(values)
    instants = np.where(finite, np.clip(values, -(2.0**63), 2.0**63), 0.0)
    rounding = np.spacing(np.abs(instants))
    cells = np.full(len(values), len(TIME_STEPS) - 1, dtype=np.int64)
    for index in reversed(range(len(TIME_STEPS) - 1)):
        step = float(TIME_STEPS[index])
        cells[np.abs(instants - np.rint(instants / step) * step) <= rounding] = index
    cells[~finite] = -1
    return cells


def significance(n_cells: int) -> float:
    """Noise scales that one of so many cells or tails must exceed, by Bonferroni's rule."""
    return float(ndtri(1.0 - FALSE_ALARM / n_cells))


def finest_needed(counts: Integers, sigma: float) -> int:
    """Smallest resolution that leaves no significant share of the rows to be rounded.

    Args:
        counts: Noisy counts by resolution, coarse to fine.
        sigma: Their noise scale.
    """
    tails = np.cumsum(counts[::-1])[::-1]
    noise = significance(len(counts)) * sigma * np.sqrt(np.arange(len(counts), 0, -1))
    limit = np.maximum(noise, ROUNDED_SHARE * max(float(tails[0]), 0.0))
    needed = np.flatnonzero(tails > limit)
    return int(needed[-1]) if len(needed) else 0


def resolution_cells(values: Floats, sdtype: str) -> tuple[Integers, int]:
    """Cell of each value in its column's resolution slice, and the number of cells.

    Formal guarantees:
        One row at a time. Public: ``sdtype``.
    """
    if sdtype == 'datetime':
        return time_cells(values), len(TIME_STEPS)
    return decimal_cells(values), DECIMAL_CELLS


def step(sdtype: str, counts: Integers, sigma: float) -> tuple[int, int]:
    """Grid step of a column from its noisy resolution slice."""
    if sdtype == 'datetime':
        return (TIME_STEPS[finest_needed(counts, sigma)], 1)
    return decimal_step(counts, sigma)


def decimal_step(counts: Integers, sigma: float) -> tuple[int, int]:
    """Grid step from the noisy decimals slice.

    With endless decimals, the largest significant magnitude keeps ``SIGNIFICANT_DIGITS`` digits.
    """
    ended, endless = counts[: MAX_DECIMALS + 1], counts[MAX_DECIMALS + 1 :]
    total = max(float(counts.sum()), 0.0)
    noise = significance(len(counts)) * sigma * np.sqrt(len(endless))
    limit = max(noise, ROUNDED_SHARE * total)
    if endless.sum() > limit:
        exponent = EXPONENTS[finest_needed(endless, sigma)]
        return (1, 10 ** max(SIGNIFICANT_DIGITS - 1 - exponent, 0))
    return (1, 10 ** finest_needed(ended, sigma))


def with_step(domain: NumericalDomain, step: tuple[int, int]) -> NumericalDomain:
    """The domain on the grid of ``step``, declared bounds turned into grid positions.

    Noise may ask for more decimals than a grid over declared bounds can have: they come first.
    """
    if domain.bounds is None:
        return replace(domain, step=step)
    if domain.sdtype == 'numerical':
        step = fitting_step(step, max(map(abs, domain.bounds)))
    lower, upper = to_units(np.array(domain.bounds), step)
    return replace(domain, step=step, lower=int(lower), upper=int(upper))


def widest(domain: NumericalDomain) -> NumericalDomain:
    """The domain with the widest bounds that a grid can have."""
    return replace(domain, lower=-MAX_UNITS, upper=MAX_UNITS)


def with_bounds(
    domain: NumericalDomain, cells: Cells, counts: Integers, sigma: float
) -> tuple[NumericalDomain, npt.NDArray[np.bool_]]:
    """The domain between the outermost significant cells, and which cells lie in it.

    Without a significant cell, the domain is the single cell that holds zero.
    """
    values = cells.lower != MISSING
    found = (counts > significance(len(cells)) * sigma) & values
    if not found.any():
        found = values & (cells.lower <= 0) & (cells.upper >= 0)
    lower, upper = int(cells.lower[found].min()), int(cells.upper[found].max())
    return replace(domain, lower=lower, upper=upper), within(cells, lower, upper)


CATEGORY_TYPES = (bool, int, float, str)
"""Types of values that can be categories, in the order in which equal ones are preferred."""


def by_type(values: pd.Series) -> list[pd.Series]:
    """The values that can be categories, apart by type; NumPy's count as Python's.

    Values that are equal but of different types, such as 1 and True, must not share a count,
    or its label would be that of the first row.

    Formal guarantees:
        One row at a time; it goes to at most one of the parts.
    """
    objects = values.astype(object)
    kinds = objects.map(_category_type)
    return [objects[kinds == number] for number in range(len(CATEGORY_TYPES))]


def _category_type(value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        return 0
    if isinstance(value, int | np.integer):
        return 1
    if isinstance(value, float | np.floating):
        return 2
    return 3 if isinstance(value, str) else -1


def in_public_order(values: Iterable[Any]) -> tuple[Category, ...]:
    """Plain Python values without equal ones of later types, sorted by type and value."""
    plain: list[Category] = [v.item() if isinstance(v, np.generic) else v for v in values]
    plain = [v + 0.0 if isinstance(v, float) else v for v in plain]  # -0.0 and 0.0 are equal
    plain.sort(key=lambda c: (CATEGORY_TYPES.index(type(c)), c))
    return tuple(dict.fromkeys(plain))


def with_categories(domain: CategoricalDomain, found: tuple[Category, ...]) -> CategoricalDomain:
    """The domain with the values that were found, and a cell for all others.

    That cell is the category that the user has named for it, or else one that is never shown.
    """
    if domain.remainder is None:
        return replace(domain, categories=found, has_other=True)
    return replace(domain, categories=with_category(found, domain.remainder))


def outermost(cells: Cells, counts: Floats, spread: Floats) -> tuple[int, int] | None:
    """Bounds outside of which the counts together do not stand out of the noise.

    Args:
        cells: Disjoint sorted cells.
        counts: Their estimated counts.
        spread: Their variances.

    Returns:
        Lowest and highest position, ``None`` if nothing stands out.
    """
    value = cells.lower != MISSING
    lower, upper, counts, spread = (x[value] for x in (cells.lower, cells.upper, counts, spread))

    def from_outside(order: slice) -> Integers:
        noise = np.sqrt(np.cumsum(spread[order]))
        return np.flatnonzero(np.cumsum(counts[order]) > TAIL_SIGNIFICANCE * noise)

    left, right = from_outside(slice(None)), from_outside(slice(None, None, -1))
    if not len(left) or not len(right) or left[0] > len(lower) - 1 - right[0]:
        return None
    return int(lower[left[0]]), int(upper[len(lower) - 1 - right[0]])
