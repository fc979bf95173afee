import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from comparisons import budget, environments
from comparisons.methods import marginal_based
from comparisons.public_domain import Choice, Number, encode, public_columns
from sdv_slicedp.datasets import load_adult

COLUMNS = [Number('n', -2.0, 7.5, 1, True), Choice('c', ('x', 'y'), True), Number('m', 0, 9, 0, 0)]


@pytest.mark.parametrize('epsilon', [0.2, 1.0, 10.0])
def test_model_and_bins_spend_the_request_together(epsilon):
    parts = marginal_based.split_budget(epsilon, COLUMNS)
    assert parts['model_epsilon'] + parts['binning_epsilon'] == pytest.approx(epsilon)
    alone = marginal_based.split_budget(epsilon, COLUMNS[1:2])
    assert alone == {'model_epsilon': epsilon, 'binning_epsilon': None}
    rho = budget.rho_for(parts['model_epsilon'], 1e-5)
    events = marginal_based.events_of({'rho': rho, 'binning_epsilon': parts['binning_epsilon']})
    assert budget.check(events, epsilon, 1e-5) == pytest.approx(epsilon, rel=1e-3)


def test_tables_come_back_from_the_worker():
    table = pd.DataFrame(
        {'n': [-2.0, 7.5, np.nan, 0.3], 'c': ['x', None, 'y', 'x'], 'm': [0, 9, 4, 5]}
    )
    encoded = encode(table, COLUMNS)
    sent = marginal_based.to_worker(encoded, COLUMNS)
    assert list(sent) == ['c0', 'c1', 'c2']
    assert sent['c0'].tolist()[2] == -1
    assert sent.drop(2)[['c0', 'c2']].stack().between(0, 1).all()
    back = marginal_based.from_worker(sent, COLUMNS)
    pd.testing.assert_frame_equal(back, encoded, check_dtype=False)


def test_a_worker_that_fails_is_one_line(tmp_path):
    import sys

    (tmp_path / 'request.json').write_text('{}')
    with pytest.raises(RuntimeError, match=r'dpmm could not fit: .+'):
        marginal_based.run_worker(sys.executable, 'fit', tmp_path)


def test_an_environment_needs_a_python_that_fits(monkeypatch):
    monkeypatch.setitem(environments.PYTHONS, 'dpmm', ('1.0',))
    with pytest.raises(environments.MissingExtraError, match=r'needs Python 1\.0'):
        environments.python_of('dpmm')
    assert not environments.is_made('dpmm')


@pytest.mark.slow
def test_mst_itself():
    tables, metadata = load_adult()
    table = tables['adult'].head(500)
    made = replace(marginal_based.MST, options={'n_iters': 100}).fit(
        table, metadata, epsilon=1.0, delta=1e-5, seed=0
    )
    assert 0.9 < budget.check(made.events, 1.0, 1e-5) <= 1.001
    rows = made.sample(70, seed=0)
    assert list(rows) == list(table)
    assert len(rows) == 70
    assert len(encode(rows, public_columns(metadata))) == 70
    json.dumps(made.versions)
