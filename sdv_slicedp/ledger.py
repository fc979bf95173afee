"""The record of what was measured: which noise scales, on how many histograms."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

from sdv_slicedp import noise


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
        for name in ('stage', 'description'):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f'{name} must be a string, got {getattr(self, name)!r}.')
        for name in ('slices', 'draws'):
            object.__setattr__(self, name, _positive_integer(name, getattr(self, name)))
        sigma = checked_number('sigma', self.sigma)
        threshold_delta = checked_number('threshold_delta', self.threshold_delta)
        if not 0 < sigma < math.inf:
            raise ValueError(f'sigma must be positive and finite, got {sigma}.')
        if not 0 <= threshold_delta < 1:
            raise ValueError(f'threshold_delta must be in [0, 1), got {threshold_delta}.')
        object.__setattr__(self, 'sigma', sigma)
        object.__setattr__(self, 'threshold_delta', threshold_delta)


class Ledger:
    """Append-only list of measurements. Record an entry before touching the data."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """What was recorded so far."""
        return tuple(self._entries)

    def record(self, entry: LedgerEntry) -> None:
        """Append ``entry``; its scale must be one that noise can be drawn at."""
        if not isinstance(entry, LedgerEntry):
            raise TypeError(f'entry must be a LedgerEntry, got {type(entry).__name__}.')
        if not noise.is_admissible(entry.sigma):
            raise ValueError(f'sigma must be admissible, got {entry.sigma}: use admissible_sigma.')
        self._entries.append(entry)


def _positive_integer(name: str, value: object) -> int:
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
