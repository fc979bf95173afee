import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from comparisons import budget, environments
from comparisons.methods import dpmm_worker, marginal_based
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


def fitted(sigmas, cliques, rho=None):
    measures = [(None, None, sigma, names) for sigma, names in zip(sigmas, cliques, strict=True)]
    return SimpleNamespace(measures=measures, cliques=cliques, rho=rho)


@pytest.mark.parametrize('halvings', [(0, 0), (0, 1), (1, 2)])
def test_rho_of_aim_counts_measurements_and_selections(halvings):
    """Three columns, two rounds of which the second measures a column again."""
    sigma, epsilon = np.sqrt(1 / (2 * 0.9 * 0.02)), np.sqrt(8 * 0.1 * 0.02)
    sigmas = [sigma] * 3 + [sigma / 2**k for k in halvings]
    model = fitted(sigmas, [('a',), ('b',), ('c',), ('a', 'b'), ('c',)])
    noted = sum(1 / (2 * s**2) for s in sigmas)
    noted += sum((epsilon * 2**k) ** 2 / 8 for k in halvings)
    assert dpmm_worker.rho_spent('AIM', model) == pytest.approx(noted)


@pytest.mark.parametrize('columns', [1, 2, 5])
def test_rho_of_mst_counts_measurements_and_selections(columns):
    rho = 0.3
    sigma = np.sqrt(3 / (2 * rho))
    names = [str(i) for i in range(columns)]
    cliques = [(name,) for name in names] + [(names[0], name) for name in names[1:]]
    drawn = [sigma * np.sqrt(columns)] * len(cliques)
    noted = sum(1 / (2 * s**2) for s in drawn)
    noted += (columns - 1) * (8 * rho / 3 / max(columns - 1, 1)) / 8
    model = fitted([sigma] * len(cliques), cliques, rho)
    assert dpmm_worker.rho_spent('MST', model) == pytest.approx(noted)
    assert noted <= rho


@pytest.mark.parametrize('mechanism', ['AIM', 'MST'])
def test_rho_grows_if_there_is_less_noise(mechanism):
    cliques = [('a',), ('b',), ('a', 'b')]
    one, other = (fitted([sigma] * 3, cliques, 0.3) for sigma in (2.0, 1.0))
    spent = [dpmm_worker.rho_spent(mechanism, model) for model in (one, other)]
    assert spent[1] > spent[0] + 0.3


@pytest.mark.slow
@pytest.mark.parametrize('mechanism', ['AIM', 'MST'])
def test_rho_is_that_of_every_access_that_dpmm_makes(mechanism):
    script = Path(__file__).with_name('dpmm_ledger.py')
    done = subprocess.run(
        [environments.python_of('dpmm'), script, mechanism, marginal_based.WORKER.parent],
        capture_output=True,
        check=True,
    )
    requested, recomputed, noted, accesses = json.loads(done.stdout.splitlines()[-1])
    assert recomputed == pytest.approx(noted, rel=1e-9)
    assert 0.9 * requested < noted <= requested * (1 + 1e-9)
    assert accesses >= 10


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
    assert set(made.versions) >= {'dpmm', 'opendp', 'numpy'}
