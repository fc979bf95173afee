import copy
from pathlib import Path

from comparisons import figures, report, tables
from comparisons.cells import read_records

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / 'comparisons' / 'results'
TABLES = ('adult', 'credit_default', 'census_kdd')


def record(method, epsilon, seed, auc, private=True, **more):
    about = {
        'title': method.title(), 'private': private, 'neighboring_relation': 'add_or_remove_one',
        'accountant': 'exact', 'hyperparameters': {'steps': 3}, 'notes': 'a <b> note',
        'reference': '',
    }  # fmt: skip
    scores = {
        'auc': auc, 'tv2': 1 - auc, 'sdmetrics': auc, 'r2': None,
        'columns': {'age': auc, 'sex': None}, 'pairs': [['age', 'sex', auc]],
    }  # fmt: skip
    cell = {'dataset': 'd', 'method': method, 'epsilon': epsilon, 'delta': 1e-5, 'seed': seed}
    return {
        'cell': {**cell, 'rows': None}, 'status': 'done', 'about': about, 'scores': scores,
        'versions': {'sdv': '2'}, 'fit_s': 1.0, 'fit_cpu_s': 2.0, 'sample_s': 0.1,
        'peak_memory_mb': 100.0, 'spent_epsilon': epsilon, 'train_rows': 10, 'wall_s': 3.0, **more,
    }  # fmt: skip


RECORDS = [
    *(record('ours', 1.0, seed, auc) for seed, auc in enumerate((0.9, 0.7, 0.8))),
    record('theirs', 1.0, 0, 0.85),
    record('real', None, 0, 0.95, private=False),
    {**record('slow', 1.0, 0, 0.5), 'status': 'timeout', 'error': 'stopped after 5 s'},
]


def test_medians_ranges_and_winners():
    text = report.markdown(tables.groups_of(RECORDS))
    (ours,) = [line for line in text.splitlines() if line.startswith('| Ours | 3 | 0.800')]
    assert '0.800 (0.700 to 0.900)' in ours
    assert '**' not in ours
    (theirs,) = [line for line in text.splitlines() if line.startswith('| Theirs | 1 | **0.850')]
    assert '**0.150**' in theirs
    (real,) = [line for line in text.splitlines() if line.startswith('| Real | 1 | 0.950')]
    assert '**' not in real
    assert 'slow, epsilon 1.0, seed 0: timeout: stopped after 5 s' in text
    assert 'R2 |' not in text


def test_the_summary_has_all_methods_in_order_and_the_best_of_equal_rows():
    fewer = record('ours', 1.0, 0, 0.6)
    fewer = {**fewer, 'cell': {**fewer['cell'], 'rows': 5}, 'train_rows': 5}
    other = record('theirs', 3.0, 0, 0.99)
    lines = tables.summary(tables.groups_of([*RECORDS, fewer, other]), 1.0).splitlines()
    assert lines[2:] == [
        '| d | Theirs | 10 | 1 | **0.850** | **0.150** | **0.850** | 2 |',
        '| d | Ours | 10 | 3 | 0.800 | 0.200 | 0.800 | 2 |',
        '| d | Real (not private) | 10 | 1 | 0.950 | 0.050 | 0.950 | 2 |',
        '| d | Ours | 5 | 1 | **0.600** | **0.400** | **0.600** | 2 |',
    ]


def test_versions_of_an_environment_are_apart_from_ours():
    own = {'environment_versions': {'numpy': '1.26', 'dpmm': '0.1.9'}}
    records = [record('aim', 1.0, 0, 0.5, **own), record('ours', 1.0, 0, 0.6)]
    text = report.markdown(tables.groups_of(records))
    assert text.count('- versions: sdv 2\n') == 2
    assert text.count('versions in its own environment') == 1
    assert '- versions in its own environment: numpy 1.26, dpmm 0.1.9\n' in text


def test_scores_that_are_missing_are_shown_as_such():
    records = copy.deepcopy(RECORDS)
    records[3]['scores']['auc'] = None
    text = report.markdown(tables.groups_of(records))
    (theirs,) = [line for line in text.splitlines() if line.startswith('| Theirs | 1 | **0.850')]
    assert '| - |' in theirs


def test_the_page_is_escaped_and_loads_nothing():
    page = report.page(tables.groups_of(RECORDS))
    body = page[page.index('</head>') :]
    assert 'a &lt;b&gt; note' in body
    assert '<b>' not in body
    assert 'src="http' not in page
    assert body.count('plotly-graph-div') >= 8


def test_the_page_has_no_markdown_left_and_ranges_below_medians():
    page = report.page(tables.groups_of(RECORDS))
    body = page[page.index('</head>') :]
    assert '<h2>d</h2>' in body
    assert '##' not in body
    assert '<td>0.800<small>0.700 to 0.900</small></td>' in body


def test_a_method_has_one_colour_in_all_figures():
    records = [
        {**record(m, 1.0, 0, 0.6), 'cell': {**record(m, 1.0, 0, 0)['cell'], 'dataset': d}}
        for d, methods in (('d', ('aim', 'mst')), ('e', ('mst', 'dpmerf', 'aim')))
        for m in methods
    ]
    colours = {}
    for figure in figures.all_of(tables.groups_of(records)):
        for line in figure.data:
            if line.type == 'scatter':
                colours.setdefault(line.name, set()).add(line.line.color or line.marker.color)
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours) == 3


def test_groups_with_different_rows_are_apart():
    records = [*RECORDS, record('ours', 1.0, 0, 0.6)]
    records[-1]['cell'] = {**records[-1]['cell'], 'rows': 10}
    groups = [g for g in tables.groups_of(records) if g.method == 'ours']
    assert [len(g.done) for g in groups] == [3, 1]
    assert groups[1].title == 'Ours (10 rows)'

    text = report.markdown(tables.groups_of(records))
    alone = text[text.index('### d, 10 rows, epsilon 1') :]
    assert '| Ours (10 rows) | 1 | **0.600**' in alone
    assert 'Theirs' not in alone[: alone.index('###', 5)]


def test_what_is_committed_and_quoted_is_what_the_results_say():
    groups = tables.groups_of(read_records([RESULTS / f'{name}.jsonl' for name in TABLES]))
    assert (RESULTS / 'report.md').read_text(encoding='utf-8') == report.markdown(groups)
    lines = tables.summary(groups, report.SUMMARY_EPSILON).splitlines()
    for page in ('README.md', 'docs/comparisons.md'):
        text = (ROOT / page).read_text(encoding='utf-8').splitlines()
        quoted = [line for line in text if line.startswith(tuple(f'| {name} |' for name in TABLES))]
        assert len(quoted) > 5
        assert set(quoted) <= set(lines), page
