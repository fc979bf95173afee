"""Licences of what the package depends on directly, as a Markdown table.

python benchmarks/licences.py > docs/licences.md
"""

from __future__ import annotations

import re
from importlib import metadata

HEADING = """# Licences of the dependencies

What the package imports, as its authors state it in the installed version. Made by
`python benchmarks/licences.py > docs/licences.md`. SDV and RDT are under the Business Source
License: they are imported, and no code of theirs is copied.

| package | version | licence |
|---|---|---|"""


def licence_of(name: str) -> str:
    """The SPDX expression, else the classifier, else the first line of the text."""
    described = metadata.metadata(name)
    classified = [c for c in described.get_all('Classifier') or [] if c.startswith('License')]
    text = described.get('License-Expression') or (classified or [described.get('License', '?')])[0]
    return str(text).split(' :: ')[-1].splitlines()[0]


def required(package: str) -> list[str]:
    """Names of the packages that are installed with it."""
    lines = [line for line in metadata.requires(package) or [] if 'extra ==' not in line]
    return sorted((re.split(r'[^\w.-]', line)[0] for line in lines), key=str.lower)


if __name__ == '__main__':
    print(HEADING)
    for name in required('sdv-slicedp'):
        print(f'| {name} | {metadata.version(name)} | {licence_of(name)} |')
