"""The record of what was measured: which noise scales, on how many histograms or directions."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

from sdv_slicedp import noise

DIRECTIONS = ('orthonormal', 'sphere')
"""How directions are drawn: Haar bases and Stiefel directions, or independent unit vectors."""


@dataclass(frozen=True)
class LedgerEntry:
    """One measurement: slices that share a noise scale.

    Attributes:
        stage: ``domain``, ``one-column``, ``selection``, ``pairs``, ...
        description: Public text for the privacy report.
        slices: Number of integer histograms; a record adds 1 to at most one cell of each.
        sigma: Scale of the discrete Gaussian noise.
        draws: Number of noise values drawn.
        threshold_delta: Delta paid for suppressing cells by a threshold (partition selection).
    """

    stage: str
    description: str
    slices: int
    sigma: float
    draws: int
    threshold_delta: float = 0.0

    def __post_init__(self) -> None:
        """Refuse entries whose cost would be undefined."""
        _normalise(self, ('slices', 'draws'), ('sigma',))


@dataclass(frozen=True)
class ProjectionEntry:
    """One release of all records, each projected on random public directions with noise, Eq. (1).

    Attributes:
        stage: ``projection``.
        description: Public text for the privacy report.
        directions: One of :data:`DIRECTIONS`.
        dimension: Length of an encoded record.
        slices: Number of directions.
        sensitivity: How far an encoded record moves, at most, if it is replaced, Eq. (18).
        rounding: What the lattice and the quantised directions add to that move, Eq. (19).
        sigma: Noise scale in the units of the encoding.
        lattice_scale: The same in units of the lattice: scale of the discrete Gaussian noise.
        threshold_delta: Delta paid for directions that see more energy than the plan allows for.
    """

    stage: str
    description: str
    directions: str
    dimension: int
    slices: int
    sensitivity: float
    rounding: float
    sigma: float
    lattice_scale: float
    threshold_delta: float = 0.0

    def __post_init__(self) -> None:
        """Refuse entries whose cost would be undefined."""
        if self.directions not in DIRECTIONS:
            raise ValueError(f'directions must be one of {DIRECTIONS}, got {self.directions!r}.')
        _normalise(self, ('dimension', 'slices'), ('sensitivity', 'sigma', 'lattice_scale'))
        rounding = checked_number('rounding', self.rounding)
        if not 0 <= rounding < math.inf:
            raise ValueError(f'rounding must be finite and not negative, got {rounding}.')
        object.__setattr__(self, 'rounding', rounding)


Entry = LedgerEntry | ProjectionEntry
"""One measurement of either kind."""


class Ledger:
    """Append-only list of measurements. Record an entry before touching the data."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was recorded so far."""
        return tuple(self._entries)

    def record(self, entry: Entry) -> None:
        """Append ``entry``; its scale must be one that noise can be drawn at."""
        if not isinstance(entry, Entry):
            raise TypeError(
                f'entry must be a LedgerEntry or a ProjectionEntry, got {type(entry).__name__}.'
            )
        name = 'sigma' if isinstance(entry, LedgerEntry) else 'lattice_scale'
        if not noise.is_admissible(scale := drawn_scale(entry)):
            raise ValueError(f'{name} must be admissible, got {scale}: use admissible_sigma.')
        self._entries.append(entry)


def drawn_scale(entry: Entry) -> float:
    """Scale of the integer noise that an entry stands for."""
    return entry.sigma if isinstance(entry, LedgerEntry) else entry.lattice_scale


def _normalise(entry: Entry, integers: tuple[str, ...], scales: tuple[str, ...]) -> None:
    """Check what both kinds of entries have, and make plain numbers of numpy's."""
    for name in ('stage', 'description'):
        if not isinstance(getattr(entry, name), str):
            raise TypeError(f'{name} must be a string, got {getattr(entry, name)!r}.')
    for name in integers:
        object.__setattr__(entry, name, positive_integer(name, getattr(entry, name)))
    for name in scales:
        scale = checked_number(name, getattr(entry, name))
        if not 0 < scale < math.inf:
            raise ValueError(f'{name} must be positive and finite, got {scale}.')
        object.__setattr__(entry, name, scale)
    threshold_delta = checked_number('threshold_delta', entry.threshold_delta)
    if not 0 <= threshold_delta < 1:
        raise ValueError(f'threshold_delta must be in [0, 1), got {threshold_delta}.')
    object.__setattr__(entry, 'threshold_delta', threshold_delta)


def positive_integer(name: str, value: object) -> int:
    """``value`` as an integer of at least 1; booleans and fractions are refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f'{name} must be an integer, got {value!r}.')
    number = int(value)
    if number < 1:
        raise ValueError(f'{name} must be at least 1, got {number}.')
    return number


def checked_number(name: str, value: object) -> float:
    """``value`` as a float; booleans and anything that is not a number are refused."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f'{name} must be a number, got {value!r}.')
    return float(value)
