"""Ordered columns as differences: the arithmetic of the constraints Inequality and Range.

A column is placed above others: its value is at least (or more than) each of theirs that is not
missing. On a grid of known step, "more than" is "at least the next grid point", so a difference of
zero is always the least one that is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from sdv_slicedp import frames
from sdv_slicedp.domain import MAX_UNITS, ColumnDomain, NumericalDomain, to_units
from sdv_slicedp.errors import DomainError

Floats = npt.NDArray[np.float64]
Step = tuple[int, int]
DIGITS = 15
"""Digits of a float64 that survive a subtraction of decimal numbers."""


@dataclass(frozen=True)
class Edge:
    """``low`` is at most ``high``, or less."""

    low: str
    high: str
    strict: bool


@dataclass(frozen=True)
class Link:
    """A column of an order.

    Attributes:
        domain: Its declared domain.
        measured: Name of the column that is measured in its place.
        below: The columns right below, and whether they must be less.
        cap: Largest value that leaves room for the columns above.
    """

    domain: NumericalDomain
    measured: str
    below: tuple[tuple[NumericalDomain, bool], ...]
    cap: float


@dataclass(frozen=True)
class Order:
    """Ordered columns, each after the ones below."""

    links: tuple[Link, ...]

    def encode(self, values: Mapping[str, Floats]) -> dict[str, Floats]:
        """Measured columns: values of the lowest columns, differences of the others.

        Args:
            values: Each column, NaN where it is missing, shape ``(n,)``.
        """
        seen: dict[str, Floats] = {}
        measured = {}
        for link in self.links:
            value = _inside(values[link.domain.name], link)
            if not link.below:
                measured[link.measured] = seen[link.domain.name] = value
                continue
            base, held = _base(link, seen)
            distance = _distance(value, base, link.domain.step)
            distance = np.where(held & (distance < 0), 0.0, distance)
            measured[link.measured] = distance
            seen[link.domain.name] = _inside(_sum(base, distance, link.domain.step), link)
        return measured

    def decode(
        self, measured: Mapping[str, Floats], released: Mapping[str, ColumnDomain]
    ) -> dict[str, Floats]:
        """Inverse of :meth:`encode`; every result is in order, whatever the differences.

        Args:
            measured: Measured columns.
            released: Their complete domains.
        """
        values: dict[str, Floats] = {}
        for link in self.links:
            value = np.asarray(measured[link.measured], dtype=np.float64)
            if link.below:
                base, held = _base(link, values)
                least = _least_distance(link, released[link.measured])
                distance = np.where(held & (value < least), least, value)
                value = _sum(base, distance, link.domain.step)
            values[link.domain.name] = _inside(value, link)
        return values

    def measured_domain(self, link: Link) -> NumericalDomain:
        """What is public about the column that is measured for a link."""
        domain = link.domain
        _, upper = frames.grid_bounds(domain)
        if not link.below:
            return _capped(domain, link.cap)
        base = min(_reference(domain), *(_lowest(low, domain, s) for low, s in link.below))
        measured = replace(domain, name=link.measured, lower=None, upper=None, bounds=None)
        if not math.isfinite(upper - base):
            return measured
        if domain.step is None:
            return replace(measured, bounds=(0.0, upper - base))
        width = int(to_units(np.array([upper - base]), domain.step)[0])
        return replace(measured, lower=0, upper=max(width, 0))

    def restored(self, released: Mapping[str, ColumnDomain]) -> dict[str, ColumnDomain]:
        """Complete domains of the ordered columns, from those of the measured ones."""
        found: dict[str, NumericalDomain] = {}
        for link in self.links:
            measured = released[link.measured]
            if not isinstance(measured, NumericalDomain):
                raise TypeError(f"Column '{link.measured}' must be released as numbers.")
            if not link.below:
                found[link.domain.name] = replace(measured, name=link.domain.name)
            elif link.domain.is_complete:
                found[link.domain.name] = replace(link.domain, has_missing=measured.has_missing)
            else:
                lows = [found[low.name] for low, _ in link.below]
                found[link.domain.name] = _sum_domain(link.domain, lows, measured)
        return dict(found)


def ordered(
    edges: Sequence[Edge], columns: Mapping[str, NumericalDomain], names: Mapping[str, str]
) -> Order:
    """The order that some edges make.

    Args:
        edges: Edges without a cycle.
        columns: Declared domain of each column.
        names: Name of the column that is measured for each.

    Raises:
        DomainError: If the declared ranges leave a column no value.
    """
    sequence = in_sequence(edges)
    caps: dict[str, float] = {}
    for name in reversed(sequence):
        above = [(columns[edge.high], edge.strict) for edge in edges if edge.low == name]
        rooms = [_room(columns[name], high, caps[high.name], strict) for high, strict in above]
        lower, upper = frames.grid_bounds(columns[name])
        caps[name] = min(upper, *rooms) if rooms else upper
        if caps[name] < lower:
            raise DomainError(
                f"The declared ranges leave no value for column '{name}' that the columns above "
                'it, which a constraint names, could follow.'
            )
    links = []
    for name in sequence:
        strict = {
            edge.low: edge.strict
            for edge in sorted(edges, key=lambda e: e.strict)
            if edge.high == name
        }
        below = tuple((columns[low], strict[low]) for low in sequence if low in strict)
        links.append(Link(columns[name], names[name], below, caps[name]))
    return Order(tuple(links))


def in_sequence(edges: Sequence[Edge]) -> tuple[str, ...]:
    """Names with every ``low`` before its ``high``.

    Raises:
        ValueError: If the edges have a cycle.
    """
    names = list(dict.fromkeys(name for edge in edges for name in (edge.low, edge.high)))
    sequence: list[str] = []
    while names:
        free = [n for n in names if not any(e.high == n and e.low in names for e in edges)]
        if not free:
            raise ValueError('the edges have a cycle.')
        sequence += free
        names = [name for name in names if name not in free]
    return tuple(sequence)


def least_above(
    low: Floats, below: NumericalDomain, above: NumericalDomain, strict: bool
) -> Floats:
    """Least value of a column above a value of the one below; NaN above NaN.

    With a step, it is a grid point. Two datetimes of different precision are compared at the
    coarser one, as SDV does; without a step, "more than" is left to the decoding.
    """
    if above.step is None:
        return low
    coarse = above.step
    if strict and above.sdtype == 'datetime' and below.step is not None:
        coarse = max(below.step, above.step, key=lambda step: Fraction(*step))
    least = _next_point(low, coarse) if strict else _ceiling(low, coarse)
    return least if coarse == above.step else _ceiling(least, above.step)


def _ceiling(values: Floats, step: Step) -> Floats:
    units = values * step[1] / step[0]
    return np.asarray(np.ceil(units - np.spacing(np.abs(units))) * step[0] / step[1])


def _next_point(values: Floats, step: Step) -> Floats:
    units = values * step[1] / step[0]
    return np.asarray((np.floor(units + np.spacing(np.abs(units))) + 1) * step[0] / step[1])


def _inside(values: Floats, link: Link) -> Floats:
    """Values on the grid and in the bounds, as far as these are known."""
    lower, _ = frames.grid_bounds(link.domain)
    return np.clip(_sum(values, np.zeros(1), link.domain.step), lower, link.cap)


def _base(link: Link, values: Mapping[str, Floats]) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Where the differences of a column start, and whether some column below is present."""
    starts = [least_above(values[d.name], d, link.domain, strict) for d, strict in link.below]
    base = np.fmax.reduce(starts)
    held = ~np.isnan(base)
    return np.where(held, base, _reference(link.domain)), held


