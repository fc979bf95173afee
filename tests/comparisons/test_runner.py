"""The runner on a tiny matrix, in processes of its own as a user starts it."""

import json
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from threading import Barrier

import pandas as pd
import pytest

from comparisons import cell as one_cell
from comparisons import registry, runner
from comparisons.__main__ import _cells, _parser, main
from comparisons.budget import Gaussian, OverspentError
from comparisons.cells import Cell, read_records, to_do
from comparisons.method import About
from comparisons.runner import Limits
from sdv_slicedp.datasets import load_adult

pytest.importorskip('sklearn')
CELL = Cell('adult', 'independent', 1.0, 1e-5, 0, 300)


METHODS = ['independent', 'sliced_histogram']


def arguments(output, *more, methods=METHODS):
    fixed = ['--epsilons', '1', '--seeds', '0', '--rows', '300', '--output', str(output)]
    return ['run', '--methods', *methods, *fixed, *more]


def test_a_run_can_be_killed_resumed_and_reported(tmp_path, capsys):
    output = tmp_path / 'new' / 'results.jsonl'
    assert main(arguments(output, methods=METHODS[:1])) == 0
    assert '1 done, 0 not' in capsys.readouterr().out
    (line,) = output.read_text().splitlines()

    output.write_text(line + '\n' + line[:100])  # as if killed while it wrote the second
    assert len(read_records([output])) == 1
    assert main(arguments(output)) == 0
    assert '2 cells, 1 of them' in capsys.readouterr().out
    records = read_records([output])
    assert [r['cell']['method'] for r in records] == METHODS
    for record in records:
        assert 0.9 < record['spent_epsilon'] <= 1.001
        assert 0 < record['scores']['sdmetrics'] < 1
        assert record['versions']['sdv']

    assert main(['report', str(output), '--output', str(tmp_path / 'report')]) == 0
    text = (tmp_path / 'report' / 'report.md').read_text()
    assert 'Sliced histograms' in text
    assert (tmp_path / 'report' / 'report.html').stat().st_size > 1e6


