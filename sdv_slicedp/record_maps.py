"""Records in other columns, so that a constraint holds whatever the values of these are.

A record map turns each record of the processed space into one of the measured space, and a sampled
one back. It looks at one record at a time and has public parameters only: the constraint and the
declared domains. So it changes what is measured, but not by how much one record can change it. A
record that violates the constraint is moved to one that does not, by the same rule for every table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from sdv_slicedp import frames
from sdv_slicedp.domain import ColumnDomain, NumericalDomain
from sdv_slicedp.errors import DomainError
from sdv_slicedp.orders import Order


class RecordMap(Protocol):
    """An invertible map of records."""

    @property
    def renamed(self) -> dict[str, str]:
        """Measured column that a column goes into, for those that are not measured themselves."""

    def domains(self, domains: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains of the measured columns, as far as they are public."""

    def encode(self, processed: pd.DataFrame) -> pd.DataFrame:
        """Records in the measured space."""

    def decode(self, sampled: pd.DataFrame, released: Mapping[str, ColumnDomain]) -> pd.DataFrame:
        """Sampled records in the processed space; inverse of :meth:`encode`.

        Args:
            sampled: Records in the measured space.
            released: Complete domains of the measured columns.
        """

    def restored(self, released: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Complete domains of the processed columns, from those of the measured ones."""


@dataclass(frozen=True)
class RecordMaps:
    """Record maps one after the other.

    Attributes:
        columns: Declared domains of the processed columns.
        parts: The maps.
    """

    columns: tuple[ColumnDomain, ...]
    parts: tuple[RecordMap, ...] = ()

    @property
    def measured(self) -> tuple[ColumnDomain, ...]:
        """Domains of the measured columns, as far as they are public."""
        domains = self.columns
        for part in self.parts:
            domains = part.domains(domains)
        return domains

    def measured_names(self, names: Sequence[str]) -> list[str]:
        """The measured columns that some processed columns go into."""
        renamed = {old: new for part in self.parts for old, new in part.renamed.items()}
        return list(dict.fromkeys(renamed.get(name, name) for name in names))

    def public_names(self, attested: Sequence[str]) -> tuple[str, ...]:
        """Attested columns, and measured ones whose missing values are those of such a column."""
        numbers = {d.name for d in self.measured if isinstance(d, NumericalDomain)}
        carried = [name for name in self.measured_names(attested) if name in numbers]
        return tuple(dict.fromkeys([*attested, *carried]))

    def encode(self, processed: pd.DataFrame) -> pd.DataFrame:
        """Records in the measured space."""
        for part in self.parts:
            processed = part.encode(processed)
        return processed

    def decode(self, sampled: pd.DataFrame, released: Sequence[ColumnDomain]) -> pd.DataFrame:
        """Sampled records in the processed space, from the released domains."""
        for part in reversed(self.parts):
            sampled = part.decode(sampled, {domain.name: domain for domain in released})
            released = part.restored(released)
        return sampled

    def restored(self, released: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Complete domains of the processed columns, from those of the measured ones."""
        for part in reversed(self.parts):
            released = part.restored(released)
        return tuple(released)


@dataclass(frozen=True)
class Increments:
    """Numbers on the grid of the multiples of an increment.

    Attributes:
        steps: Name of each column and its increment.
    """

    steps: tuple[tuple[str, int], ...]

    @property
    def renamed(self) -> dict[str, str]:
        """Nothing: the values are the same, on a coarser grid."""
        return {}

    def domains(self, domains: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains with the increment as their step."""
        steps = dict(self.steps)
        return tuple(
            _with_increment(d, steps[d.name])
            if isinstance(d, NumericalDomain) and d.name in steps
            else d
            for d in domains
        )

    def encode(self, processed: pd.DataFrame) -> pd.DataFrame:
        """The same records: each value is taken to its nearest grid point as it is counted."""
        return processed

    def decode(self, sampled: pd.DataFrame, released: Mapping[str, ColumnDomain]) -> pd.DataFrame:
        """The same records."""
        return sampled

    def restored(self, released: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """The same domains."""
        return tuple(released)


def _with_increment(domain: NumericalDomain, increment: int) -> NumericalDomain:
    whole = domain.step is not None and domain.step[1] == 1
    step = math.lcm(increment, domain.step[0]) if domain.step and whole else increment
    lower, upper = frames.grid_bounds(domain)
    if not math.isfinite(lower + upper):
        return replace(domain, step=(step, 1))
    first, last = math.ceil(Fraction(lower) / step), math.floor(Fraction(upper) / step)
    if first > last:
        raise DomainError(
            f"The declared range of column '{domain.name}' holds no multiple of {step}."
        )
    return replace(domain, lower=first, upper=last, step=(step, 1), bounds=None)


@dataclass(frozen=True)
class Differences:
    """Ordered columns, each by its distance from the least value that the ones below allow.

    Columns with nothing below stay as they are. If all below are missing, the distance is from the
    column's own declared minimum (or from zero): so a present value is never lost.

    Attributes:
        order: The ordered columns.
    """

    order: Order

    @property
    def renamed(self) -> dict[str, str]:
        """The difference column of each column with others below."""
        return {link.domain.name: link.measured for link in self.order.links if link.below}

    def domains(self, domains: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains with differences, from zero to what the declared ranges allow."""
        found = {link.domain.name: self.order.measured_domain(link) for link in self.order.links}
        return tuple(found.get(domain.name, domain) for domain in domains)

    def encode(self, processed: pd.DataFrame) -> pd.DataFrame:
        """Records with differences; those out of order get the least one."""
        columns = arrays(processed)
        taken = {
            link.domain.name: columns.pop(link.domain.name).astype(np.float64)
            for link in self.order.links
        }
        return frames.uninferred({**columns, **self.order.encode(taken)}, len(processed))

    def decode(self, sampled: pd.DataFrame, released: Mapping[str, ColumnDomain]) -> pd.DataFrame:
        """Records with the differences added up."""
        columns = arrays(sampled)
        taken = {
            link.measured: columns.pop(link.measured).astype(np.float64)
            for link in self.order.links
        }
        return frames.uninferred({**columns, **self.order.decode(taken, released)}, len(sampled))

    def restored(self, released: Sequence[ColumnDomain]) -> tuple[ColumnDomain, ...]:
        """Domains with the sums of the differences."""
        found = self.order.restored({domain.name: domain for domain in released})
        names = {link.measured: link.domain.name for link in self.order.links}
        return tuple(found.get(names.get(d.name, ''), d) for d in released)


def arrays(frame: pd.DataFrame) -> dict[str, npt.NDArray[np.generic]]:
    """The columns of a frame, to be replaced one by one."""
    return {str(name): frame[name].to_numpy() for name in frame}
