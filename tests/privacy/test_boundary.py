"""Where private rows can be touched, read from the source: which module may import what."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from worlds import QUICK, TABLE, first_world, make_synthesizer

import sdv_slicedp
from sdv_slicedp.generator import MixtureModel
from sdv_slicedp.neural import NeuralModel
from sdv_slicedp.release import Release
from sdv_slicedp.training import train
from sdv_slicedp.training_plan import TrainingPlan

PACKAGE = sdv_slicedp.__name__
FOLDER = Path(sdv_slicedp.__file__).parent

AUDIT = {'attacker', 'audit_steps'}
CONSTRAINED = {'constraint_checks', 'constrained', 'synthesizer'}
MAY_IMPORT = {
    # Aggregates rows and draws noise.
    'curator': {'mechanism', *AUDIT},
    # Asks the curator.
    'mechanism': {'synthesizer', *AUDIT},
    # Chooses the queries of the mechanism.
    'stages': {'mechanism', 'projection_stages', 'table_stages', *AUDIT},
    'table_stages': {'mechanism', *AUDIT},
    'projection_stages': {'mechanism', 'synthesizer'},  # which only hands a plan over
    # The third only sorts released values.
    'discovery': {'curator', 'stages', 'joint_columns', *AUDIT},
    # Attacks the mechanism on tables of its own.
    'attacker': AUDIT,
    'audit_steps': {'audit', 'audit_command'},
    'audit': {'audit_command'},
    'audit_canaries': {'audit_command'},
    'audit_command': {'cli'},
    # Maps rows, one at a time.
    'encoding': {'hooks', 'transformers'},
    'frames': {'encoding', 'hooks', 'synthesizer', 'record_maps', 'joint_columns', 'orders'},
    'orders': {'record_maps', 'constraints', 'constraint_checks'},
    'record_maps': {'joint_columns', 'constraints', 'conditional_sampling', *CONSTRAINED},
    'joint_columns': {'constraints', 'constraint_checks'},
    'constraints': CONSTRAINED,
    'constraint_checks': {'constrained'},
    'constrained': {'synthesizer'},
    'hooks': {'constrained', 'synthesizer'},
    'validation': {'hooks', 'constrained', 'constraints', 'saved_report', 'synthesizer'},
    # Reads real rows for a report that is not private, and says so.
    'evaluation': {'page'},
    'page': {'fit_command', 'saved_report'},
    'saved_report': {'synthesizer'},
}
"""Who may import the modules that private rows pass through."""
AFTER = (
    'release',
    'levels',
    'release_plot',
    'release_file',
    'release_manifest',
    'json_records',
    'artefact',
    'projection',
    'cells',
    'moments',
    'slice_pool',
    'slice_energy',
    'f_divergence',
    'grid_divergence',
    'density_ratio',
    'fitting',
    'objectives',
    'pair_laws',
    'models',
    'neural',
    'networks',
    'sliced_training',
    'progress',
    'column_laws',
    'denoising',
    'redenoising',
    'hubs',
    'heads',
    'head_regression',
    'balancing',
    'coupling',
    'drawing',
    'posterior',
    'shrinkage',
    'pooling',
    'divergence',
    'generator',
    'training',
    'training_plan',
    'losses',
    'accounting',
    'composition',
    'spending',
    'projection_privacy',
    'projection_bounds',
    'gaussian_mixture',
    'ledger',
    'history',
    'reports',
    'report_text',
)
"""What works from the release and public facts alone."""
SEEDABLE = {'default_rng', 'Generator', 'SeedSequence', 'PCG64', 'RandomState'}
"""What of ``numpy.random`` is not the global stream."""
TORCH_DRAWS = {
    *('rand', 'randn', 'randint', 'randperm', 'normal', 'bernoulli', 'multinomial', 'poisson'),
    *('rand_like', 'randn_like', 'randint_like'),
}
ENTROPY = {'urandom', 'getrandom'}


@cache
def sources() -> dict[str, ast.Module]:
    return {path.stem: ast.parse(path.read_text('utf-8')) for path in FOLDER.rglob('*.py')}


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        typing_only = isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.dump(node.test)
        if not typing_only:
            yield node
            yield from run_time_nodes(node)


@cache
def imported_modules(tree: ast.AST) -> set[str]:
    """Modules of the package that a module imports, at any place."""
    found: set[str] = set()
    for node in run_time_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {n.name.split('.')[1] for n in node.names if n.name.startswith(PACKAGE + '.')}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'imports are absolute'
            if node.module == PACKAGE:
                found |= {alias.name for alias in node.names}
            elif node.module and node.module.startswith(PACKAGE + '.'):
                found.add(node.module.split('.')[1])
    return found


@cache
def used_names(tree: ast.AST) -> set[str]:
    """Names that a module imports or reads off something, such as ``noise.discrete_gaussian``."""
    found = set()
    for node in run_time_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # getattr(noise, 'discrete_gaussian')
    return found


def importers(of: str, modules: dict[str, ast.Module]) -> set[str]:
    return {name for name, tree in modules.items() if of in imported_modules(tree)}


def reached_from(start: str, modules: dict[str, ast.Module]) -> set[str]:
    """Modules of the package that importing one module imports in the end."""
    reached, waiting = {start}, [start]
    while waiting:
        new = (imported_modules(modules[waiting.pop()]) & set(modules)) - reached
        reached |= new
        waiting += new
    return reached


def drawing_functions(noise: ast.Module) -> set[str]:
    """Functions of ``noise.py`` that read entropy, directly or through another one."""
    calls = {
        node.name: {
            n.id if isinstance(n, ast.Name) else n.attr
            for n in ast.walk(node)
            if isinstance(n, ast.Name | ast.Attribute)
        }
        for node in noise.body
        if isinstance(node, ast.FunctionDef)
    }
    drawing = set(ENTROPY)
    while new := {name for name, used in calls.items() if used & drawing} - drawing:
        drawing |= new
    return drawing - ENTROPY


def row_functions(modules: dict[str, ast.Module]) -> set[str]:
    """Functions that take tables or columns of pandas."""
    return {
        node.name
        for tree in modules.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs)
        if argument.annotation is not None
        and any(kind in ast.unparse(argument.annotation) for kind in ('DataFrame', 'Series'))
    }


def global_randomness(tree: ast.AST) -> list[str]:
    """Uses of random streams that are not an object of their own.

    Within ``torch.random.fork_rng``, the global stream is put aside.
    """
    found = []
    forks = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) == 'torch.random.fork_rng'
    }
    for node in run_time_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names}
            module = getattr(node, 'module', None)
            if 'random' in names | {module} or (module == 'numpy.random' and names - SEEDABLE):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Attribute) and node not in forks:
            text = ast.unparse(node)
            if text.startswith(('np.random.', 'numpy.random.')) and node.attr not in SEEDABLE:
                found.append(text)
            if text in {'torch.manual_seed', 'torch.seed', 'torch.random', 'torch.set_rng_state'}:
                found.append(text)
            if node.attr in {'set_random_states', 'manual_seed_all'}:
                found.append(text)
        elif isinstance(node, ast.Call):
            text = ast.unparse(node.func)
            drawn = text.startswith('torch.') and text.removeprefix('torch.') in TORCH_DRAWS
            if drawn and 'generator' not in {keyword.arg for keyword in node.keywords}:
                found.append(ast.unparse(node))
    return found


MAY_DRAW = {
    'discrete_gaussian': {'curator'},
    'random_order': {'curator'},
    'normals': {'directions'},
    'draw_directions': {'curator'},
}
"""Who may use what comes from the entropy of the system."""


def test_only_the_curator_draws_noise_and_only_directions_draw_normals():
    drawing = drawing_functions(sources()['noise'])
    assert {'discrete_gaussian', '_entropy'} <= drawing
    assert not drawing & {'admissible_sigma', 'partition_threshold', 'sampling_error'}
    public = {name for name in drawing if not name.startswith('_')}
    assert public == set(MAY_DRAW) - {'draw_directions'}
    for name in drawing - public:
        assert not users_of(name) - {'noise'}, name
    for name, allowed in MAY_DRAW.items():
        assert users_of(name) - {'noise', 'directions'} | allowed == allowed, name
        assert allowed <= users_of(name), name


def users_of(name: str) -> set[str]:
    return {module for module, tree in sources().items() if name in used_names(tree)}


def test_only_the_noise_reads_entropy():
    users = {name for name, tree in sources().items() if used_names(tree) & ENTROPY}
    assert users == {'noise'}


@pytest.mark.parametrize('module', MAY_IMPORT)
def test_private_modules_are_imported_by_few(module):
    assert module in sources()
    assert importers(module, sources()) <= MAY_IMPORT[module]


@pytest.mark.parametrize('module', AFTER)
def test_nothing_after_the_release_can_reach_the_rows(module):
    reached = reached_from(module, sources())
    assert not reached & set(MAY_IMPORT)
    others = {name: sources()[name] for name in (reached & set(sources())) - set(AFTER)}
    assert not used_names(sources()[module]) & row_functions(others)


def test_every_module_has_its_side():
    # A new module must be put on one of the lists, or here if it is on neither side.
    neither = {
        *(
            '__init__',
            'cli',
            'datasets',
            'files',
            'fit_command',
            'atomic',
            'plots',
            'options',
            'errors',
            'template',
            'template_command',
        ),
        *('synthesizer', 'transformers', 'schema', 'noise', 'slices', 'grid', 'domain'),
        *('dtypes', 'datetimes', 'embedding', 'directions', 'audit_statistics'),
        *('conditions', 'conditional_sampling', 'declared_combinations'),
    }
    assert set(sources()) - set(MAY_IMPORT) - set(AFTER) <= neither


@pytest.mark.parametrize('module', sources())
def test_no_global_random_stream_is_used(module):
    assert global_randomness(sources()[module]) == []


def test_the_rows_are_in_no_default_and_no_global():
    for name, tree in sources().items():
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Global), name


def test_training_takes_a_release_and_public_settings():
    hints = typing.get_type_hints(train)
    hints.pop('return')
    public = (str, int, float, bool, type(None), TrainingPlan, torch.nn.Module)
    public += (MixtureModel, NeuralModel)  # trained before, from a release
    release = [name for name, kind in hints.items() if kind is Release]
    settings = [name for name in hints if name not in release]
    assert release == ['release'] and set(hints) == set(inspect.signature(train).parameters)
    for name in settings:
        assert set(typing.get_args(hints[name]) or (hints[name],)) <= set(public), name


@pytest.mark.parametrize('rows', [pd.DataFrame({'x': [1.0]}), np.ones((3, 2)), {}])
def test_training_refuses_rows(rows):
    with pytest.raises((TypeError, AttributeError)):
        train(rows)


IN_A_FRESH_PROCESS = """
import sys
from sdv_slicedp import Release
from sdv_slicedp.training import train
model = train(Release.load(sys.argv[1]), epochs={epochs}, n_components={n_components}, seed=0)
model.set_random_state(7)
sys.stdout.write(model.sample(40).to_json(double_precision=15))
"""


def test_a_fresh_process_gets_the_same_rows_from_the_saved_release(tmp_path):
    """Training and sampling need nothing that the fitting process knows beside the release."""
    synthesizer = make_synthesizer('first', False, epsilon=5.0)
    synthesizer.fit({TABLE: first_world()})
    synthesizer._model.set_random_state(7)
    here = synthesizer._model.sample(40)
    path = tmp_path / 'people.release'
    synthesizer.get_release().save(path)
    path_variable = os.pathsep.join([str(FOLDER.parent), *sys.path])
    there = subprocess.run(
        [sys.executable, '-c', IN_A_FRESH_PROCESS.format(**QUICK), path],
        env={**os.environ, 'PYTHONPATH': path_variable},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout == here.to_json(double_precision=15)


class TestTheTestsThemselves:
    """Sources that cross the boundary must be caught."""

    @pytest.mark.parametrize(
        'source',
        [
            'from sdv_slicedp.noise import discrete_gaussian',
            'from sdv_slicedp import noise\nnoise.discrete_gaussian(1, 1.0)',
            "from sdv_slicedp import noise\ngetattr(noise, 'discrete_gaussian')",
        ],
    )
    def test_noise_drawn_elsewhere_is_caught(self, source):
        assert used_names(ast.parse(source)) & drawing_functions(sources()['noise'])

    @pytest.mark.parametrize(
        'source',
        [
            'from sdv_slicedp.mechanism import measure',
            'import sdv_slicedp.mechanism as m',
            'from sdv_slicedp import mechanism',
            'def later():\n    from sdv_slicedp import mechanism',
            'from sdv_slicedp.synthesizer import SlicedDPSynthesizer',
        ],
    )
    def test_a_way_back_to_the_rows_is_caught(self, source):
        twin = {**sources(), 'divergence': ast.parse(source)}
        assert 'mechanism' in reached_from('training', twin)

    def test_what_only_type_checkers_import_is_no_way_back(self):
        source = 'if TYPE_CHECKING:\n    from sdv_slicedp.mechanism import Curator'
        assert imported_modules(ast.parse(source)) == set()

    def test_functions_of_rows_are_known(self):
        found = row_functions(sources())
        assert {'measure', 'grid_positions', 'category_codes', 'check_table'} <= found
        assert not {'train', 'denoise', 'discrete_gaussian'} & found

    @pytest.mark.parametrize(
        'source',
        [
            'import random',
            'from random import gauss',
            'np.random.seed(0)',
            'x = np.random.normal()',
            'from numpy.random import normal',
            'torch.manual_seed(0)',
            'torch.random.manual_seed(0)',
            'torch.randn(3)',
        ],
    )
    def test_a_global_random_stream_is_caught(self, source):
        assert global_randomness(ast.parse(source))

    @pytest.mark.parametrize(
        'source',
        [
            'torch.random.fork_rng(devices=[])',
            'np.random.default_rng(seed)',
            'torch.randn(3, generator=stream)',
            'stream.seed()',
        ],
    )
    def test_a_stream_of_its_own_is_not(self, source):
        assert not global_randomness(ast.parse(source))
