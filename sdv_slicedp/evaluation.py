"""SDMetrics scores of a synthetic table against the real one. Reads real data: not private."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pandas as pd
from sdv.evaluation import evaluate_quality, run_diagnostic
from sdv.metadata import Metadata

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Evaluation:
    """Scores between 0 and 1, higher is better; NaN where SDMetrics has nothing to compare.

    Attributes:
        quality: SDMetrics quality score.
        diagnostic: SDMetrics diagnostic score.
        properties: One row for each part of the two scores: ``Report, Property, Score``.
        columns: One row for each column: ``Column, Metric, Quality, Validity``.
        pairs: One row for each pair: ``Column 1, Column 2, Metric, Score, Dependence``;
            ``Dependence`` is the association or the absolute correlation in the real table.
    """

    quality: float
    diagnostic: float
    properties: pd.DataFrame
    columns: pd.DataFrame
    pairs: pd.DataFrame


def evaluate(real: Tables, synthetic: Tables, metadata: Metadata) -> Evaluation:
    """SDMetrics quality and diagnostic of ``synthetic`` against ``real``, one table each."""
    (table_name,) = real
    with warnings.catch_warnings():
        # SDMetrics warns of constant columns and small samples; the scores then are NaN.
        warnings.simplefilter('ignore')
        quality = evaluate_quality(real, synthetic, metadata, verbose=False)
        diagnostic = run_diagnostic(real, synthetic, metadata, verbose=False)
    shapes = quality.get_details('Column Shapes', table_name)
    validity = diagnostic.get_details('Data Validity', table_name)
    properties = pd.concat(
        [
            quality.get_properties().assign(Report='Quality'),
            diagnostic.get_properties().assign(Report='Diagnostic'),
        ],
        ignore_index=True,
    )
    return Evaluation(
        quality=float(quality.get_score()),
        diagnostic=float(diagnostic.get_score()),
        properties=properties[['Report', 'Property', 'Score']],
        columns=_columns(shapes, validity),
        pairs=_pairs(quality.get_details('Column Pair Trends', table_name)),
    )


def _columns(shapes: pd.DataFrame, validity: pd.DataFrame) -> pd.DataFrame:
    quality = _details(shapes, ['Column', 'Metric', 'Score']).rename(columns={'Score': 'Quality'})
    # A key has two validity lines (unique, and in range); the worse one counts.
    valid = _details(validity, ['Column', 'Score']).groupby('Column', sort=False)['Score'].min()
    both = quality.set_index('Column').join(valid.rename('Validity'), how='outer')
    # In the order of the table: SDMetrics lists the quality of fewer columns than the validity.
    order = dict.fromkeys([*valid.index, *quality['Column']])
    return both.reindex(list(order)).rename_axis('Column').reset_index()


def _pairs(trends: pd.DataFrame) -> pd.DataFrame:
    wanted = ['Column 1', 'Column 2', 'Metric', 'Score', 'Real Correlation', 'Real Association']
    pairs = _details(trends, wanted)
    correlation = pd.to_numeric(pairs.pop('Real Correlation')).abs()
    association = pd.to_numeric(pairs.pop('Real Association'))
    return pairs.assign(Dependence=correlation.fillna(association))


def _details(details: pd.DataFrame, wanted: list[str]) -> pd.DataFrame:
    # SDMetrics leaves columns out of its details when there is no row for them.
    return details.reindex(columns=wanted)
