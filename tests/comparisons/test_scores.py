import numpy as np
import pandas as pd
import pytest
from sdv.metadata import Metadata

pytest.importorskip('sklearn')
from comparisons import scores
from comparisons.empirical_privacy import membership_auc
from comparisons.public_domain import public_columns

NUMBER = {'sdtype': 'numerical', 'range_min': 0, 'range_max': 10_000, 'decimal_places': 0}
COLUMNS = {
    'a': {**NUMBER, 'range_is_nullable': False},
    'b': {**NUMBER, 'range_is_nullable': True},
    'c': {'sdtype': 'categorical', 'range_values': ['x', 'y'], 'range_is_nullable': False},
}
METADATA = Metadata.load_from_dict(
    {'METADATA_SPEC_VERSION': 'V2', 'relationships': [], 'tables': {'t': {'columns': COLUMNS}}}
)


def table(n, seed):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 10_000, n)
    b = np.clip(a + rng.integers(-500, 500, n), 0, 10_000).astype(float)
    b[::17] = np.nan
    return pd.DataFrame({'a': a, 'b': b, 'c': np.where(a > 5_000, 'x', 'y')})


def task(target='c', regression=False):
    return scores.Task(table(600, 0), table(500, 1), METADATA, target, regression)


def test_the_table_itself_has_the_best_scores():
    found = scores.score(task(), task().train, seed=0)
    assert found['tv1'] == found['tv2'] == found['tv3'] == 0
    assert found['correlation_error'] == 0
    assert found['sdmetrics'] == pytest.approx(1)
    assert found['auc'] > 0.99
    assert found['membership_auc'] == pytest.approx(1, abs=0.05)
    assert set(found['columns']) == set(COLUMNS)
    assert len(found['pairs']) == 3


def test_shuffled_columns_have_no_pairs():
    rng = np.random.default_rng(5)
    shuffled = task().train.apply(lambda column: rng.permutation(column))
    found = scores.score(task(), shuffled, seed=0)
    assert found['tv1'] == 0
    assert found['tv2'] > 0.2
    assert found['correlation_error'] > 0.3
    assert found['auc'] < 0.8
    assert found['membership_auc'] == pytest.approx(0.5, abs=0.1)


def test_a_number_is_predicted():
    found = scores.score(task('a', regression=True), task().train, seed=0)
    assert found['r2'] > 0.9
    assert 'auc' not in found


def test_a_synthetic_table_with_one_label_is_scored():
    made = task().train.assign(c='x')
    found = scores.score(task(), made, seed=0)
    assert found['auc'] == 0.5
    assert 0.3 < found['accuracy'] < 0.7


def test_attack_by_distance_finds_copies_only():
    columns = public_columns(METADATA)
    train, test, other = (table(400, seed) for seed in (0, 1, 2))
    assert membership_auc(train, test, train, columns, 0) > 0.9
    # False alarm rate below 1e-6: the standard error is 0.02.
    assert membership_auc(train, test, other, columns, 0) == pytest.approx(0.5, abs=0.1)
