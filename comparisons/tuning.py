"""Search of settings of the methods, on a table that they are not compared on.

``python -m comparisons tune`` appends one JSON line for each setting. The search reads the table
many times and is not private: tune on a public one, then leave it out of a comparison.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from comparisons import budget, catalogue, datasets, registry
from comparisons.cell import with_target

if TYPE_CHECKING:
    from comparisons.scores import Task

OUTPUT = Path('comparisons/results/tuning.jsonl')
Setting = dict[str, Any]
CHOICES: dict[str, dict[str, Sequence[Any]]] = {
    'dpctgan': {
        'batch_size': (500, 1000),
        'epochs': (30, 60, 100),
        'max_grad_norm': (0.03, 0.1, 0.3),
        'learning_rate': (5e-4, 1e-3, 2e-3),
        'discriminator_steps': (1, 2, 4),
        'averaging': (0.98, 0.995),
    },
    'dptvae': {
        'batch_size': (500, 1000, 2000),
        'epochs': (20, 40, 80),
        'max_grad_norm': (0.3, 1.0, 3.0),
        'learning_rate': (1e-3, 2e-3, 5e-3),
        'latent': (8, 16),
    },
    'dpmerf': {
        'frequencies': (200, 500, 1000),
        'length_scale': (0.03, 0.1, 0.3, 1.0),
        'steps': (1000, 2000, 3000),
        'learning_rate': (1e-3, 3e-3, 1e-2),
    },
    'slicewass': {
        'bases': (1, 2),
        'steps': (100, 200, 300, 600, 1200, 2000),
        'batch_size': (250, 500, 1000),
        'learning_rate': (1e-3, 3e-3, 1e-2),
        'temperature': (0.5, 1.0),
    },
    'pategan': {
        'teachers': (100, 200, 400, 1000),
        'rounds': (20, 40, 100, 200),
        'queries': (10, 20, 50),
        'teacher_steps': (1, 2, 5),
        'student_steps': (2, 5, 10, 30),
        'generator_steps': (1, 2, 5, 10),
        'learning_rate': (5e-4, 1e-3, 2e-3),
        'discriminator_rate': (1e-3, 3e-3),
        'memory': (5, 10, 20, 100),
        'averaging': (0.9, 0.98),
        'relative_votes': (True,),
    },
}


def start(method: str) -> Setting:
    """The default of what is searched for."""
    made: Any = registry.method(method)
    default = asdict(made)
    return {name: default[name] for name in CHOICES[method]}


def drawn(method: str, count: int, seed: int = 0) -> Iterator[Setting]:
    """The default, then settings drawn uniformly from :data:`CHOICES`, all different."""
    seen = [start(method)]
    yield seen[0]
    choices = CHOICES[method]
    stream = np.random.default_rng(seed)
    while len(seen) < min(count, math.prod(map(len, choices.values()))):
        setting = {k: values[int(stream.integers(len(values)))] for k, values in choices.items()}
        if setting not in seen:
            seen.append(setting)
            yield setting


def changed(method: str, changes: Sequence[Mapping[str, Any]]) -> list[Setting]:
    """The default with each of the changes.

    Raises:
        ValueError: If the method has no such setting.
    """
    made: Any = registry.method(method)
    known = asdict(made)
    for change in changes:
        for name in change:
            if name not in known:
                raise ValueError(
                    f"{method} has no setting '{name}'; choose from {', '.join(known)}."
                )
    return [{**start(method), **change} for change in changes]


def tune(
    task: Task,
    table: str,
    settings: Mapping[str, Iterator[Setting] | Sequence[Setting]],
    *,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    seed: int = 0,
    output: Path = OUTPUT,
) -> list[dict[str, Any]]:
    """Fit and score settings of methods.

    Args:
        task: Public table to tune on.
        table: Its name, for the record.
        settings: Of each method.
        epsilon: Privacy budget of a fit.
        delta: Privacy budget of a fit.
        seed: Of everything but privacy noise.
        output: A line is appended for each setting.

    Returns:
        The records; ``objective`` is to be maximised.
    """
    records = []
    output.parent.mkdir(parents=True, exist_ok=True)
    for method, setting in ((name, one) for name, several in settings.items() for one in several):
        record = {
            'table': table, 'rows': len(task.train), 'method': method, 'epsilon': epsilon,
            'delta': delta, 'seeds': [seed], 'setting': setting,
            **trial(task, method, setting, epsilon, delta, seed),
        }  # fmt: skip
        with output.open('a', encoding='utf-8') as file:
            file.write(json.dumps(record) + '\n')
        records.append(record)
    return records


def trial(
    task: Task, method: str, setting: Mapping[str, Any], epsilon: float, delta: float, seed: int
) -> dict[str, float]:
    """Scores of one fit, and the processor time that it took."""
    began = time.process_time()
    default: Any = registry.method(method)
    made = with_target(replace(default, **setting), task.target)
    fitted = made.fit(task.train, task.metadata, epsilon=epsilon, delta=delta, seed=seed)
    seconds = time.process_time() - began
    spent = budget.check(fitted.events, epsilon, delta)
    found = quality(task, fitted.sample(len(task.train), seed), seed)
    return {**found, 'spent': spent, 'cpu_seconds': round(seconds, 1)}


def quality(task: Task, synthetic: pd.DataFrame, seed: int) -> dict[str, float]:
    """Distances of laws of one and two columns, area under the curve, and their difference."""
    from benchmarks.scoring import comparable
    from comparisons.scores import distances, prediction_scores

    real, made, test = (
        comparable(table, task.columns) for table in (task.train, synthetic, task.test)
    )
    found = distances(real, made, orders=(1, 2))
    area = prediction_scores(real, made, test, task.target, False, seed)['auc']
    return {**found, 'auc': area, 'objective': area - found['tv2']}


def best(records: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The record of the largest objective of each method."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in sorted(records, key=lambda record: record['objective']):
        found[record['method']] = record
    return found


def load_task(
    dataset: str, csv: Path | None, metadata: Path | None, target: str | None, rows: int
) -> Task:
    """At most ``rows`` rows of a data set or of files, a fifth of them to test on."""
    from comparisons.scores import Task

    if csv is not None and metadata is not None:
        table, described, chosen = datasets.load_files(csv, metadata, target)
    else:
        table, described, chosen = datasets.load(dataset)
    cut = table.sample(min(rows, len(table)), random_state=0).reset_index(drop=True)
    train, test = datasets.split(cut)
    return Task(train, test, described, chosen, regression=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What :func:`run` is told on the command line."""
    parser.add_argument('--dataset', default='nycflights13', metavar='NAME', help='unless --csv')
    parser.add_argument('--csv', type=Path, help='a table of your own')
    parser.add_argument('--metadata', type=Path, help='its SDV metadata, with declared ranges')
    parser.add_argument('--target', help='its column to predict, a category')
    parser.add_argument('--rows', type=int, default=20_000)
    parser.add_argument(
        '--methods', nargs='+', default=list(CHOICES), metavar='NAME',
        help=f'of {", ".join(CHOICES)}',
    )  # fmt: skip
    parser.add_argument('--count', type=int, default=9, help='settings of each, drawn at random')
    parser.add_argument(
        '--settings', nargs='+', type=_setting, metavar='JSON',
        help='instead of drawn ones, changes to the default such as \'{"epochs": 30}\'',
    )  # fmt: skip
    parser.add_argument('--epsilon', type=float, default=1.0)
    parser.add_argument('--output', type=Path, default=OUTPUT)


