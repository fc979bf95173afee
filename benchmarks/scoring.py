"""Scores of a synthetic table against the real one. They read real rows: not private."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

NUMBERS = ('numerical', 'datetime')
BINS = 20
MAX_TRIPLES = 100
MAX_CATEGORIES = 250
"""More categories than this are numbers to the gradient boosting."""
TRAINING_ROWS = 100_000
MISSING = '<missing>'

Codes = npt.NDArray[np.int64]


def comparable(table: pd.DataFrame, columns: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Modelled columns only: floats with NaN, datetimes as numbers, categories as text."""
    frame = {}
    for name, column in columns.items():
        values = table[name]
        if column['sdtype'] == 'datetime':
            stamps = pd.to_datetime(values, format=column.get('datetime_format'), errors='coerce')
            frame[name] = (stamps - pd.Timestamp(0, tz=stamps.dt.tz)) / pd.Timedelta(seconds=1)
        elif column['sdtype'] in NUMBERS:
            frame[name] = pd.to_numeric(values, errors='coerce').astype(float)
        else:
            frame[name] = _text(values)
    return pd.DataFrame(frame)


def _text(values: pd.Series) -> pd.Series:
    objects = values.astype(object)
    distinct = {value: _label(value) for value in objects.dropna().unique()}
    return objects.map(distinct).fillna(MISSING)


def _label(value: Any) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


@dataclass(frozen=True)
class Grid:
    """Cells that distances are taken on: equal-width bins of the real range, real categories.

    Attributes:
        edges: Inner bin edges of each column of numbers.
        categories: Categories of each other column.
    """

    edges: dict[str, npt.NDArray[np.float64]]
    categories: dict[str, pd.Index]

    @classmethod
    def of(cls, real: pd.DataFrame) -> Grid:
        edges, categories = {}, {}
        for name in real.columns:
            if real[name].dtype == float:
                low, high = real[name].min(), real[name].max()
                edges[name] = np.linspace(low, high, BINS + 1)[1:-1]
            else:
                categories[name] = pd.Index(sorted(real[name].unique()))
        return cls(edges, categories)

    def codes(self, frame: pd.DataFrame) -> dict[str, tuple[Codes, int]]:
        """Cell of each row and number of cells, by column. Unknown categories share one cell."""
        found = {}
        for name in frame.columns:
            if name in self.edges:
                values = frame[name].to_numpy()
                code = np.searchsorted(self.edges[name], values, side='right').astype(np.int64)
                found[name] = np.where(np.isnan(values), BINS, code), BINS + 1
            else:
                known = self.categories[name]
                code = known.get_indexer(pd.Index(frame[name])).astype(np.int64)
                found[name] = np.where(code < 0, len(known), code), len(known) + 1
        return found


def total_variation(
    real: Mapping[str, tuple[Codes, int]], other: Mapping[str, tuple[Codes, int]], order: int
) -> float:
    """Mean total variation distance over sets of ``order`` columns (a fixed 100 triples)."""
    sets = list(combinations(real, order))
    if order > 2 and len(sets) > MAX_TRIPLES:
        chosen = np.random.default_rng(0).choice(len(sets), MAX_TRIPLES, replace=False)
        sets = [sets[i] for i in chosen]
    if not sets:
        return float('nan')
    return float(np.mean([_distance(real, other, names) for names in sets]))


def _distance(
    real: Mapping[str, tuple[Codes, int]],
    other: Mapping[str, tuple[Codes, int]],
    names: Sequence[str],
) -> float:
    joint = []
    for coded in (real, other):
        code = np.zeros(len(coded[names[0]][0]), dtype=np.int64)
        for name in names:
            code = code * coded[name][1] + coded[name][0]
        joint.append(code)
    _, inverse = np.unique(np.concatenate(joint), return_inverse=True)
    size = len(joint[0])
    left = np.bincount(inverse[:size], minlength=inverse.max() + 1) / size
    right = np.bincount(inverse[size:], minlength=inverse.max() + 1) / (len(inverse) - size)
    return 0.5 * float(np.abs(left - right).sum())