@pytest.mark.parametrize(
    ('more', 'message'),
    [
        (['--methods', 'nope'], "no method 'nope'; choose from sliced_histogram"),
        (['--datasets', 'nope'], "no data set 'nope'; choose from adult"),
        (['--epsilons', '0'], '--epsilons must be positive'),
        (['--epsilons', 'nan'], '--epsilons must be positive'),
        (['--delta', '1'], '--delta must be between 0 and 1'),
        (['--rows', '0'], '--rows must be positive'),
        (['--jobs', '0'], '--jobs must be positive'),
        (['--time-limit', 'nan'], '--time-limit must be positive'),
        (['--csv', 't.csv'], '--csv and --metadata belong together'),
        (['--csv', 't.csv', '--metadata', 'missing.json'], 'missing.json'),
    ],
)
def test_bad_input_is_one_line(more, message, tmp_path, capsys):
    assert main(arguments(tmp_path / 'r.jsonl', *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith('error: ')
    assert error.count('\n') == 1
    assert not (tmp_path / 'r.jsonl').exists()


def test_a_metadata_file_without_ranges_says_which_columns_need_them(tmp_path, capsys):
    tables, metadata = load_adult()
    description = metadata.to_dict()
    del description['tables']['adult']['columns']['age']['range_max']
    del description['tables']['adult']['columns']['sex']['range_values']
    (tmp_path / 'm.json').write_text(json.dumps(description))
    tables['adult'].head(50).to_csv(tmp_path / 't.csv', index=False)
    paths = ['--csv', str(tmp_path / 't.csv'), '--metadata', str(tmp_path / 'm.json')]
    assert main(arguments(tmp_path / 'r.jsonl', *paths)) == 2
    assert "lacks public domains for ['age', 'sex']" in capsys.readouterr().err


def test_tables_of_the_same_name_are_told_apart(tmp_path):
    tables, metadata = load_adult()
    paths = [tmp_path / place / 't.csv' for place in ('one', 'copy', 'other')]
    for path, rows in zip(paths, (200, 200, 201), strict=True):
        path.parent.mkdir()
        tables['adult'].head(rows).to_csv(path, index=False)
    (tmp_path / 'm.json').write_text(json.dumps(metadata.to_dict()))
    fixed = ['run', '--metadata', str(tmp_path / 'm.json'), '--methods', 'independent', '--csv']

    def keys(path, *more):
        return {cell.key for cell in _cells(_parser().parse_args([*fixed, str(path), *more]))}

    one, copy, other = (keys(path) for path in paths)
    assert one == copy
    assert not one & other
    assert not one & keys(paths[0], '--target', 'sex')


def test_report_of_nothing(tmp_path, capsys):
    assert main(['report', str(tmp_path / 'none.jsonl')]) == 2
    assert 'none.jsonl' in capsys.readouterr().err
    (tmp_path / 'empty.jsonl').write_text('')
    assert main(['report', str(tmp_path / 'empty.jsonl')]) == 2
    assert 'No record' in capsys.readouterr().err


def test_what_fails_is_recorded_and_stops_nothing(tmp_path, monkeypatch):
    outcomes = {'a': 'done', 'b': 'failed', 'c': 'done'}

    def run_cell(cell, seconds):
        status = outcomes[cell.method]
        record = {'cell': asdict(cell), 'wall_s': 60.0, 'status': status}
        return record if status == 'done' else {**record, 'error': 'no luck'}

    monkeypatch.setattr(runner, 'run_cell', run_cell)
    cells = [Cell('adult', name, 1.0, 1e-5, 0) for name in outcomes]
    said = []
    runner.run_cells(cells, tmp_path / 'r.jsonl', Limits(1, 10), said.append)
    assert said[0].startswith('1/3 adult a epsilon 1')
    assert 'about 2 min left' in said[0]
    assert 'no luck' in said[1]
    records = read_records([tmp_path / 'r.jsonl'])
    assert [r['status'] for r in records] == ['done', 'failed', 'done']
    assert to_do(cells, records, again=False) == []
    assert to_do(cells, records, again=True) == [cells[1]]


def test_a_cell_that_takes_too_long_is_stopped():
    record = runner.run_cell(CELL, 0.1)
    assert record['status'] == 'timeout'
    assert record['wall_s'] < 5


def test_a_cell_that_fails_says_why(tmp_path, monkeypatch):
    python = tmp_path / 'python'  # one that needs no seconds to import what a cell needs
    python.write_text('#!/bin/sh\necho "Traceback\nKeyError: $3" >&2\nexit 1\n')
    python.chmod(0o700)
    monkeypatch.setattr('sys.executable', str(python))
    record = runner.run_cell(CELL, 60)
    assert record['status'] == 'failed'
    assert 'KeyError: {"dataset": "adult", "method": "independent"' in record['error']


def test_as_many_cells_run_at_a_time_as_asked_for(tmp_path, monkeypatch):
    together = Barrier(2, timeout=60)

    def run_cell(cell, seconds):
        together.wait()
        return {'cell': asdict(cell), 'wall_s': 1.0, 'status': 'done'}

    monkeypatch.setattr(runner, 'run_cell', run_cell)
    cells = [Cell('adult', name, 1.0, 1e-5, 0) for name in 'ab']
    runner.run_cells(cells, tmp_path / 'r.jsonl', Limits(2, 10), lambda line: None)
    assert len(read_records([tmp_path / 'r.jsonl'])) == 2


def test_overspending_is_told_from_failing():
    lines = 'Traceback\ncomparisons.budget.OverspentError: too little noise\n'
    assert runner._outcome(1, '', lines)['status'] == 'refused'
    assert runner._outcome(1, '', 'Traceback\nValueError: x')['status'] == 'failed'
    assert runner._outcome(-9, '', '')['error'] == 'ended with status -9'


@dataclass
class Model:
    rows: pd.DataFrame
    events: list = field(default_factory=list)
    versions: dict = field(default_factory=lambda: {'numpy': '0.1'})

    def sample(self, n, seed):
        return self.rows.head(n)


@dataclass
class Fake:
    """A method that returns the rows and records whatever noise it is told to."""

    events: list
    private: bool = True
    about: About = None

    def __post_init__(self):
        self.about = About('fake', self.private, 'add_or_remove_one', 'none')

    def fit(self, table, metadata, *, epsilon, delta, seed):
        return Model(table, self.events)


@pytest.mark.parametrize('events', [[Gaussian(3.0)], [Gaussian(0.0)], []])
def test_a_method_that_overspends_gets_no_scores(events):
    tables, metadata = load_adult()
    with pytest.raises(OverspentError):
        one_cell.fit_and_sample(Fake(events), tables['adult'].head(20), metadata, CELL)


def test_a_method_within_its_budget_is_recorded():
    tables, metadata = load_adult()
    table = tables['adult'].head(20)
    synthetic, record = one_cell.fit_and_sample(Fake([Gaussian(3.8)]), table, metadata, CELL)
    assert len(synthetic) == 20
    assert record['events'] == [{'kind': 'Gaussian', 'noise_multiplier': 3.8, 'count': 1}]
    assert record['spent_epsilon'] == pytest.approx(0.98, abs=0.02)
    assert record['environment_versions'] == {'numpy': '0.1'}
    assert record['versions']['numpy'] == version('numpy')
    _, record = one_cell.fit_and_sample(Fake([], private=False), table, metadata, CELL)
    assert record['spent_epsilon'] is None


@pytest.mark.parametrize('name', registry.METHODS)
def test_every_method_says_what_it_is(name):
    about = registry.method(name).about
    assert about.title
    assert about.neighboring_relation in ('add_or_remove_one', 'replace_one', 'none')
    assert about.private == (about.neighboring_relation != 'none')
    assert about.accountant
    json.dumps(asdict(about))


def test_a_method_that_asks_for_the_target_is_told():
    for name in ('dpmerf', 'sliced_histogram_told'):
        assert one_cell.with_target(registry.method(name), 'income').target == 'income'
    other = registry.method('independent')
    assert one_cell.with_target(other, 'income') is other
