"""The command line writes what it says, and says in one line what went wrong."""

import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from sdv_slicedp import __version__, cli
from sdv_slicedp.cli import main
from sdv_slicedp.datasets import load_adult
from sdv_slicedp.release import Release

ROWS = 2_000


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A folder with a small part of Adult and its metadata."""
    folder = tmp_path_factory.mktemp('cli')
    tables, metadata = load_adult()
    names = ['age', 'workclass', 'capital_gain', 'sex', 'income']
    tables['adult'][names].head(ROWS).to_csv(folder / 'table.csv', index=False)
    description = metadata.to_dict()
    columns = description['tables']['adult']['columns']
    description['tables']['adult']['columns'] = {name: columns[name] for name in names}
    (folder / 'metadata.json').write_text(json.dumps(description), encoding='utf-8')
    return folder


@pytest.fixture
def fit(files, tmp_path):
    """Arguments of a ``fit`` that works, some replaced or added."""

    def arguments(*more, **changes):
        values = {
            'metadata': files / 'metadata.json',
            'epsilon': 1,
            'delta': 1e-5,
            'rows': 50,
            'output': tmp_path / 'out.csv',
        } | changes
        table = values.pop('table', files / 'table.csv')
        options = [f'--{k.replace("_", "-")}={v}' for k, v in values.items() if v is not None]
        return ['fit', str(table), *options, *more]

    return arguments


def one_line(capsys):
    """The only line on stderr that is not progress."""
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if 'error' in line]
    assert len(lines) == 1, captured.err
    assert 'Traceback' not in captured.err
    return lines[0]


def test_fit_writes_every_file(fit, tmp_path, capsys):
    more = {'release': tmp_path / 'r.release', 'report': tmp_path / 'page.html'}
    assert main(fit('--public-domain', **more)) == 0
    synthetic = pd.read_csv(tmp_path / 'out.csv')
    assert list(synthetic) == ['age', 'workclass', 'capital_gain', 'sex', 'income']
    assert len(synthetic) == 50
    assert set(synthetic['sex']) <= {'Male', 'Female'}
    assert synthetic['age'].between(17, 90).all()
    release = Release.load(tmp_path / 'r.release')
    assert len(release.public_columns) == 5
    assert 'This page is not private' in (tmp_path / 'page.html').read_text(encoding='utf-8')
    captured = capsys.readouterr()
    for text in ('Privacy report', '1e-05)-differential privacy', 'quality', 'diagnostic', 'fit '):
        assert text in captured.out
    assert 'fit ...' in captured.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['out.csv', 'page.html', 'r.release']


def test_scores_of_real_data_are_printed_only_if_asked_for(fit, capsys):
    assert main(fit('--public-domain')) == 0
    assert 'SDMetrics' not in capsys.readouterr().out.split('Not covered')[0]


def test_without_rows_the_noisy_count_is_used_and_said(fit, tmp_path, capsys):
    assert main(fit('--public-domain', rows=None, release=tmp_path / 'r.release')) == 0
    noisy = round(Release.load(tmp_path / 'r.release').noisy_rows)
    assert len(pd.read_csv(tmp_path / 'out.csv')) == noisy
    assert f'sampling {noisy:,}, the noisy number of rows' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('more', 'attested'), [([], ()), (['--public-domain', 'age', 'sex'], ('age', 'sex'))]
)
def test_ranges_are_public_only_if_attested(fit, tmp_path, more, attested):
    assert main(fit(*more, release=tmp_path / 'r.release')) == 0
    assert Release.load(tmp_path / 'r.release').public_columns == attested


def test_target_columns_are_measured_with_pairs_of_others(fit, tmp_path):
    more = ['--public-domain', '--target-columns', 'income', 'age']
    assert main(fit(*more, release=tmp_path / 'r.release')) == 0
    release = Release.load(tmp_path / 'r.release')
    hubs = {m.columns[0] for m in release.marginals if len(m.columns) == 3}
    assert {release.columns[hub].domain.name for hub in hubs} == {'income', 'age'}


def test_demo_makes_its_folder_and_takes_a_number_of_rows(tmp_path):
    # What it writes: test_readme.py.
    folder = tmp_path / 'new' / 'demo'
    options = cli._parser().parse_args(['demo', '--output-dir', str(folder), '--rows', '1000'])
    run = options.prepare(options)
    assert folder.is_dir() and run.rows == 1000
    assert run.output.parent == run.release.parent == run.page.parent == folder


@pytest.mark.parametrize(
    ('changes', 'more', 'said'),
    [
        ({'table': 'missing.csv'}, [], "no table file 'missing.csv'"),
        ({'metadata': 'missing.json'}, [], "no metadata file 'missing.json'"),
        ({'epsilon': 0}, [], 'epsilon'),
        ({'epsilon': 'nan'}, [], 'epsilon'),
        ({'epsilon': 'inf'}, [], 'epsilon'),
        ({'epsilon': 'much'}, [], 'epsilon'),
        ({'delta': 1}, [], 'delta'),
        ({'delta': 0}, [], 'delta'),
        ({'rows': 0}, [], '--rows must be at least 1, not 0'),
        ({'rows': -5}, [], '--rows must be at least 1, not -5'),
        ({'output': 'missing/out.csv'}, [], "no folder 'missing'"),
        ({'output': '.'}, [], 'it is a folder'),
        ({'release': 'missing/r'}, [], "no folder 'missing'"),
        ({'report': 'missing/r'}, [], "no folder 'missing'"),
        ({'table_name': 'other'}, [], "'other' is not in"),
        ({}, ['--public-domain', 'nope'], 'nope'),
        ({}, ['--target-columns', 'income', 'nope'], "not modelled: ['nope']"),
        ({'mechanism': 'projection'}, ['--target-columns', 'income'], 'target_columns'),
        ({}, ['--unknown'], '--unknown'),
    ],
)
def test_a_mistake_is_one_line_and_spends_nothing(
    fit, changes, more, said, capsys, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(fit(*more, **changes))
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    line = one_line(capsys)
    assert said in line
    assert line.startswith('sdv-slicedp: error: ')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'text',
    [
        '',
        'not json',
        '[1]',
        '{}',
        '{"tables": 5}',
        '{"tables": {}}',
        '{"tables": {"t": {"columns": {"a": {}}}}}',
        pytest.param(  # looked up in the providers of every language, which takes seconds
            '{"tables": {"t": {"columns": {"a": {"sdtype": "no such type"}}}}}',
            marks=pytest.mark.slow,
        ),
        '{"tables": {"t": {"columns": {"a": {"sdtype": "numerical", "range_min": "x"}}}}}',
    ],
)
def test_bad_metadata_is_one_line(fit, tmp_path, text, capsys):
    path = tmp_path / 'bad.json'
    path.write_text(text, encoding='utf-8')
    assert main(fit(metadata=path)) == 2
    assert 'bad.json' in one_line(capsys)


@pytest.mark.parametrize(
    ('table', 'said'),
    [
        ('', 'not a CSV table'),
        ('age,workclass,capital_gain,sex,income\n', ''),
        ('age,workclass,capital_gain,sex\n1,a,1,Male\n', 'income'),
        ('age,workclass,capital_gain,sex,income,SHOE\n1,a,1,Male,b,40\n', 'SHOE'),
        ('age,workclass,capital_gain,sex,income\nSECRET,a,1,Male,b\n', 'age'),
    ],
)
def test_a_bad_table_is_one_line_that_quotes_no_cell(fit, tmp_path, table, said, capsys):
    path = tmp_path / 'bad.csv'
    path.write_text(table, encoding='utf-8')
    assert main(fit(table=path)) == 2
    line = one_line(capsys)
    assert said in line
    assert 'SECRET' not in line
    assert 'no privacy budget was spent' in line
    assert not (tmp_path / 'out.csv').exists()


def test_files_must_not_overwrite_each_other(fit, files, tmp_path, capsys):
    assert main(fit(output=files / 'table.csv')) == 2
    assert 'must differ' in one_line(capsys)
    assert main(fit(release=tmp_path / 'out.csv')) == 2
    assert 'must differ' in one_line(capsys)


def test_one_table_of_several_is_named(fit, files, tmp_path, capsys):
    description = json.loads((files / 'metadata.json').read_text(encoding='utf-8'))
    description['tables']['other'] = {'columns': {'x': {'sdtype': 'numerical'}}}
    path = tmp_path / 'both.json'
    path.write_text(json.dumps(description), encoding='utf-8')
    assert main(fit('--public-domain', metadata=path)) == 2
    assert '--table-name' in one_line(capsys)
    assert main(fit('--public-domain', metadata=path, table_name='adult')) == 0


def test_a_table_of_generated_columns_only_needs_a_row_count(tmp_path, capsys):
    description = {'tables': {'t': {'columns': {'id': {'sdtype': 'id'}}}}}
    (tmp_path / 'm.json').write_text(json.dumps(description), encoding='utf-8')
    (tmp_path / 't.csv').write_text('id\na\nb\n', encoding='utf-8')
    output = tmp_path / 'out.csv'
    files = ['--metadata', str(tmp_path / 'm.json'), '--output', str(output), '--epsilon', '1']
    assert main(['fit', str(tmp_path / 't.csv'), *files]) == 2
    assert 'give --rows. (no privacy budget was spent)' in one_line(capsys)
    assert main(['fit', str(tmp_path / 't.csv'), *files, '--rows', '5']) == 0
    assert len(pd.read_csv(output)) == 5


def test_version_and_help(capsys):
    for arguments in (['--version'], ['--help'], ['fit', '--help'], ['demo', '--help']):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f'sdv-slicedp {__version__}')


@pytest.mark.skipif(os.name == 'nt', reason='Ctrl-C is sent as a POSIX signal')
def test_interrupting_is_one_line_and_says_what_was_spent(tmp_path):
    # In the background of a shell, programs ignore the signal from the start.
    heed = 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler)'
    program = f'{heed}; import sys; from sdv_slicedp.cli import main; sys.exit(main())'
    command = [sys.executable, '-c', program, 'demo', '--output-dir', str(tmp_path / 'demo')]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith('sdv-slicedp: fit ...'):
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert 'Traceback' not in rest
    last = rest.splitlines()[-1]
    assert last.startswith('sdv-slicedp: interrupted (')
    assert 'spent' in last
    assert not (tmp_path / 'demo' / 'synthetic.csv').exists()