def run(options: argparse.Namespace) -> int:
    """Search, then print the best setting of each method.

    Raises:
        ValueError: If an option has no meaning.
    """
    _check(options)
    settings = {
        method: drawn(method, options.count)
        if options.settings is None
        else changed(method, options.settings)
        for method in options.methods
    }
    task = load_task(options.dataset, options.csv, options.metadata, options.target, options.rows)
    found = tune(task, task.table_name, settings, epsilon=options.epsilon, output=options.output)
    for method, record in best(found).items():
        print(method, json.dumps(record))
    return 0


def _setting(text: str) -> Setting:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"'{text}' is not a JSON object")
    return found


def _check(options: argparse.Namespace) -> None:
    for name in options.methods:
        if name not in CHOICES:
            raise ValueError(f"'{name}' is not searched; choose from {', '.join(CHOICES)}.")
    if (options.csv is None) != (options.metadata is None):
        raise ValueError('--csv and --metadata belong together.')
    if options.csv is None:
        catalogue.check_names([options.dataset])
    if not 0 < options.epsilon < math.inf:
        raise ValueError(f'--epsilon must be positive and finite, got {options.epsilon:g}.')
    for name in ('rows', 'count'):
        if not getattr(options, name) > 0:
            raise ValueError(f'--{name} must be positive, got {getattr(options, name)}.')
