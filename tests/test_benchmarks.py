"""The benchmark scripts, on tables that take a second."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sdv_slicedp import SlicedDPSynthesizer
from sdv_slicedp.datasets import load_adult

pytest.importorskip('sklearn')
NAMES = ['age', 'workclass', 'capital_gain', 'sex', 'income']


@pytest.fixture(autouse=True)
def _import_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / 'benchmarks'))


@pytest.fixture(scope='module')
def adult():
    """3,000 rows and five columns of Adult, and their metadata."""
    tables, metadata = load_adult()
    columns = metadata.to_dict()['tables']['adult']['columns']
    description = {'tables': {'adult': {'columns': {name: columns[name] for name in NAMES}}}}
    return tables['adult'][NAMES].head(3_000), description


def test_distance_is_zero_to_itself_and_one_to_a_disjoint_table():
    from scoring import Grid, total_variation

    table = pd.DataFrame({'a': [0.0, 1.0, np.nan, 4.0], 'b': ['x', 'y', 'y', 'x']})
    other = pd.DataFrame({'a': [2.0, 2.0, 2.0, 2.0], 'b': ['z', 'z', 'z', 'z']})
    half = pd.DataFrame({'a': [0.0, 1.0, 2.0, 2.0], 'b': ['x', 'y', 'z', 'z']})
    grid = Grid.of(table)
    codes, far, near = (grid.codes(frame) for frame in (table, other, half))
    for order in (1, 2):
        assert total_variation(codes, codes, order) == 0
        assert total_variation(codes, far, order) == 1
        assert total_variation(codes, near, order) == 0.5


def test_tables_are_compared_whatever_their_dtypes():
    from scoring import MISSING, comparable

    columns = {
        'number': {'sdtype': 'numerical'},
        'size': {'sdtype': 'categorical'},
        'day': {'sdtype': 'datetime', 'datetime_format': '%d.%m.%Y'},
    }
    first = pd.DataFrame(
        {
            'number': pd.Series([1, None], dtype='Int64'),
            'size': [1.0, np.nan],
            'day': ['02.01.1970', None],
        }
    )
    second = pd.DataFrame(
        {'number': [1.0, np.nan], 'size': pd.Series([1, None], dtype=object), 'day': first['day']}
    )
    plain = comparable(first, columns)
    pd.testing.assert_frame_equal(plain, comparable(second, columns))
    assert list(plain['size']) == ['1', MISSING]
    assert plain['day'][0] == 86_400


def test_parts_of_the_error_agree_with_each_other(adult):
    from error_parts import split
    from sdv.metadata import Metadata

    table, description = adult
    metadata = Metadata.load_from_dict(description)
    synthesizer = SlicedDPSynthesizer(
        metadata, epsilon=5.0, public_domain=True, epochs=100, n_components=100, random_state=0
    )
    synthesizer.fit({'adult': table})
    synthetic = synthesizer.sample(num_rows=100_000)['adult']
    parts = {
        (part.name, part.between): part for part in split(synthesizer, metadata, table, synthetic)
    }
    by_name = {name: part for (name, _), part in parts.items() if name != 'all'}
    everything = parts['all', 'real and sampled, pair cells']
    assert by_name['domain'].one == by_name['domain'].two == 0
    # 100,000 rows: sampling adds next to nothing to the exact laws of the model, and the
    # distances obey the triangle inequality.
    assert by_name['sampling'].two < 0.01
    assert abs(everything.two - by_name['trained'].two) <= by_name['sampling'].two + 1e-9
    bound = by_name['two-column'].two + by_name['model'].two
    assert by_name['trained'].two <= bound + 1e-9
    assert by_name['noise'].two > by_name['two-column'].two


def test_quality_prints_and_writes_its_figures(adult, tmp_path, capsys):
    import quality

    table, description = adult
    table.head(2_400).to_csv(tmp_path / 'train.csv', index=False)
    table.tail(600).to_csv(tmp_path / 'test.csv', index=False)
    (tmp_path / 'metadata.json').write_text(json.dumps(description), encoding='utf-8')
    files = [f'--{name}' for name in ('train', 'test')]
    arguments = [word for name in files for word in (name, str(tmp_path / f'{name[2:]}.csv'))]
    arguments += ['--metadata', str(tmp_path / 'metadata.json'), '--target', 'income']
    arguments += ['--seeds', '0', '--no-sdmetrics', '--no-public-domain']
    quality.main([*arguments, '--json', str(tmp_path / 'figures.json')])
    printed = capsys.readouterr().out
    reference, fitted = json.loads((tmp_path / 'figures.json').read_text(encoding='utf-8'))
    assert '| real, drawn again |' in printed and '| epsilon 1 |' in printed
    assert 0.7 < reference['scores']['auc'] <= 1
    assert 0 < reference['scores']['tv1'] < fitted['scores']['tv2'] < 1
    assert fitted['parts'][0]['name'] == 'domain'


@pytest.mark.parametrize('kind', ['adult', 'independent'])
def test_cases_have_the_shape_that_was_asked_for(kind):
    from cases import Case, load

    tables, metadata = load(Case('wide', kind, rows=500, columns=20))
    (table,) = tables.values()
    (name,) = tables
    assert table.shape == (500, 20)
    assert list(table) == list(metadata.tables[name].columns)
    SlicedDPSynthesizer(metadata, public_domain=True).validate(tables)


def test_speed_measures_one_case_in_a_process_of_its_own(capsys, tmp_path):
    import speed

    speed.main(['--cases', 'adult-10k', '--repeats', '1', '--json', str(tmp_path / 'f.json')])
    (figures,) = json.loads((tmp_path / 'f.json').read_text(encoding='utf-8'))
    assert (figures['rows'], figures['columns'], figures['pairs']) == (10_000, 15, 105)
    assert figures['fit_s'] > 0 and figures['sample_s'] > 0
    assert '| adult-10k | 10,000 | 15 | 105 |' in capsys.readouterr().out


@pytest.fixture
def tiny_task():
    """300 rows of three columns, with a number, a category and gaps."""
    from quality import Task
    from sdv.metadata import Metadata

    rng = np.random.default_rng(0)
    table = pd.DataFrame({'n': rng.integers(0, 50, 300), 'c': rng.choice(['x', 'y'], 300)})
    table['m'] = (table['n'] / 2).mask(rng.random(300) < 0.2)
    columns = {
        'n': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 49, 'decimal_places': 0},
        'c': {'sdtype': 'categorical', 'range_values': ['x', 'y']},
        'm': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 25, 'decimal_places': 1},
    }
    metadata = Metadata.load_from_dict({'tables': {'tiny': {'columns': columns}}})
    return Task(table, table, metadata, None)


def test_releases_without_noise_give_the_records_back(tiny_task):
    from projection_quality import noiseless_release

    synthesizer, release = noiseless_release(tiny_task, 0.01)
    projection = release.projection
    assert projection.n_rows == len(tiny_task.train) and projection.sigma == pytest.approx(0.01)
    assert synthesizer.get_privacy_report().fits == ()
    # A full orthonormal basis: the values turned back are the records, in the order of the rows.
    records = projection.values * projection.pitch @ projection.directions.astype(float).T
    number = tiny_task.train['n'].to_numpy()
    assert max(abs(np.corrcoef(number, column)[0, 1]) for column in records.T) > 0.99


@pytest.mark.parametrize('name', ['sliced_wasserstein', 'kernel_estimator'])
def test_objectives_are_trained_on_a_release(tiny_task, monkeypatch, name):
    import projection_quality

    monkeypatch.setattr(projection_quality, 'EPOCHS', 12)
    monkeypatch.setattr(projection_quality, 'N_COMPONENTS', 30)
    synthesizer, release = projection_quality.noiseless_release(tiny_task, 0.01)
    model = projection_quality.plainly_trained(release, getattr(projection_quality, name), 0)
    assert len(model.loss_values) == 12 and np.isfinite(model.loss_values['Loss']).all()
    rows = projection_quality.rows_of(synthesizer, model, 50)
    assert rows['n'].dropna().between(0, 49).all() and set(rows['c'].dropna()) <= {'x', 'y'}
    scores = projection_quality.scored(tiny_task, rows, 0, 1.0)
    assert 0 < scores['tv1'] < 1 and scores['cpu_s'] == 1.0


def test_sliced_wasserstein_of_shifted_batches(tiny_task):
    import torch
    from projection_quality import noiseless_release, sliced_wasserstein

    from sdv_slicedp.training import posed

    _, release = noiseless_release(tiny_task, 0.01)
    objective = sliced_wasserstein(release, posed(release), 0)
    points = torch.randn(4, 100, generator=torch.Generator().manual_seed(0))
    shuffled = points[:, torch.randperm(100, generator=torch.Generator().manual_seed(1))]
    assert objective.compare(points, shuffled) == 0
    assert objective.compare(points, shuffled + 3) == pytest.approx(9, rel=1e-5)


def test_accounting_orders_its_analyses():
    import projection_accounting

    (line,) = list(projection_accounting.rows(((20, 1),)))[1:2]
    figures = [float(cell) for cell in line.strip('| ').split('|')]
    assert figures[:3] == [20, 1, 1]
    published, renyi, sphere, orthonormal, worst = figures[3:]
    assert 0 < sphere <= renyi <= published
    assert 0 < orthonormal <= worst
    assert len(projection_accounting.HEADER.split('|')) == len(line.split('|'))


def test_estimators_are_compared_with_the_truth(monkeypatch, capsys):
    import divergence_estimators as script

    arguments = ['--repeats', '2', '--points', '64', '--rows', '500', '--divergences', 'kl']
    monkeypatch.setattr('sys.argv', ['divergence_estimators.py', *arguments])
    script.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(script.CASES) * (1 + len(script.ESTIMATORS))
    assert all(line.count('|') == lines[0].count('|') for line in lines)
    # Normal laws of variance 0.64 + 0.36 = 1: KL = theta^2 / 2, and its derivative is theta.
    value, slope = script.truth(script.CASES[0], script.DIVERGENCES['kl'])
    assert value == pytest.approx(0.02, rel=1e-4) and slope == pytest.approx(0.2, rel=1e-4)


def test_the_grid_estimator_comes_near_the_truth():
    import divergence_estimators as script
    import torch

    torch.manual_seed(0)
    case, divergence = script.CASES[1], script.DIVERGENCES['jensen_shannon']
    value, slope = script.truth(case, divergence)
    _, estimator = script.ESTIMATORS['grid, K = I, ridge 1e-6, all rows']
    got = script.measure(case, divergence, estimator, (20_000, 2_000), 3)
    assert got.value == pytest.approx(value, rel=0.1)
    assert got.slope == pytest.approx(slope, rel=0.1)
