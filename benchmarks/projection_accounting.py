"""Noise that each analysis of the projection mechanism asks for, as a Markdown table.

sigma / Delta for one release, delta = 1e-5, without the lattice. Run from the repository's root:

    python benchmarks/projection_accounting.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from sdv_slicedp import projection_bounds as bounds

DELTA = 1e-5
EPSILONS = (0.5, 1.0, 3.0, 10.0)
SHAPES = ((20, 1), (20, 10), (20, 20), (20, 100), (100, 1), (100, 10), (100, 100), (100, 500))
LARGE = ((500, 1), (500, 50), (500, 500), (500, 2500))
HEADER = (
    '| d | m | epsilon | published 2021 | Renyi (3) | sphere (2) | orthonormal (2) | no credit |'
)


def rows(shapes: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """One line of the table for each shape and epsilon."""
    for dimension, slices in shapes:
        for epsilon in EPSILONS:
            case = (dimension, slices, epsilon, DELTA)
            scales = (
                bounds.published_scale(*case),
                bounds.renyi_scale(*case),
                bounds.exact_scale('sphere', *case),
                bounds.exact_scale('orthonormal', *case),
                bounds.worst_case_scale(*case),
            )
            cells = ' | '.join(f'{scale:.3f}' for scale in scales)
            yield f'| {dimension} | {slices} | {epsilon:g} | {cells} |'


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--small', action='store_true', help='leave out 500 dimensions')
    chosen = SHAPES if parser.parse_args().small else SHAPES + LARGE
    print(HEADER)
    print('|--:|--:|--:|--:|--:|--:|--:|--:|')
    for row in rows(chosen):
        print(row, flush=True)


if __name__ == '__main__':
    main()
