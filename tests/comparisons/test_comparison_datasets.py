import hashlib
import io
import zipfile
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
from sdv.metadata import Metadata

from comparisons import archives, datasets
from comparisons.archives import Archive, DownloadError
from comparisons.catalogue import DATASETS
from comparisons.public_domain import public_columns
from sdv_slicedp.files import load_metadata


def packed(text):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as archive:
        archive.writestr('folder/t.csv', text)
    return content.getvalue()


def sha(content):
    return hashlib.sha256(content).hexdigest()


CONTENT = packed('a\n1\n')
PINNED = Archive('p', 'p-1-py3-none-any.whl', sha(CONTENT), {'folder/t.csv': sha(b'a\n1\n')})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('SDV_SLICEDP_CACHE', str(tmp_path))
    return tmp_path / 'datasets'


def test_an_archive_is_fetched_once(monkeypatch, cache):
    fetched = []
    monkeypatch.setattr(archives, '_fetch', lambda archive: fetched.append(1) or CONTENT)
    assert archives.read_members(PINNED) == [b'a\n1\n']
    assert archives.read_members(PINNED) == [b'a\n1\n']
    assert len(fetched) == 1
    assert [path.name for path in cache.iterdir()] == [PINNED.filename]


def test_another_archive_than_the_pinned_one_is_refused(monkeypatch, cache):
    monkeypatch.setattr(archives, '_fetch', lambda archive: packed('a\n2\n'))
    with pytest.raises(DownloadError, match='not the pinned'):
        archives.read_members(PINNED)
    assert list(cache.iterdir()) == []


def test_another_file_in_it_is_refused(monkeypatch):
    monkeypatch.setattr(archives, '_fetch', lambda archive: CONTENT)
    other = Archive('p', PINNED.filename, PINNED.sha256, {'folder/t.csv': sha(b'x')})
    with pytest.raises(DownloadError, match=r"'folder/t\.csv'.*not the pinned"):
        archives.read_members(other)
    other = Archive('p', PINNED.filename, PINNED.sha256, {'folder/u.csv': sha(b'x')})
    with pytest.raises(DownloadError, match=r"no file 'folder/u\.csv'"):
        archives.read_members(other)


def test_a_damaged_file_of_the_cache_is_fetched_again(monkeypatch, cache):
    cache.mkdir()
    (cache / PINNED.filename).write_bytes(b'half')
    monkeypatch.setattr(archives, '_fetch', lambda archive: CONTENT)
    assert archives.read_members(PINNED) == [b'a\n1\n']


def test_offline_says_what_to_do(monkeypatch):
    def offline(*_, **__):
        raise URLError('no route')

    monkeypatch.setattr(archives, 'urlopen', offline)
    monkeypatch.setattr(archives, 'pip_setting', lambda name: '')
    with pytest.raises(DownloadError, match='go online, or put the file into'):
        archives.read_members(PINNED)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match=r"no data set 'x'; choose from adult, credit_default"):
        datasets.load('x')


@pytest.mark.parametrize('name', [name for name in DATASETS if name != 'adult'])
def test_every_domain_is_declared(name):
    metadata = load_metadata(datasets.METADATA / f'{name}.json')
    assert isinstance(metadata, Metadata)
    columns = public_columns(metadata)
    described = DATASETS[name]
    assert len(columns) == described.columns
    assert described.target in [column.name for column in columns]


def test_adult_is_as_described():
    table, metadata, target = datasets.load('adult')
    assert table.shape == (DATASETS['adult'].rows, DATASETS['adult'].columns)
    assert list(table) == [column.name for column in public_columns(metadata)]
    assert target in table


def test_split_is_a_partition():
    table = pd.DataFrame({'a': np.arange(101)})
    train, test = datasets.split(table)
    assert len(test) == 20
    assert sorted([*train['a'], *test['a']]) == list(range(101))
    assert datasets.split(table)[1].equals(test)
    assert not datasets.split(table, seed=1)[1].equals(test)
