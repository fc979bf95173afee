"""Files with random damage: read, or refused by a documented error. ``fuzz.py`` tries many more."""

from __future__ import annotations

import random

import pytest
from fuzz import (
    CANARY,
    METADATA,
    TABLE,
    TARGETS,
    fuzz,
    read_metadata,
    read_release,
    read_table,
    releases,
)
from mutations import damaged, repacked

from sdv_slicedp import files, release_file


@pytest.mark.parametrize(('target', 'inputs'), [('release', 150), ('table', 150)])
def test_damaged_files_are_read_or_refused(target, inputs):
    accepted, refused = fuzz(target, inputs, seed=0)
    assert accepted and refused


@pytest.mark.slow
@pytest.mark.parametrize('target', TARGETS)
def test_many_damaged_files_are_read_or_refused(target):
    accepted, refused = fuzz(target, 3000, seed=random.SystemRandom().randrange(2**32))
    assert accepted and refused


def test_the_good_files_are_read(tmp_path):
    assert all(read_release(content, tmp_path) for content in releases())
    assert read_metadata(METADATA, tmp_path)
    assert read_table(TABLE, tmp_path)
    assert not read_table(TABLE + b'\n1,2,3,4,5,6,7\n', tmp_path)


def test_damage_is_damage_and_comes_from_the_seed():
    content, _ = releases()
    for damage in (damaged, repacked):
        found = [damage(content, random.Random(seed)) for seed in (1, 1, 2)]
        assert found[0] == found[1] != found[2]


class TestTheFuzzerItself:
    """Faults that it must find."""

    def test_a_header_that_is_no_python(self, monkeypatch, tmp_path):
        """As numpy reads it: the fuzzer found that the error of its tokenizer was not expected."""
        few = tuple(fault for fault in release_file._FAULTS if fault.__name__ != 'TokenError')
        monkeypatch.setattr(release_file, '_FAULTS', few)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(Exception, match='EOF in multi-line'):
            fuzz('release', 3000, seed=1)
        content = (tmp_path / 'fuzz-crash').read_bytes()
        monkeypatch.undo()
        assert not read_release(content, tmp_path)

    def test_an_error_that_quotes_a_cell(self, monkeypatch, tmp_path):
        def quote(path, columns):
            raise ValueError(path.read_text(encoding='latin-1'))

        monkeypatch.setattr(files, 'read_table', quote)
        with pytest.raises(AssertionError, match='quotes a cell'):
            read_table(CANARY.encode(), tmp_path)
