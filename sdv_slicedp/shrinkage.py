"""Shrinkage of one interaction matrix in white noise of known scale.

An interaction is a two-column law less the product of its margins, rows and columns centred.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import dct

Floats = npt.NDArray[np.float64]

SHRUNK_BELOW, KEPT_FROM = 2.0, 6.0
"""Energy beyond that of the noise, in units of it: shrunk below the one, whole from the other."""


def denoised_interaction(matrix: Floats, sigma: float, ordered: tuple[bool, bool]) -> Floats:
    """Interaction between two columns without most of its noise, Eqs. (11) and (16).

    A weak interaction is of low rank, and smooth along ordered columns: the mean of the two
    shrinkages knows it better than either. In a strong one, as of near-copies, much of the signal
    is of a size with the noise; the training, which fits all pairs together, averages that noise
    better. So the measured matrix is kept where its energy is far beyond that of the noise.

    Args:
        matrix: Measured interaction, rows and columns centred.
        sigma: Noise scale of its entries.
        ordered: Whether neighbouring rows, and neighbouring columns, are alike.
    """
    degrees = (matrix.shape[0] - 1) * (matrix.shape[1] - 1)
    if degrees < 1:
        return np.zeros_like(matrix)
    excess = max(float(np.sum(matrix**2)) / (sigma**2 * degrees) - 1.0, 0.0)
    kept = min(max(excess - SHRUNK_BELOW, 0.0) / (KEPT_FROM - SHRUNK_BELOW), 1.0)
    low_rank = shrink_singular_values(matrix, sigma)
    smooth = shrink_frequencies(matrix, sigma, ordered)
    return np.asarray(kept * matrix + (1 - kept) * (low_rank + smooth) / 2)


def denoised_three_way(array: Floats, sigma: float, ordered: tuple[bool, bool]) -> Floats:
    """Dependence between a hub and two columns without most of its noise, Eq. (35).

    The cells of the hub are turned to orthonormal contrasts, those with most energy first, and
    each contrast is shrunk as an interaction.

    Args:
        array: Measured, centred along every axis, shape ``(hub cells, a, b)``.
        sigma: Noise scale of its entries.
        ordered: Whether neighbours along the last two axes are alike.
    """
    turn, _, _ = np.linalg.svd(array.reshape(len(array), -1), full_matrices=False)
    contrasts = np.einsum('hab,hk->kab', array, turn[:, : len(array) - 1])
    shrunk = np.stack([denoised_interaction(matrix, sigma, ordered) for matrix in contrasts])
    return np.asarray(np.einsum('kab,hk->hab', shrunk, turn[:, : len(array) - 1]))


def shrink_singular_values(matrix: Floats, sigma: float, centred: bool = True) -> Floats:
    """Frobenius-optimal shrinkage of a low-rank matrix in noise, Eq. (11).

    Gavish and Donoho, "Optimal shrinkage of singular values" (IEEE Trans. Inf. Theory 63, 2017),
    Eq. (7): for y above 1 + sqrt(beta) in units of sigma sqrt(n), the singular value becomes
    sqrt((y^2 - beta - 1)^2 - 4 beta) / y, otherwise 0.

    Args:
        matrix: Signal and noise.
        sigma: Noise scale of the entries.
        centred: Whether rows and columns sum to zero, so that there is a dimension less of each.
    """
    short, long = sorted(size - int(centred) for size in matrix.shape)
    if short < 1:
        return np.zeros_like(matrix)
    beta, scale = short / long, sigma * np.sqrt(long)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    y = np.maximum(values / scale, 1 + np.sqrt(beta))
    shrunk = np.sqrt(np.maximum((y**2 - beta - 1) ** 2 - 4 * beta, 0.0)) / y
    return np.asarray((left * (shrunk * scale)) @ right)


def shrink_frequencies(matrix: Floats, sigma: float, ordered: tuple[bool, bool]) -> Floats:
    """Block James-Stein shrinkage by frequency along the ordered axes, Eq. (17)."""
    first, second = (
        cosines(size) if axis else None for size, axis in zip(matrix.shape, ordered, strict=True)
    )
    return shrink_contrasts(matrix, sigma, (first, second))


def shrink_contrasts(
    matrix: Floats, sigma: float, contrasts: tuple[Floats | None, Floats | None]
) -> Floats:
    """Block James-Stein shrinkage by octaves of the contrasts of two columns, Eq. (17).

    The matrix is taken to the contrasts of its axes; their octaves (an axis without contrasts is
    one block) are multiplied by the positive part of 1 - d sigma^2 / energy, d being their degrees
    of freedom (Stein 1966; blocks as in Cavalier and Tsybakov 2001).

    Args:
        matrix: Measured interaction, rows and columns centred.
        sigma: Noise scale of its entries.
        contrasts: Orthonormal rows for each axis, the constant one first and then those that tell
            most; ``None`` for no order.
    """
    rows, columns = (
        np.eye(size) if basis is None else basis
        for size, basis in zip(matrix.shape, contrasts, strict=True)
    )
    turned = rows @ matrix @ columns.T
    shrunk = np.zeros_like(matrix)
    for row_block, row_degrees in _octaves(len(rows), contrasts[0] is not None):
        for column_block, column_degrees in _octaves(len(columns), contrasts[1] is not None):
            block = turned[row_block, column_block]
            noise = row_degrees * column_degrees * sigma**2
            if noise == 0:
                continue
            energy = max(float(np.sum(block**2)), 1e-300)
            shrunk[row_block, column_block] = block * max(0.0, 1.0 - noise / energy)
    return np.asarray(rows.T @ shrunk @ columns)


def cosines(size: int) -> Floats:
    """Orthonormal cosine basis, one frequency per row."""
    return np.asarray(dct(np.eye(size), axis=0, norm='ortho'))


def _octaves(size: int, ordered: bool) -> list[tuple[slice, int]]:
    """Blocks of an axis with their degrees of freedom; the mean of a centred axis has none."""
    if not ordered:
        return [(slice(0, size), size - 1)]
    blocks, first, width = [], 1, 1
    while first < size:
        last = min(first + width, size)
        blocks.append((slice(first, last), last - first))
        first, width = last, 2 * width
    return blocks
