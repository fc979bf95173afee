import json
from itertools import islice

import pytest

pytest.importorskip('opacus')
from comparisons import datasets, registry, tuning
from comparisons.__main__ import main
from comparisons.budget import OverspentError
from comparisons.scores import Task


@pytest.fixture(scope='module')
def task():
    table, metadata, target = datasets.load('adult')
    train, test = datasets.split(table.head(400))
    return Task(train, test, metadata, target, regression=False)


@pytest.mark.parametrize('method', tuning.CHOICES)
def test_settings_begin_with_the_default_and_differ(method):
    found = list(islice(tuning.drawn(method, 6), 6))
    assert found == list(tuning.drawn(method, 6))
    assert all(found[0][name] == getattr(registry.method(method), name) for name in found[0])
    assert len({json.dumps(setting) for setting in found}) == 6


def test_there_are_no_more_settings_than_choices(monkeypatch):
    monkeypatch.setitem(tuning.CHOICES, 'dptvae', {'latent': (8, 16), 'epochs': (20, 40)})
    assert len(list(tuning.drawn('dptvae', 100))) == 4


def test_a_search_is_recorded(tmp_path, task):
    output = tmp_path / 'new' / 't.jsonl'
    small = {
        'dptvae': {'batch_size': 100, 'epochs': 1, 'hidden': [8]},
        'dpmerf': {'frequencies': 20, 'steps': 2},
    }
    settings = {method: tuning.changed(method, [change]) for method, change in small.items()}

    records = tuning.tune(task, 'adult', settings, output=output)

    assert [json.loads(line) for line in output.read_text().splitlines()] == records
    for record in records:
        assert 0.9 < record['spent'] <= 1.001
        assert record['objective'] == pytest.approx(record['auc'] - record['tv2'])
        assert record['setting'].items() > small[record['method']].items()
    found = tuning.best([records[0], {**records[0], 'objective': -1}, records[1]])
    assert found == {'dptvae': records[0], 'dpmerf': records[1]}


def test_methods_are_told_the_target_as_in_the_comparison(task, monkeypatch):
    told = []

    def fit(self, *_, **__):
        told.append(self.target)
        raise OverspentError

    monkeypatch.setattr(type(registry.method('dpmerf')), 'fit', fit)
    with pytest.raises(OverspentError):
        tuning.trial(task, 'dpmerf', {}, 1.0, 1e-5, 0)
    assert told == ['income']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--methods', 'mst'], "'mst' is not searched; choose from dpctgan"),
        (['--dataset', 'nope'], "no data set 'nope'; choose from adult"),
        (['--epsilon', 'nan'], '--epsilon must be positive'),
        (['--rows', '0'], '--rows must be positive'),
        (['--count', '0'], '--count must be positive'),
        (['--csv', 't.csv'], '--csv and --metadata belong together'),
        (['--methods', 'dptvae', '--settings', '{"epoch": 3}'], "no setting 'epoch'; choose"),
    ],
)
def test_bad_input_is_one_line(arguments, message, tmp_path, capsys):
    assert main(['tune', *arguments, '--output', str(tmp_path / 't.jsonl')]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


def test_a_setting_is_a_json_object(capsys):
    with pytest.raises(SystemExit):
        main(['tune', '--settings', '3'])
    assert 'is not a JSON object' in capsys.readouterr().err
