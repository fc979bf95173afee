"""Quality of synthetic tables, and where their error comes from. Reads real rows: not private.

    python benchmarks/quality.py                      the embedded Adult table, split 80 : 20
    python benchmarks/quality.py --epsilon 0.2 1 5 --seeds 0 1 2
    python benchmarks/quality.py --train T.csv --test E.csv --metadata M.json --target COLUMN

Every fit draws new noise; seeds are those of the training and of the scorers. Figures are medians
over the seeds.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from error_parts import Part, split
from scoring import Grid, areas_under_curve, comparable, total_variation
from sdv.metadata import Metadata

from sdv_slicedp import SlicedDPSynthesizer, schema
from sdv_slicedp.datasets import load_adult
from sdv_slicedp.evaluation import evaluate
from sdv_slicedp.files import load_metadata, read_table

SCORES = (
    'sdmetrics', 'tv1', 'tv2', 'tv3', 'auc', 'logistic', 'boosting', 'forest', 'fit_cpu_s',
    'fit_s', 'sample_s',
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """What to score on.

    Attributes:
        train: Real table to fit on.
        test: Real rows that the classifiers are tested on.
        metadata: Metadata of both.
        target: Column that the classifiers predict; ``None`` for no classifiers.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    metadata: Metadata
    target: str | None

    @property
    def table_name(self) -> str:
        return next(iter(self.metadata.tables))

    @property
    def columns(self) -> dict[str, Any]:
        """Metadata of the columns that are modelled."""
        columns = self.metadata.tables[self.table_name].columns
        return {name: columns[name] for name in schema.modelled_columns(columns)}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    warnings.simplefilter('ignore')  # of SDMetrics and scikit-learn on odd columns
    task = task_of(options)
    print(f'{len(task.train):,} rows x {len(task.columns)} modelled columns\n')
    print(f'| table | {" | ".join(SCORES)} |\n|{"---|" * (len(SCORES) + 1)}')
    results: list[dict[str, Any]] = []
    if not options.no_reference:
        results.append({'table': 'real, drawn again', 'scores': _reference(task, options)})
        print(_score_line(results[-1]), flush=True)
    for epsilon in options.epsilon:
        runs = [_run(task, epsilon, seed, options) for seed in options.seeds]
        scores = {key: median(run[0][key] for run in runs) for key in runs[0][0]}
        parts = [_median_part(parts) for parts in zip(*(run[1] for run in runs), strict=True)]
        results.append({'table': f'epsilon {epsilon:g}', 'scores': scores, 'parts': parts})
        print(_score_line(results[-1]), flush=True)
    print(''.join(_part_lines(results)))
    if options.json:
        described = [
            {**result, 'parts': [asdict(part) for part in result.get('parts', [])]}
            for result in results
        ]
        options.json.write_text(json.dumps(described, indent=1), encoding='utf-8')


def _run(
    task: Task, epsilon: float, seed: int, options: argparse.Namespace
) -> tuple[dict[str, float], list[Part]]:
    """Fit once and score a sample of as many rows."""
    synthesizer = SlicedDPSynthesizer(
        task.metadata,
        epsilon=epsilon,
        delta=options.delta,
        public_domain=options.public_domain,
        random_state=seed,
    )
    start, cpu = time.perf_counter(), time.process_time()
    synthesizer.fit({task.table_name: task.train})
    fitted, cpu = time.perf_counter(), time.process_time() - cpu
    synthetic = synthesizer.sample(num_rows=len(task.train))[task.table_name]
    times = {
        'fit_cpu_s': cpu,
        'fit_s': fitted - start,
        'sample_s': time.perf_counter() - fitted,
    }
    scores = scores_of(task, synthetic, seed, sdmetrics=not options.no_sdmetrics)
    return {**scores, **times}, split(synthesizer, task.metadata, task.train, synthetic)


