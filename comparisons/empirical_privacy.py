"""Attacks and distances that show some leaks. None of them is an epsilon, or bounds one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from comparisons.public_domain import Number, PublicColumn, encode, public_columns, widths

if TYPE_CHECKING:
    from comparisons.scores import Task

RECORDS = 1_000
SYNTHETIC_ROWS = 10_000


def empirical_privacy(task: Task, synthetic: pd.DataFrame, seed: int) -> dict[str, float]:
    """Distance attack, and SDMetrics' distance to the closest record and disclosure."""
    columns = public_columns(task.metadata)
    return {
        'membership_auc': membership_auc(task.train, task.test, synthetic, columns, seed),
        **_sdmetrics(task, synthetic, seed),
    }


def membership_auc(
    train: pd.DataFrame,
    test: pd.DataFrame,
    synthetic: pd.DataFrame,
    columns: list[PublicColumn],
    seed: int,
) -> float:
    """How well nearness to a synthetic row tells fitted rows from others; 0.5 is not at all.

    An attack without shadow models: a row is taken to have been fitted if a synthetic row is near.
    """
    size = min(len(train), len(test), RECORDS)
    members, others = (table.sample(size, random_state=seed) for table in (train, test))
    made = synthetic.sample(min(len(synthetic), SYNTHETIC_ROWS), random_state=seed)
    neighbors = NearestNeighbors(n_neighbors=1, metric='manhattan').fit(_points(made, columns))
    near = [-neighbors.kneighbors(_points(rows, columns))[0][:, 0] for rows in (members, others)]
    fitted = np.r_[np.ones(size), np.zeros(size)]
    return float(roc_auc_score(fitted, np.concatenate(near)))


def _points(table: pd.DataFrame, columns: list[PublicColumn]) -> npt.NDArray[np.float64]:
    """Numbers as a share of their range, choices as halves of one-hot vectors: Gower distance."""
    encoded, scale = encode(table, columns), widths(columns)
    parts = []
    for column, width in zip(columns, scale, strict=True):
        values = encoded[column.name].to_numpy()
        if isinstance(column, Number):
            share = (values - column.lower) / width
            parts.append(np.nan_to_num(share, nan=-1.0)[:, None])
        else:
            parts.append(np.eye(max(column.n_cells, 1))[values] / 2)
    return np.concatenate(parts, axis=1)


def _sdmetrics(task: Task, synthetic: pd.DataFrame, seed: int) -> dict[str, float]:
    from sdmetrics.single_table import DCROverfittingProtection, DisclosureProtectionEstimate

    size = min(len(task.train), len(task.test), RECORDS)
    train, test, made = (
        table.sample(min(len(table), size), random_state=seed)
        for table in (task.train, task.test, synthetic)
    )
    choices = [c.name for c in public_columns(task.metadata) if not isinstance(c, Number)]
    known = [name for name in choices if name != task.target][:5]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of small samples
        overfitting = DCROverfittingProtection.compute_breakdown(
            real_training_data=train,
            synthetic_data=made,
            real_validation_data=test,
            metadata=task.metadata.to_dict(),
            table_name=task.table_name,
        )
        found = {'dcr_overfitting_protection': float(overfitting['score'])}
        if known and task.target in choices:
            disclosure = DisclosureProtectionEstimate.compute_breakdown(
                real_data=task.train,
                synthetic_data=synthetic,
                known_column_names=known,
                sensitive_column_names=[task.target],
                num_rows_subsample=size,
                num_iterations=3,
                verbose=False,
            )
            found['disclosure_protection'] = float(disclosure['score'])
    return found
