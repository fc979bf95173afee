"""What the projection mechanism releases: noisy records on random directions, Eq. (1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdv_slicedp.artefact import Artefact, check_scale, freeze, frozen
from sdv_slicedp.directions import DIRECTION_UNIT
from sdv_slicedp.ledger import DIRECTIONS

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_CHUNK = 2**22  # values at a time


@dataclass(frozen=True, eq=False)
class Projection(Artefact):
    """Noisy projections of all records, rows in random order.

    Attributes:
        kind: How the directions were drawn, one of ``ledger.DIRECTIONS``.
        directions: Directions in units of ``1 / DIRECTION_UNIT``, shape ``(d, m)``.
        values: Noisy projections in units of ``pitch``, shape ``(n, m)``; int32 if they fit.
        pitch: Pitch of the lattice, in units of the encoding.
        sigma: Noise scale, in units of the encoding.
    """

    kind: str
    directions: Integers
    values: npt.NDArray[np.signedinteger[Any]]
    pitch: float
    sigma: float

    def __post_init__(self) -> None:
        """Check the shapes and make the arrays immutable."""
        if self.kind not in DIRECTIONS:
            raise ValueError(f'kind must be one of {DIRECTIONS}, got {self.kind!r}.')
        freeze(self, 'directions')
        self._freeze_values()
        if self.directions.ndim != 2 or not self.directions.size:
            raise ValueError(f'directions must have shape (d, m), got {self.directions.shape}.')
        if self.values.ndim != 2 or self.values.shape[1:] != self.directions.shape[1:]:
            raise ValueError(
                f'values must have shape (n, {self.directions.shape[1]}), got {self.values.shape}.'
            )
        lengths = np.linalg.norm(self.matrix, axis=0)
        if not np.all(np.abs(lengths - 1) <= 2.0**-20 * math.sqrt(len(self.directions))):
            raise ValueError('directions must have length 1.')
        check_scale(self)
        check_scale(self, 'pitch')

    @property
    def n_rows(self) -> int:
        """Number of records, which is public under ``replace_one``."""
        return len(self.values)

    @property
    def matrix(self) -> Floats:
        """The directions U as columns, shape ``(d, m)``."""
        return self.directions / float(DIRECTION_UNIT)

    def rows(self, coefficients: Floats | None = None) -> npt.NDArray[np.float32]:
        """Noisy projections Y in units of the encoding, or linear combinations of them.

        Args:
            coefficients: Shape ``(m, k)``.

        Returns:
            Y, shape ``(n, m)``, or Y times ``coefficients``, shape ``(n, k)``.
        """
        if coefficients is None:
            return np.asarray(np.multiply(self.values, self.pitch, dtype=np.float32))
        scaled = (coefficients * self.pitch).astype(np.float32)
        combined = np.empty((self.n_rows, scaled.shape[1]), dtype=np.float32)
        step = max(_CHUNK // len(scaled), 1)
        for start in range(0, self.n_rows, step):
            part = self.values[start : start + step].astype(np.float32)
            np.matmul(part, scaled, out=combined[start : start + step])
        return combined

    def summary(self) -> dict[str, Any]:
        """Public facts in numbers, for reports."""
        return {
            'rows': self.n_rows,
            'directions': self.kind,
            'dimension': self.directions.shape[0],
            'slices': self.directions.shape[1],
            'sigma': self.sigma,
        }

    def _freeze_values(self) -> None:
        values = np.asarray(self.values)
        if values.dtype.kind != 'i':
            raise TypeError(f'values must hold integers, got {values.dtype}.')
        reach = max(int(values.max(initial=0)), -int(values.min(initial=0)))
        object.__setattr__(self, 'values', frozen(values, narrowest(reach)))


def narrowest(reach: int) -> type[np.int32] | type[np.int64]:
    """Type of array for integers between ``-reach`` and ``reach``."""
    return np.int32 if reach < 2**31 else np.int64
