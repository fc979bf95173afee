"""What the documentation shows runs, and what the code cites is there."""

import dataclasses
import json
import re
import shlex
from pathlib import Path

import pytest

from sdv_slicedp import (
    balancing,
    cli,
    column_laws,
    coupling,
    discovery,
    fitting,
    grid,
    head_regression,
    heads,
    hubs,
    neural,
    objectives,
    pooling,
    posterior,
    shrinkage,
    slice_pool,
    stages,
    training,
    training_plan,
)
from sdv_slicedp.projection_stages import ProjectionPlan
from sdv_slicedp.slices import HistogramPlan
from sdv_slicedp.training_plan import TrainingPlan

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / 'docs').glob('*.md'))
NOTEBOOKS = sorted((ROOT / 'docs' / 'notebooks').glob('*.ipynb'))
TEXTS = {page.name: page.read_text(encoding='utf-8') for page in PAGES}
FENCED = re.compile(r'^```(\w*)\n(.*?)^```', re.MULTILINE | re.DOTALL)
CITED = re.compile(r'\bEqs?\. \((\d+)\)(?: to \((\d+)\))?')
DEFINED = re.compile(r'\\tag\{(\d+)\}')


def blocks(name, kind):
    return [block for found, block in FENCED.findall(TEXTS[name]) if found == kind]


def commands(name):
    """Every command line of a page's shell blocks, as words."""
    lines = [line for block in blocks(name, 'bash') for line in block.splitlines()]
    return [shlex.split(part) for line in lines for part in line.split(' && ')]


def test_every_page_of_the_plan_is_there():
    assert set(TEXTS) == {
        'index.md',
        'conditional-sampling.md',
        'quickstart.md',
        'constraints.md',
        'method.md',
        'privacy.md',
        'benchmarks.md',
        'comparisons.md',
        'experiments.md',
        'licences.md',
        'mechanisms.md',
        'projection-accounting.md',
        'coming-from-ctgan.md',
        'choosing-epsilon.md',
        'public-domain.md',
        'release-workflow.md',
        'faq.md',
        'compatibility.md',
        'api.md',
    }


