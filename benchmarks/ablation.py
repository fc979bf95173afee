"""What each ingredient of the histogram mechanism is worth: one left out at a time.

    python benchmarks/ablation.py                     the embedded Adult table, epsilon 1
    python benchmarks/ablation.py --epsilon 0.2 1 5 --seeds 0 1 2
    python benchmarks/ablation.py --train T.csv --test E.csv --metadata M.json --target COLUMN

Reads real rows: its output is not private. Every fit draws new noise; figures are medians.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from quality import Task, add_task_options, scores_of, task_of

from sdv_slicedp import (
    SlicedDPSynthesizer,
    balancing,
    column_laws,
    coupling,
    denoising,
    grid,
    heads,
    mechanism,
    training,
)
from sdv_slicedp.slices import HistogramPlan

FIGURES = ('sdmetrics', 'tv1', 'tv2', 'tv3', 'auc', 'fit_cpu_s')


def without_hub_slices() -> AbstractContextManager[Any]:
    """All of the budget to the pairs; no hub laws."""
    return patch.object(mechanism, 'HistogramPlan', partial(HistogramPlan, hub_share=0.0))


def pairs_once() -> AbstractContextManager[Any]:
    """No second measurement of the pairs of hubs; the others get its budget."""
    plan = partial(HistogramPlan, hub_share=0.125, hub_pair_share=0.0)
    return patch.object(mechanism, 'HistogramPlan', plan)


def implied_only() -> AbstractContextManager[Any]:
    """Hub laws as the pairs imply them; the measured slices only add to the pairs."""
    return patch.object(denoising, '_three_way', lambda marginal, law, release: 0.0 * law)


@contextmanager
def without_hub_laws() -> Iterator[None]:
    """The same release, but the generator is trained on pairs alone."""

    def pairs_only(release: Any) -> denoising.Target:
        return replace(denoising.denoise(release), hubs=())

    with patch.object(training, 'denoise', pairs_only):
        yield


@contextmanager
def without_shrinkage() -> Iterator[None]:
    """Pairs as measured."""
    measured = partial(denoising.denoise, shrink=False)
    with denoised_once(), patch.object(training, 'denoise', measured):
        yield


def denoised_once() -> AbstractContextManager[Any]:
    """The same pairs to the end of the training."""
    return patch.object(training, 'denoise_about', lambda release, target, components: target)


def by_least_squares() -> AbstractContextManager[Any]:
    """Columns of numbers as least squares has them, Eq. (9), with what is negative at 0."""

    def squares(levels: Any, rows: float) -> Any:
        cells, counts, _ = grid.leaves(levels)
        return cells, np.maximum(counts, 0.0)

    return patch.object(column_laws, 'number_counts', squares)


VARIANTS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    'as it is': nullcontext,
    'the target named': nullcontext,
    'no slices of hubs': without_hub_slices,
    'no pair of a hub twice': pairs_once,
    'three columns only as implied': implied_only,
    'training on pairs only': without_hub_laws,
    'no pull to independence': lambda: patch.object(training, 'entropy_pull', lambda release: 0.0),
    'all components from the start': lambda: patch.object(training, 'GROWN_FROM', 10**9),
    'numbers by least squares': by_least_squares,
    '32 cells at first': lambda: patch.object(grid, 'ROOT_CELLS', 32),
    'no shrinkage of pairs': without_shrinkage,
    'pairs denoised once': denoised_once,
    'hubs by the mixture alone': lambda: patch.object(heads, 'KEPT', 1.0),
    'hubs by their heads alone': lambda: patch.object(heads, 'KEPT', 0.0),
    'no swaps between rows': lambda: patch.object(balancing, 'MOST_BALANCED', 0),
    '1,000 components': lambda: patch.object(training, 'enough_components', lambda release: 1000),
    'no copula in the cells': lambda: patch.object(coupling, 'COUPLED_FROM', 2.0),
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    warnings.simplefilter('ignore')  # of SDMetrics and scikit-learn on odd columns
    task = task_of(options)
    print(f'{len(task.train):,} rows x {len(task.columns)} modelled columns\n')
    print(f'| epsilon | variant | {" | ".join(FIGURES)} |\n|{"---|" * (len(FIGURES) + 2)}')
    for epsilon in options.epsilon:
        for name in options.variants:
            if name == 'the target named' and task.target is None:
                continue
            runs = [_run(task, epsilon, seed, name, options) for seed in options.seeds]
            figures = (_figure(key, [run[key] for run in runs]) for key in FIGURES)
            print(f'| {epsilon:g} | {name} | {" | ".join(figures)} |', flush=True)


def _run(
    task: Task, epsilon: float, seed: int, name: str, options: argparse.Namespace
) -> dict[str, float]:
    with VARIANTS[name]():
        synthesizer = SlicedDPSynthesizer(
            task.metadata,
            epsilon=epsilon,
            delta=options.delta,
            public_domain=True,
            target_columns=[str(task.target)] if name == 'the target named' else None,
            random_state=seed,
        )
        start = time.process_time()
        synthesizer.fit({task.table_name: task.train})
        seconds = time.process_time() - start
        made = synthesizer.sample(num_rows=len(task.train))[task.table_name]
    scores = scores_of(task, made, seed, sdmetrics=not options.no_sdmetrics)
    return {**scores, 'fit_cpu_s': seconds}


def _figure(name: str, values: Sequence[float]) -> str:
    value = median(values)
    return '-' if np.isnan(value) else f'{value:.1f}' if name.endswith('_s') else f'{value:.4f}'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_task_options(parser)
    parser.add_argument('--epsilon', type=float, nargs='+', default=[1.0])
    parser.add_argument('--variants', nargs='+', choices=tuple(VARIANTS), default=tuple(VARIANTS))
    parser.add_argument('--no-sdmetrics', action='store_true', help='leave SDMetrics out')
    return parser


if __name__ == '__main__':
    main()
