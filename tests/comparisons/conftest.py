"""The comparisons are scripts of the repository, not of the installed package."""

import sys
from pathlib import Path

import pytest

from sdv_slicedp.datasets import load_adult

sys.path.insert(0, str(Path(__file__).parents[2]))


@pytest.fixture(scope='session')
def adult():
    """300 rows of Adult, and its metadata."""
    tables, metadata = load_adult()
    return tables['adult'].head(300).reset_index(drop=True), metadata