@pytest.mark.parametrize('name', [n for n in TEXTS if blocks(n, 'python')])
def test_python_blocks_run_one_after_another(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in blocks(name, 'python'):
        exec(compile(code, name, 'exec'), names)
    capsys.readouterr()


def test_the_site_has_every_page():
    # mkdocs fails for pages that are not there, and its strict build for pages left out.
    site = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    assert set(re.findall(r'^ +- ([\w-]+\.md)$', site, re.MULTILINE)) == set(TEXTS)


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run_and_hold_no_output(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads(path.read_text(encoding='utf-8'))
    cells = [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']
    # Rows of the real table could be in an output: there are none in the repository.
    assert not any(cell['outputs'] or cell['execution_count'] for cell in cells)
    names = {}
    for cell in cells:
        exec(compile(''.join(cell['source']), path.name, 'exec'), names)
    capsys.readouterr()


@pytest.mark.parametrize('name', TEXTS)
def test_command_lines_are_understood(name):
    for words in commands(name):
        if Path(words[0]).name == 'sdv-slicedp':
            assert callable(cli._parser().parse_args(words[1:]).prepare)
        elif Path(words[0]).name == 'python' and words[1] not in {'-m', '-X'}:
            assert (ROOT / words[1]).is_file()


def cited_equations():
    """``(file, number)`` of each equation of docs/method.md that the package cites.

    Equations of papers are cited as ``Eq. (n) of Authors`` or right after ``..., year),``.
    """
    for path in sorted((ROOT / 'sdv_slicedp').glob('*.py')):
        text = path.read_text(encoding='utf-8')
        for match in CITED.finditer(text):
            foreign = re.match(r'\s+of [A-Z]', text[match.end() :]) or re.search(
                r'(19|20)\d\d\),\s+$', text[: match.start()]
            )
            if not foreign:
                first, last = int(match[1]), int(match[2] or match[1])
                yield from ((path.name, number) for number in range(first, last + 1))


def test_cited_equations_exist():
    defined = {int(number) for number in DEFINED.findall(TEXTS['method.md'])}
    missing = {(name, number) for name, number in cited_equations() if number not in defined}
    assert not missing


def test_equations_are_numbered_once_and_those_of_the_code_are_cited():
    defined = [int(number) for number in DEFINED.findall(TEXTS['method.md'])]
    assert len(set(defined)) == len(defined)
    assert set(range(1, 33)) <= set(defined)
    cited = {number for _, number in cited_equations()}
    assert set(range(1, 13)) | set(range(18, 33)) <= cited


def test_the_search_for_citations_finds_them():
    assert [m.groups() for m in CITED.finditer('Eq. (6). Eqs. (9) to (11)')] == [
        ('6', None),
        ('9', '11'),
    ]


def defaults():
    """Name and default of each setting that the method page speaks of."""
    settings = [
        (field.name, getattr(plan, field.name))
        for plan in (HistogramPlan(), ProjectionPlan(), TrainingPlan())
        for field in dataclasses.fields(plan)
    ]
    constants = {
        'COARSE_SHARE': stages,
        'CORRECTION': stages,
        'ROOT_CELLS': grid,
        'BRANCHING': grid,
        'SIGNIFICANCE': pooling,
        'FALSE_ALARM': discovery,
        'SHARE_SCALES': column_laws,
        'SPLITS': column_laws,
        'SHRUNK_BELOW': shrinkage,
        'KEPT_FROM': shrinkage,
        'FEWEST_EPOCHS': training_plan,
        'MOST_EPOCHS': training_plan,
        'MUCH_NOISE': training_plan,
        'MOST_PULL': training_plan,
        'FEWEST_COMPONENTS': training_plan,
        'COMPONENTS_PER_EPOCH': training_plan,
        'GROWTH': training_plan,
        'GROWN_FROM': training_plan,
        'BETA': fitting,
        'GROWTH_SCATTER': fitting,
        'RENEWED_AFTER': fitting,
        'MOST_CELLS': hubs,
        'MOST_NAMED_CELLS': hubs,
        'JUDGES': hubs,
        'ROUNDS': hubs,
        'COUPLED_FROM': coupling,
        'SWEEPS': coupling,
        'CANDIDATES': posterior,
        'ROWS': head_regression,
        'STEPS': head_regression,
        'SWAP_STEPS': balancing,
        'MOST_BALANCED': balancing,
        'CELLS': head_regression,
        'MOST_HEADS': head_regression,
        'KEPT': heads,
        'STRATUM': heads,
        'MOST_STRETCHED': head_regression,
        'CANDIDATES_OF_A_ROW': heads,
        'FEW_LATENTS': neural,
        'MANY_LATENTS': neural,
        'ENOUGH': neural,
        'MOMENTS_SHARE': training,
        'CAUTION': slice_pool,
        'NODES_PER_SCALE': slice_pool,
        'FINE': slice_pool,
        'COARSE': slice_pool,
        'TEMPERATURE': objectives,
    }
    return dict(settings) | {name: getattr(module, name) for name, module in constants.items()}


def _written(value):
    if value is None or isinstance(value, str):
        return value or 'none'
    return str(value) if isinstance(value, tuple) else f'{value:g}'


def test_the_table_of_defaults_is_that_of_the_code():
    rows = re.findall(r'^\| `(\w+)` \| ([^|]+) \|', TEXTS['method.md'], re.MULTILINE)
    assert dict(rows) == {name: _written(value) for name, value in defaults().items()}


def anchors(text):
    headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    plain = (re.sub(r'[^\w\- ]', '', heading).strip().lower() for heading in headings)
    return {heading.replace(' ', '-') for heading in plain}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r'\]\((?!https?:)([^)\s]+)\)', TEXTS[page.name]):
        target, _, anchor = link.partition('#')
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), link
        if anchor:
            assert anchor in anchors(found.read_text(encoding='utf-8')), link
