"""Random public directions that records are projected on, as whole numbers.

They are new for every release and come from the entropy of the operating system: the guarantee
counts on nobody having chosen them, or knowing them, before the table was made.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sdv_slicedp import noise
from sdv_slicedp.ledger import DIRECTIONS

DIRECTION_UNIT = 2**22
"""Integer that stands for 1 in a direction."""


def draw_directions(kind: str, dimension: int, slices: int) -> npt.NDArray[np.int64]:
    """Directions of length 1, up to the rounding of each entry to a multiple of 2^-22.

    Args:
        kind: ``orthonormal`` for full bases, uniform on the orthogonal group, and one uniform
            point of the Stiefel manifold for the rest; ``sphere`` for independent uniform ones.
        dimension: Length d of an encoded record.
        slices: Number m of directions; may exceed ``dimension``.

    Returns:
        Shape ``(d, m)``, in units of ``1 / DIRECTION_UNIT``; every entry is off by at most 2^-23.

    Formal guarantees:
        Independent of any table and of any seed. The matrix that was rounded has exactly the law
        that accounting assumes, up to the rounding of floats.
    """
    if kind not in DIRECTIONS:
        raise ValueError(f'kind must be one of {DIRECTIONS}, got {kind!r}.')
    if kind == 'sphere':
        normals = noise.normals((dimension, slices))
        directions = normals / np.linalg.norm(normals, axis=0)
    else:
        bases, rest = divmod(slices, dimension)
        widths = [dimension] * bases + [rest] * (rest > 0)
        directions = np.concatenate([_stiefel(dimension, width) for width in widths], axis=1)
    return np.asarray(np.rint(directions * DIRECTION_UNIT), dtype=np.int64)


def _stiefel(dimension: int, width: int) -> npt.NDArray[np.float64]:
    """``width`` orthonormal columns, uniform: the QR factor of normals with positive diagonal."""
    q, r = np.linalg.qr(noise.normals((dimension, width)))
    return np.asarray(q * np.where(np.diagonal(r) < 0, -1.0, 1.0))