def _reference(task: Task, options: argparse.Namespace) -> dict[str, float]:
    """Scores of a table that is as good as a sample can be: real rows drawn with replacement."""
    chosen = np.random.default_rng(0).integers(0, len(task.train), len(task.train))
    drawn = task.train.take(chosen).reset_index(drop=True)
    scores = scores_of(task, drawn, 0, sdmetrics=not options.no_sdmetrics)
    return {**scores, **dict.fromkeys(SCORES[-3:], float('nan'))}


def scores_of(
    task: Task, synthetic: pd.DataFrame, seed: int, *, sdmetrics: bool
) -> dict[str, float]:
    """Scores of a synthetic table, by name."""
    real, made = (comparable(table, task.columns) for table in (task.train, synthetic))
    grid = Grid.of(real)
    codes = grid.codes(real), grid.codes(made)
    scores = {f'tv{order}': total_variation(*codes, order=order) for order in (1, 2, 3)}
    areas = dict.fromkeys(('logistic', 'boosting', 'forest'), float('nan'))
    if task.target is not None:
        areas = areas_under_curve(
            real, made, comparable(task.test, task.columns), task.target, seed
        )
    scores |= {**areas, 'auc': float(np.mean(list(areas.values())))}
    scores['sdmetrics'] = float('nan')
    if sdmetrics:
        tables = ({task.table_name: table} for table in (task.train, synthetic))
        scores['sdmetrics'] = evaluate(*tables, task.metadata).quality
    return scores


def _median_part(parts: Sequence[Part]) -> Part:
    first = parts[0]
    one, two = median(part.one for part in parts), median(part.two for part in parts)
    return Part(first.name, first.between, one, two)


def _score_line(result: dict[str, Any]) -> str:
    figures = (_figure(result['scores'][name], 1 if name.endswith('_s') else 3) for name in SCORES)
    return f'| {result["table"]} | {" | ".join(figures)} |'


def _part_lines(results: list[dict[str, Any]]) -> Iterator[str]:
    """The parts of the error of every epsilon, 1-way / 2-way."""
    fitted = [result for result in results if 'parts' in result]
    yield f'\n| part | between | {" | ".join(result["table"] for result in fitted)} |'
    yield f'\n|{"---|" * (2 + len(fitted))}'
    for parts in zip(*(result['parts'] for result in fitted), strict=True):
        figures = (f'{_figure(part.one, 4)} / {_figure(part.two, 4)}' for part in parts)
        yield f'\n| {parts[0].name} | {parts[0].between} | {" | ".join(figures)} |'


def _figure(value: float, digits: int) -> str:
    return '-' if np.isnan(value) else f'{value:.{digits}f}'


def task_of(options: argparse.Namespace) -> Task:
    if options.train is None:
        tables, metadata = load_adult()
        order = np.random.default_rng(0).permutation(len(tables['adult']))
        cut = len(order) * 4 // 5
        parts = (
            tables['adult'].take(chosen).reset_index(drop=True)
            for chosen in (order[:cut], order[cut:])
        )
        return Task(*parts, metadata, options.target or 'income')
    if options.test is None or options.metadata is None:
        raise SystemExit('--train needs --test and --metadata')
    metadata = load_metadata(options.metadata)
    columns = metadata.tables[next(iter(metadata.tables))].columns
    train, test = (read_table(path, columns) for path in (options.train, options.test))
    return Task(train, test, metadata, options.target)


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Options that say which table, and how often."""
    parser.add_argument('--train', type=Path, metavar='CSV', help='real rows to fit on')
    parser.add_argument('--test', type=Path, metavar='CSV', help='real rows to test on')
    parser.add_argument('--metadata', type=Path, metavar='JSON', help='SDV metadata of both')
    parser.add_argument('--target', metavar='COLUMN', help='discrete column to predict')
    parser.add_argument('--delta', type=float, default=1e-5)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_task_options(parser)
    parser.add_argument('--epsilon', type=float, nargs='+', default=[1.0])
    parser.add_argument('--no-public-domain', dest='public_domain', action='store_false')
    parser.add_argument('--no-sdmetrics', action='store_true', help='leave SDMetrics out')
    parser.add_argument('--no-reference', action='store_true', help='leave the real table out')
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the figures here')
    return parser


if __name__ == '__main__':
    main()