def areas_under_curve(
    real: pd.DataFrame, training: pd.DataFrame, test: pd.DataFrame, target: str, seed: int = 0
) -> dict[str, float]:
    """Area under the ROC curve of three classifiers trained on ``training``, tested on ``test``.

    Args:
        real: Real training table, for the labels and categories.
        training: Table to train on; at most 100,000 rows of it are used.
        test: Real rows to test on.
        target: Column to predict; several classes are averaged one against the rest.
        seed: Of the classifiers.
    """
    if len(training) > TRAINING_ROWS:
        training = training.sample(TRAINING_ROWS, random_state=seed)
    labels = sorted(real[target].astype(str).unique())
    known = training[target].astype(str).isin(labels)
    features = real.drop(columns=target)
    inputs, answers = training[known].drop(columns=target), training.loc[known, target].astype(str)
    truth = test[target].astype(str).to_numpy()
    areas = {}
    for name, model in predictors(features, seed).items():
        shares = class_shares(model, inputs, answers, test.drop(columns=target), labels)
        areas[name] = mean_area(truth, shares, labels)
    return areas


def class_shares(
    model: Any, inputs: pd.DataFrame, answers: pd.Series, rows: pd.DataFrame, labels: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Probability of each label for ``rows``; one label alone is certain, and not learnt.

    Args:
        model: Classifier, trained here.
        inputs: Features to train on.
        answers: Labels to train on, of ``labels``.
        rows: Features to predict from.
        labels: Columns of the result.
    """
    shares = np.zeros((len(rows), len(labels)))
    if answers.nunique() > 1:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # not converged, categories unseen
            model.fit(inputs, answers)
            given = model.predict_proba(rows)
        shares[:, [labels.index(label) for label in model.classes_]] = given
    elif len(answers):
        shares[:, labels.index(answers.iloc[0])] = 1.0
    return shares


def mean_area(
    truth: npt.NDArray[Any], shares: npt.NDArray[np.float64], labels: Sequence[str]
) -> float:
    """Mean over the labels that some rows have and others not, one against the rest."""
    present = [i for i, label in enumerate(labels) if 0 < (truth == label).sum() < len(truth)]
    each = [roc_auc_score(truth == labels[i], shares[:, i]) for i in present]
    return float(np.mean(each)) if each else float('nan')


def predictors(features: pd.DataFrame, seed: int, regression: bool = False) -> dict[str, Any]:
    """Three untrained pipelines for tables like ``features``: linear, boosting, forest."""
    numbers = [name for name in features.columns if features[name].dtype == float]
    others = [name for name in features.columns if name not in numbers]
    known = [sorted(features[name].unique()) for name in others]
    few = [len(categories) <= MAX_CATEGORIES for categories in known]

    def ordinal() -> Any:
        encoder = OrdinalEncoder(
            categories=known, handle_unknown='use_encoded_value', unknown_value=np.nan
        )
        return make_column_transformer(('passthrough', numbers), (encoder, others))

    scaled = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    one_hot = OneHotEncoder(categories=known, handle_unknown='ignore')
    gaps = SimpleImputer(strategy='constant', fill_value=-1, keep_empty_features=True)
    boosting = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    forest = RandomForestRegressor if regression else RandomForestClassifier
    return {
        'logistic': make_pipeline(
            make_column_transformer((scaled, numbers), (one_hot, others)),
            Ridge() if regression else LogisticRegression(max_iter=300),
        ),
        'boosting': make_pipeline(
            ordinal(),
            boosting(random_state=seed, categorical_features=[False] * len(numbers) + few),
        ),
        'forest': make_pipeline(ordinal(), gaps, forest(min_samples_leaf=5, random_state=seed)),
    }
