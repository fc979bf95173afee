"""The installed package: version, entry points, and any order of imports."""

import subprocess
import sys
import tempfile
from importlib.metadata import entry_points, version

import sdv_slicedp

FIRST_IMPORTS = [
    'from sdv.single_table import SlicedDPSynthesizer',
    'from sdv_slicedp import SlicedDPSynthesizer; from sdv.single_table import SlicedDPSynthesizer',
    'import sdv_slicedp; import sdv; sdv.single_table.SlicedDPSynthesizer',
    'import sdv; import sdv_slicedp; sdv.single_table.SlicedDPSynthesizer',
    'import sdv_slicedp.release; from sdv.single_table import SlicedDPSynthesizer',
    'import sdv_slicedp.synthesizer; from sdv.single_table import SlicedDPSynthesizer',
    'import sdv_slicedp.cli; from sdv.single_table import SlicedDPSynthesizer',
]


def run_python(*arguments):
    """Run a fresh interpreter outside the repository, so that it imports what is installed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_one_version_everywhere():
    assert version('sdv-slicedp') == sdv_slicedp.__version__


def test_what_it_exports_is_there():
    assert sdv_slicedp.__all__
    assert all(getattr(sdv_slicedp, name) is not None for name in sdv_slicedp.__all__)


def test_entry_points_load():
    (plugin,) = (e for e in entry_points(group='sdv_modules') if 'SlicedDP' in e.name)
    assert plugin.load() is sdv_slicedp.SlicedDPSynthesizer
    (script,) = entry_points(group='console_scripts', name='sdv-slicedp')
    assert callable(script.load())


ANY_ORDER = """
import sys

for statements in sys.argv[1:]:
    # Their libraries stay: they take seconds, and know neither SDV nor the package.
    for name in [n for n in sys.modules if n.split('.')[0] in ('sdv', 'sdv_slicedp')]:
        del sys.modules[name]
    exec(statements, {})
    import sdv.single_table, sdv_slicedp
    assert sdv.single_table.SlicedDPSynthesizer is sdv_slicedp.SlicedDPSynthesizer, statements
"""


def test_the_synthesizer_is_in_sdv_whatever_is_imported_first():
    finished = run_python('-W', 'error::UserWarning', '-c', ANY_ORDER, *FIRST_IMPORTS)
    assert finished.returncode == 0, finished.stderr


def test_importing_is_silent_light_and_leaves_global_randomness_alone():
    program = (
        'import random, sys, numpy as np, torch; '
        'before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state(); '
        'import sdv_slicedp; '
        'assert before[0] == random.getstate(); '
        'assert before[1] == np.random.get_state()[1].tolist(); '
        'assert torch.equal(before[2], torch.get_rng_state()); '
        'assert "dp_accounting" not in sys.modules; assert "sdv_slicedp.cli" not in sys.modules'
    )
    finished = run_python('-c', program)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, '', '')


def test_importing_costs_no_more_libraries_than_sdv_itself():
    """SDV brings torch, pandas, SciPy and plotly; the package must add none to them."""
    program = (
        'import importlib.metadata as m, sys; real = m.entry_points; '
        'm.entry_points = lambda **k: () if k.get("group") == "sdv_modules" else real(**k); '
        'import sdv; assert not hasattr(sdv.single_table, "SlicedDPSynthesizer"); '
        'before = {name.split(".")[0] for name in sys.modules}; '
        'import sdv_slicedp; '
        'new = {name.split(".")[0] for name in sys.modules} - before; '
        'assert new - set(sys.stdlib_module_names) == {"sdv_slicedp"}, new; '
        'late = ("page", "plots", "release_plot", "evaluation", "template_command"); '
        'assert not {f"sdv_slicedp.{name}" for name in late} & set(sys.modules)'
    )
    finished = run_python('-c', program)
    assert finished.returncode == 0, finished.stderr
