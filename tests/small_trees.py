"""Random trees of cells, and least squares on them by brute force."""

import numpy as np

from sdv_slicedp import grid
from sdv_slicedp.grid import Cells


def random_tree(rng: np.random.Generator, depth: int) -> list[Cells]:
    """Levels of a tree: of each level, some cells are split into two to five."""
    edges = np.cumsum(rng.integers(1, 400, rng.integers(2, 6)))
    levels = [Cells(edges[:-1], edges[1:] - 1)]
    while len(levels) < depth:
        last = levels[-1]
        chosen = (last.widths > 1) & (rng.random(len(last)) < 0.6)
        if not chosen.any():
            break
        pieces = [
            grid.split(int(a), int(b), int(rng.integers(2, 6)))
            for a, b in zip(last.lower[chosen], last.upper[chosen], strict=True)
        ]
        levels.append(Cells(*(np.concatenate(side) for side in zip(*pieces, strict=True))))
    return levels


def design(levels: list[Cells], leaves: Cells) -> np.ndarray:
    """Which leaves each cell of each level is the sum of."""
    return np.concatenate(
        [
            (leaves.lower >= cells.lower[:, None]) & (leaves.upper <= cells.upper[:, None])
            for cells in levels
        ]
    ).astype(np.float64)


def least_squares(
    levels: list[Cells], noisy: list[np.ndarray], variances: np.ndarray, leaves: Cells
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares and the covariances of its solution, by brute force."""
    sizes = [len(cells) for cells in levels]
    weight = 1 / np.sqrt(np.repeat(variances, sizes))
    matrix = design(levels, leaves) * weight[:, None]
    solution = np.linalg.lstsq(matrix, np.concatenate(noisy) * weight, rcond=None)[0]
    return solution, np.linalg.inv(matrix.T @ matrix)


def assert_tiles(cells: Cells, lower: int, upper: int) -> None:
    """The cells are sorted, disjoint and cover ``lower..upper`` exactly."""
    assert int(cells.lower[0]) == lower
    assert int(cells.upper[-1]) == upper
    assert (cells.lower <= cells.upper).all()
    assert (cells.lower[1:] == cells.upper[:-1] + 1).all()
