import json
from itertools import islice

import pytest

pytest.importorskip('opacus')
from comparisons import datasets, tuning
from comparisons.methods.dptvae import DPTVAE
from comparisons.scores import Task


@pytest.mark.parametrize('method', tuning.STARTS)
def test_settings_begin_with_the_default_and_differ(method):
    found = list(islice(tuning.settings(method, 6), 6))
    assert found == list(tuning.settings(method, 6))
    assert all(found[0][name] == getattr(tuning.STARTS[method], name) for name in found[0])
    assert len({json.dumps(setting) for setting in found}) == 6


def test_a_search_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setitem(tuning.STARTS, 'dptvae', DPTVAE(batch_size=100, epochs=1, hidden=(8,)))
    table, metadata, target = datasets.load('adult')
    train, test = datasets.split(table.head(400))
    task = Task(train, test, metadata, target, regression=False)
    output = tmp_path / 'new' / 't.jsonl'

    records = tuning.tune(task, 'adult', methods=['dptvae'], count=1, output=output)

    assert [json.loads(line) for line in output.read_text().splitlines()] == records
    (record,) = records
    assert 0.9 < record['spent'] <= 1.001
    assert record['objective'] == pytest.approx(record['auc'] - record['tv2'])
    assert tuning.best([record, {**record, 'objective': -1}])['dptvae'] == record
