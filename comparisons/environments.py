"""Virtual environments for baselines whose requirements contradict those of SDV."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from comparisons.archives import cache_folder
from comparisons.method import MissingExtraError

REQUIREMENTS = {'dpmm': ('dpmm==0.1.9',)}
"""What is installed in each environment, by name; what these need, they pin themselves."""
PYTHONS = {'dpmm': ('3.10', '3.11')}
_COMPLETE = '.complete'


def python_of(name: str) -> Path:
    """The interpreter of an environment, which is made at the first call.

    Args:
        name: Of :data:`REQUIREMENTS`.

    Raises:
        MissingExtraError: If there is no fitting Python, or if the installation fails.
    """
    base, version = _base_python(name)
    folder = _folder(name, version)
    if not (folder / _COMPLETE).is_file():
        _make(name, base, folder)
    return _interpreter(folder)


def is_made(name: str) -> bool:
    """Whether :func:`python_of` would return without installing anything."""
    try:
        return (_folder(name, _base_python(name)[1]) / _COMPLETE).is_file()
    except MissingExtraError:
        return False


def _folder(name: str, version: str) -> Path:
    wanted = '\n'.join([version, *REQUIREMENTS[name]])
    return cache_folder('environments') / hashlib.sha256(wanted.encode()).hexdigest()[:16]


def _base_python(name: str) -> tuple[str, str]:
    """The running Python if it fits, else one on the path; and its version."""
    versions = PYTHONS[name]
    running = '{}.{}'.format(*sys.version_info)
    if running in versions:
        return sys.executable, running
    for version in reversed(versions):
        path = shutil.which(f'python{version}')
        if path:
            return path, version
    raise MissingExtraError(
        f'{name} needs Python {" or ".join(versions)}: this is {running}, and none is on the path.'
    )


def _make(name: str, base: str, folder: Path) -> None:
    """Build beside ``folder`` and move: another process sees all of it or nothing."""
    print(f'Installing {" ".join(REQUIREMENTS[name])} into {folder}', file=sys.stderr)
    part = Path(tempfile.mkdtemp(prefix=f'{folder.name}.', suffix='.part', dir=folder.parent))
    try:
        _run(name, [base, '-m', 'venv', str(part)])
        install = [str(_interpreter(part)), '-m', 'pip', 'install', '--quiet']
        _run(name, [*install, *REQUIREMENTS[name]])
        (part / _COMPLETE).touch()
        try:
            part.rename(folder)
        except OSError:
            if not (folder / _COMPLETE).is_file():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith('ERROR')] or lines or ['no message']
        raise MissingExtraError(f'Cannot install {name} in its own environment: {errors[-1]}')


def _interpreter(folder: Path) -> Path:
    inside = 'Scripts/python.exe' if os.name == 'nt' else 'bin/python'
    return folder / inside
