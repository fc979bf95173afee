"""All scores of one synthetic table. They read real rows: not private."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from sdv.metadata import Metadata
from sklearn.metrics import accuracy_score, f1_score, r2_score

from benchmarks.scoring import (
    Grid,
    class_shares,
    comparable,
    mean_area,
    predictors,
    total_variation,
)
from comparisons.empirical_privacy import empirical_privacy
from sdv_slicedp.evaluation import evaluate

TRAINING_ROWS = 50_000
TEST_ROWS = 20_000
SDMETRICS_ROWS = 50_000
PREDICTORS = ('logistic', 'boosting', 'forest')


@dataclass(frozen=True)
class Task:
    """What to score against.

    Attributes:
        train: Real rows that were fitted.
        test: Real rows that were not.
        metadata: Of one table.
        target: Column to predict.
        regression: Whether it is a number to be predicted rather than a class.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    metadata: Metadata
    target: str
    regression: bool

    @property
    def table_name(self) -> str:
        """Name of the one table."""
        (name,) = map(str, self.metadata.tables)
        return name

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]:
        """Metadata of the columns."""
        columns: Mapping[str, Mapping[str, Any]] = self.metadata.tables[self.table_name].columns
        return columns


def score(task: Task, synthetic: pd.DataFrame, seed: int) -> dict[str, Any]:
    """All scores, by name; ``columns`` and ``pairs`` are those of SDMetrics one by one."""
    real, made, test = (
        comparable(table, task.columns) for table in (task.train, synthetic, task.test)
    )
    return {
        **sdmetrics_scores(task, synthetic, seed),
        **distances(real, made, orders=(1, 2, 3)),
        'correlation_error': correlation_error(real, made),
        **prediction_scores(real, made, test, task.target, task.regression, seed),
        **empirical_privacy(task, synthetic, seed),
    }


def sdmetrics_scores(task: Task, synthetic: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Quality and diagnostic of SDMetrics, on at most 50,000 rows."""
    name = task.table_name
    real, made = (
        {name: table.sample(min(len(table), SDMETRICS_ROWS), random_state=seed)}
        for table in (task.train, synthetic)
    )
    found = evaluate(real, made, task.metadata)
    parts = found.properties.set_index('Property')['Score']
    return {
        'sdmetrics': found.quality,
        'column_shapes': float(parts['Column Shapes']),
        'column_pair_trends': float(parts['Column Pair Trends']),
        'diagnostic': found.diagnostic,
        'columns': dict(zip(found.columns['Column'], found.columns['Quality'], strict=True)),
        'pairs': found.pairs[['Column 1', 'Column 2', 'Score']].to_numpy().tolist(),
    }


def distances(real: pd.DataFrame, made: pd.DataFrame, orders: Iterable[int]) -> dict[str, float]:
    """Mean total variation distance of tables of so many columns, ``tv1`` and so on."""
    grid = Grid.of(real)
    codes = grid.codes(real), grid.codes(made)
    return {f'tv{order}': total_variation(*codes, order=order) for order in orders}


def correlation_error(real: pd.DataFrame, made: pd.DataFrame) -> float:
    """Mean absolute difference of Pearson correlations over pairs of numbers; NaN if none.

    A column that is constant in one of the tables has correlation 0 there.
    """
    numbers = [name for name in real if real[name].dtype == float]
    pairs = list(combinations(range(len(numbers)), 2))
    if not pairs:
        return float('nan')
    left, right = (table[numbers].corr().fillna(0.0).to_numpy() for table in (real, made))
    return float(np.mean([abs(left[pair] - right[pair]) for pair in pairs]))


def prediction_scores(
    real: pd.DataFrame,
    made: pd.DataFrame,
    test: pd.DataFrame,
    target: str,
    regression: bool,
    seed: int,
) -> dict[str, float]:
    """Three predictors trained on synthetic rows, tested on real ones, and their means.

    ``auc`` (one class against the rest), ``f1`` (macro average) and ``accuracy``; ``r2`` for a
    number. A predictor that cannot be trained, as all labels are the same, gets what a constant
    prediction gets.
    """
    made = made.sample(min(len(made), TRAINING_ROWS), random_state=seed)
    test = test.sample(min(len(test), TEST_ROWS), random_state=0)
    made, test = made[made[target].notna()], test[test[target].notna()]
    features = real.drop(columns=target)
    each: dict[str, float] = {}
    for name, model in predictors(features, seed, regression).items():
        judge = _regression if regression else _classification
        found = judge(model, made, test, target)
        each |= {f'{key}_{name}': value for key, value in found.items()}
    means = {
        key: float(np.mean([each[f'{key}_{name}'] for name in PREDICTORS]))
        for key in {key.rsplit('_', 1)[0] for key in each}
    }
    return means | each


def _regression(
    model: Any, made: pd.DataFrame, test: pd.DataFrame, target: str
) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # categories unseen
        model.fit(made.drop(columns=target), made[target])
        predicted = model.predict(test.drop(columns=target))
    return {'r2': float(r2_score(test[target], predicted))}


def _classification(
    model: Any, made: pd.DataFrame, test: pd.DataFrame, target: str
) -> dict[str, float]:
    labels = sorted(set(test[target].astype(str)) | set(made[target].astype(str)))
    answers, truth = made[target].astype(str), test[target].astype(str).to_numpy()
    shares = class_shares(
        model, made.drop(columns=target), answers, test.drop(columns=target), labels
    )
    predicted = np.array(labels)[shares.argmax(axis=1)]
    return {
        'auc': mean_area(truth, shares, labels),
        'f1': float(f1_score(truth, predicted, average='macro', zero_division=0)),
        'accuracy': float(accuracy_score(truth, predicted)),
    }
