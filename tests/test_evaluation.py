"""Scores are SDMetrics' own, in one place."""

import numpy as np
import pandas as pd
import pytest
from sdv.metadata import Metadata

from sdv_slicedp.evaluation import evaluate

COLUMNS = {
    'key': {'sdtype': 'id'},
    'a': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 1000},
    'b': {'sdtype': 'numerical'},
    'c': {'sdtype': 'categorical'},
}


def table(seed, rows=400):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 1000, rows)
    return pd.DataFrame(
        {
            'key': np.arange(rows),
            'a': a,
            'b': a * 2.0 + rng.normal(0, 10, rows),
            'c': np.where(a > 500, 'high', 'low'),
        }
    )


@pytest.fixture(scope='module')
def metadata():
    return Metadata.load_from_dict({'tables': {'t': {'primary_key': 'key', 'columns': COLUMNS}}})


def test_a_table_against_itself_is_perfect(metadata):
    scores = evaluate({'t': table(0)}, {'t': table(0)}, metadata)
    assert scores.quality == scores.diagnostic == 1
    assert list(scores.columns['Column']) == list(COLUMNS)
    assert (scores.columns['Validity'] == 1).all()


def test_a_worse_table_scores_less_where_it_is_worse(metadata):
    worse = table(1).assign(a=5000)
    scores = evaluate({'t': table(0)}, {'t': worse}, metadata)
    good = evaluate({'t': table(0)}, {'t': table(1)}, metadata)
    assert scores.quality < good.quality
    columns = scores.columns.set_index('Column')
    assert columns.loc['a', 'Validity'] == 0
    assert columns['Quality'].idxmin() == 'a'


def test_dependence_of_pairs_is_that_of_the_real_table(metadata):
    pairs = evaluate({'t': table(0)}, {'t': table(1)}, metadata).pairs
    dependence = pairs.set_index(['Column 1', 'Column 2'])['Dependence']
    assert dependence['a', 'b'] == pytest.approx(table(0)[['a', 'b']].corr().iloc[0, 1])
    assert dependence.between(0, 1).all()


def test_nothing_to_compare_gives_nan_and_no_error():
    metadata = Metadata.load_from_dict({'tables': {'t': {'columns': {'key': {'sdtype': 'id'}}}}})
    keys = pd.DataFrame({'key': [1, 2, 3]})
    scores = evaluate({'t': keys}, {'t': keys}, metadata)
    assert np.isnan(scores.quality)
    assert scores.pairs.empty
