"""What the README shows runs, as it stands there."""

import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from sdv_slicedp.cli import main
from sdv_slicedp.datasets import load_adult
from sdv_slicedp.release import Release

ROOT = Path(__file__).parent.parent
README = (ROOT / 'README.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'^```(\w+)\n(.*?)^```', README, re.MULTILINE | re.DOTALL)
SHELL = [line for kind, block in BLOCKS if kind == 'bash' for line in block.splitlines() if line]


def commands(program):
    """The arguments of every call of a program in the README's shell blocks."""
    for line in SHELL:
        for command in line.split(' && '):
            words = shlex.split(command)
            if Path(words[0]).name == program:
                yield words[1:]


def test_python_blocks_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in (block for kind, block in BLOCKS if kind == 'python'):
        exec(compile(code, 'README.md', 'exec'), names)
    assert len(names['synthetic']) == 50_000
    assert list(names['more']) == list(names['tables']['adult'])
    assert 'Privacy report' in capsys.readouterr().out
    assert (tmp_path / 'adult.release').exists()


def test_command_lines_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tables, metadata = load_adult()
    names = ['age', 'workclass', 'income']
    tables['adult'][names].head(2_000).to_csv('customers.csv', index=False)
    columns = {name: metadata.tables['adult'].columns[name] for name in names}
    description = {'tables': {'customers': {'columns': columns}}}
    Path('customers.json').write_text(json.dumps(description), encoding='utf-8')
    called = list(commands('sdv-slicedp'))
    assert {arguments[0] for arguments in called} == {'demo', 'fit'}
    for arguments in called:
        # Only the rows of the demo are cut, to save time.
        assert main([*arguments, *(['--rows', '500'] if arguments == ['demo'] else [])]) == 0
    for name in ('synthetic.csv', 'customers.release', 'report.html'):
        assert Path(name).exists()
    assert {path.name for path in Path('sdv-slicedp-demo').iterdir()} == {
        'synthetic.csv',
        'adult.release',
        'report.html',
    }
    demo = Path('sdv-slicedp-demo')
    assert len(pd.read_csv(demo / 'synthetic.csv')) == 500
    assert len(Release.load(demo / 'adult.release').columns) == 15
    assert 'Privacy' in (demo / 'report.html').read_text(encoding='utf-8')
    out = capsys.readouterr().out
    assert 'quality' in out and 'Timings' in out


def test_continuous_integration_installs_as_the_readme_says():
    installed = [arguments for arguments in commands('pip') if '.[test]' in arguments]
    assert installed == [['install', '-c', 'constraints.txt', '.[test]']]
    script = (ROOT / '.ci' / 'run').read_text(encoding='utf-8')
    assert "install --quiet -c constraints.txt '.[test]'" in script


@pytest.mark.parametrize('link', sorted(set(re.findall(r'\]\((?!https?:)([^)#]+)\)', README))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