def _reference(domain: NumericalDomain) -> float:
    """Where differences start if all columns below are missing."""
    lower, _ = frames.grid_bounds(domain)
    return lower if math.isfinite(lower) else 0.0


def _lowest(low: NumericalDomain, domain: NumericalDomain, strict: bool) -> float:
    lower, _ = frames.grid_bounds(low)
    return float(least_above(np.array([lower]), low, domain, strict)[0])


def _distance(values: Floats, base: Floats, step: Step | None) -> Floats:
    if step is not None:
        return (to_units(values, step) - to_units(base, step)) * step[0] / step[1]
    # Decimal numbers have decimal differences, but for the rounding of the larger one.
    larger = np.maximum(np.maximum(np.abs(values), np.abs(base)), 1e-300)
    scale = 10.0 ** np.clip(DIGITS - 1 - np.floor(np.log10(larger)), -300, 300)
    rounded = np.rint((values - base) * scale) / scale
    return np.asarray(np.where(np.isfinite(rounded), rounded, values - base))


def _sum(base: Floats, distance: Floats, step: Step | None) -> Floats:
    if step is None:
        return base + distance
    return (to_units(base, step) + to_units(distance, step)) * step[0] / step[1]


def _least_distance(link: Link, measured: ColumnDomain) -> float:
    """Zero, or one step where "more than" could not be built into the base."""
    strict = link.domain.step is None and any(strict for _, strict in link.below)
    step = getattr(measured, 'step', None)
    return step[0] / step[1] if strict and step else 0.0


def _room(low: NumericalDomain, high: NumericalDomain, cap: float, strict: bool) -> float:
    """Largest value of ``low`` with one of ``high`` above it that is not above ``cap``."""
    if not math.isfinite(cap) or low.step is None:
        step = high.step[0] / high.step[1] if strict and high.step else 0.0
        return cap - step
    numerator, denominator = low.step
    units = math.floor(Fraction(cap) * denominator / numerator)
    value = units * numerator / denominator
    if float(least_above(np.array([value]), low, high, strict)[0]) > cap:
        value = (units - 1) * numerator / denominator
    return value


def _capped(domain: NumericalDomain, cap: float) -> NumericalDomain:
    if domain.bounds is not None:
        return replace(domain, bounds=(domain.bounds[0], cap))
    if domain.upper is None or domain.step is None:
        return domain
    return replace(domain, upper=int(to_units(np.array([cap]), domain.step)[0]))


def _sum_domain(
    domain: NumericalDomain, lows: Sequence[NumericalDomain], measured: NumericalDomain
) -> NumericalDomain:
    """Domain of all sums of a lower value and a difference, on the finest grid of the parts."""
    steps = [Fraction(*part.step) for part in (*lows, measured) if part.step]
    pitch = Fraction(*domain.step) if domain.step else _common(steps)
    ends = [frames.grid_bounds(low) for low in lows] + [(_reference(domain),) * 2]
    lower, upper = frames.grid_bounds(measured)
    first = (Fraction(min(low for low, _ in ends)) + Fraction(lower)) / pitch
    # One more at each end: with a strict order, or on another grid, the sum starts at the next.
    last = (Fraction(max(high for _, high in ends)) + Fraction(upper)) / pitch
    return replace(
        domain,
        lower=max(math.floor(first) - 1, -MAX_UNITS),
        upper=min(math.ceil(last) + 1, MAX_UNITS),
        step=(pitch.numerator, pitch.denominator),
        has_missing=measured.has_missing,
        bounds=None,
    )


def _common(steps: Sequence[Fraction]) -> Fraction:
    """Coarsest grid that holds all grids."""
    common = steps[0]
    for step in steps[1:]:
        denominator = math.lcm(common.denominator, step.denominator)
        numerator = math.gcd(int(common * denominator), int(step * denominator))
        common = Fraction(numerator, denominator)
    return common
