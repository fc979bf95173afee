"""Search of the settings of the networks, on a table that they are not compared on.

``python -m comparisons.tuning`` appends one JSON line for each setting. The search reads the table
many times and is not private: tune on a public one, then leave it out of a comparison.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.scoring import comparable
from comparisons import budget, datasets
from comparisons.cell import with_target
from comparisons.methods.dpctgan import DPCTGAN
from comparisons.methods.dpmerf import DPMERF
from comparisons.methods.dptvae import DPTVAE
from comparisons.methods.pategan import PATEGAN
from comparisons.methods.slicewass import SliceWass
from comparisons.scores import Task, distances, prediction_scores

OUTPUT = Path('comparisons/results/tuning.jsonl')
STARTS: dict[str, Any] = {
    'dpctgan': DPCTGAN(),
    'dptvae': DPTVAE(),
    'dpmerf': DPMERF(),
    'slicewass': SliceWass(),
    'pategan': PATEGAN(),
}
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
        'steps': (300, 600, 1200, 2000),
        'batch_size': (250, 500, 1000),
        'learning_rate': (1e-3, 3e-3, 1e-2),
        'temperature': (0.5, 1.0),
    },
    'pategan': {
        'teachers': (100, 200, 400, 1000),
        'rounds': (50, 100, 200),
        'queries': (10, 20, 50),
        'teacher_steps': (1, 2, 5),
        'student_steps': (2, 5, 10, 30),
        'generator_steps': (1, 2, 5, 10),
        'learning_rate': (5e-4, 1e-3, 2e-3),
        'discriminator_rate': (1e-3, 3e-3),
        'relative_votes': (True,),
    },
}


def settings(method: str, count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """The default, then settings drawn uniformly from :data:`CHOICES`, all different."""
    choices = CHOICES[method]
    start = asdict(STARTS[method])
    seen = [{name: start[name] for name in choices}]
    yield seen[0]
    stream = np.random.default_rng(seed)
    while len(seen) < count:
        drawn = {name: values[stream.integers(len(values))] for name, values in choices.items()}
        if drawn not in seen:
            seen.append(drawn)
            yield drawn


def tune(
    task: Task,
    name: str,
    *,
    methods: Sequence[str] = tuple(STARTS),
    count: int = 9,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    seeds: Sequence[int] = (0,),
    output: Path = OUTPUT,
) -> list[dict[str, Any]]:
    """Fit and score settings of each method.

    Args:
        task: Public table to tune on.
        name: Its name, for the record.
        methods: Of :data:`STARTS`.
        count: Settings of each method, the default included.
        epsilon: Privacy budget of a fit.
        delta: Privacy budget of a fit.
        seeds: Each setting is fitted once for each.
        output: A line is appended for each setting.

    Returns:
        The records; ``objective`` is to be maximised.
    """
    records = []
    output.parent.mkdir(parents=True, exist_ok=True)
    for method in methods:
        for setting in settings(method, count):
            found = [trial(task, method, setting, epsilon, delta, seed) for seed in seeds]
            means = {key: float(np.mean([scores[key] for scores in found])) for key in found[0]}
            record = {
                'table': name, 'rows': len(task.train), 'method': method, 'epsilon': epsilon,
                'delta': delta, 'seeds': list(seeds), 'setting': setting, **means,
            }  # fmt: skip
            with output.open('a', encoding='utf-8') as file:
                file.write(json.dumps(record) + '\n')
            records.append(record)
    return records


def trial(
    task: Task, method: str, setting: Mapping[str, Any], epsilon: float, delta: float, seed: int
) -> dict[str, float]:
    """Scores of one fit, and the processor time that it took."""
    start = time.process_time()
    made = with_target(replace(STARTS[method], **setting), task.target)
    fitted = made.fit(task.train, task.metadata, epsilon=epsilon, delta=delta, seed=seed)
    seconds = time.process_time() - start
    spent = budget.check(fitted.events, epsilon, delta)
    found = quality(task, fitted.sample(len(task.train), seed), seed)
    return {**found, 'spent': spent, 'cpu_seconds': round(seconds, 1)}


def quality(task: Task, synthetic: pd.DataFrame, seed: int) -> dict[str, float]:
    """Distances of laws of one and two columns, area under the curve, and their difference."""
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
    if csv is not None and metadata is not None:
        table, described, chosen = datasets.load_files(csv, metadata, target)
    else:
        table, described, chosen = datasets.load(dataset)
    cut = table.sample(min(rows, len(table)), random_state=0).reset_index(drop=True)
    train, test = datasets.split(cut)
    return Task(train, test, described, chosen, regression=False)


def main() -> None:
    """Search, then print the best setting of each method."""
    parser = argparse.ArgumentParser(prog='python -m comparisons.tuning', description=__doc__)
    parser.add_argument('--dataset', default='nycflights13', help='unless --train is given')
    parser.add_argument('--train', type=Path, help='CSV of a table of your own')
    parser.add_argument('--metadata', type=Path, help='its SDV metadata, with declared ranges')
    parser.add_argument('--target', help='its column to predict, a category')
    parser.add_argument('--rows', type=int, default=20_000)
    parser.add_argument('--methods', nargs='+', choices=STARTS, default=list(STARTS))
    parser.add_argument('--count', type=int, default=9, help='settings of each method')
    parser.add_argument('--epsilon', type=float, default=1.0)
    parser.add_argument('--output', type=Path, default=OUTPUT)
    options = parser.parse_args()
    if (options.train is None) != (options.metadata is None):
        parser.error('--train and --metadata belong together')
    task = load_task(options.dataset, options.train, options.metadata, options.target, options.rows)
    found = tune(
        task,
        task.table_name,
        methods=options.methods,
        count=options.count,
        epsilon=options.epsilon,
        output=options.output,
    )
    for method, record in best(found).items():
        print(method, json.dumps(record))


if __name__ == '__main__':
    main()
