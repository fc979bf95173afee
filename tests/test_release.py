import copy
import io
import json
import math
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdv_slicedp import release_file
from sdv_slicedp.domain import MAX_UNITS, MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.errors import ReleaseFormatError
from sdv_slicedp.ledger import LedgerEntry
from sdv_slicedp.release import ColumnRelease, Level, Marginal, Release

quick = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

counts = st.integers(min_value=-(2**62), max_value=2**62)
sigmas = st.floats(min_value=0.5, max_value=1e6)
names = st.text(max_size=8)
categories = st.one_of(
    st.text(max_size=5), st.integers(), st.booleans(), st.floats(allow_nan=False)
)


@st.composite
def numeric_domains(draw, name):
    lower, upper = sorted(draw(st.tuples(*[st.integers(-MAX_UNITS, MAX_UNITS)] * 2)))
    step = draw(st.tuples(st.integers(1, 10**15), st.integers(1, 10**15)))
    finite = st.floats(allow_nan=False, allow_infinity=False)
    bounds = draw(st.none() | st.tuples(finite, finite))
    kind = draw(st.sampled_from(['numerical', 'datetime']))
    return NumericalDomain(name, kind, lower, upper, step, draw(st.booleans()), bounds)


@st.composite
def discrete_domains(draw, name):
    values = tuple(draw(st.lists(categories, max_size=4, unique=True)))
    kind = draw(st.sampled_from(['categorical', 'boolean', 'ordinal']))
    return CategoricalDomain(name, kind, values, draw(st.booleans()), draw(st.booleans()))


def vector(values) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@st.composite
def cells(draw):
    limits = st.integers(-MAX_UNITS, MAX_UNITS) | st.just(MISSING)
    ends = sorted(draw(st.lists(limits, max_size=8, unique=True)))
    ends = ends[: len(ends) // 2 * 2]
    return vector(ends[::2]), vector(ends[1::2])


@st.composite
def levels(draw):
    lower, upper = draw(cells())
    values = draw(st.lists(counts, min_size=len(lower), max_size=len(lower)))
    return Level(lower, upper, vector(values), draw(sigmas))


@st.composite
def column_releases(draw, name):
    lower, upper = draw(cells())
    n_bins = draw(st.integers(min(1, len(lower)), len(lower)))
    return ColumnRelease(
        domain=draw(numeric_domains(name) | discrete_domains(name)),
        levels=tuple(draw(st.lists(levels(), max_size=3))),
        fine_lower=lower,
        fine_upper=upper,
        bins=vector(draw(st.permutations([i % max(n_bins, 1) for i in range(len(lower))]))),
        n_bins=n_bins,
    )


@st.composite
def marginals(draw, columns):
    size = draw(st.integers(1, min(3, len(columns))))
    chosen = tuple(draw(st.permutations(range(len(columns)))))[:size]
    shape = tuple(columns[i].n_bins for i in chosen)
    total = math.prod(shape)
    values = draw(st.lists(counts, min_size=total, max_size=total))
    return Marginal(chosen, vector(values).reshape(shape), draw(sigmas))


entries = st.builds(
    LedgerEntry, st.text(max_size=9), st.text(max_size=9), st.integers(1, 9), sigmas,
    st.integers(1, 10**9), st.floats(0, 1e-3),
)  # fmt: skip


@st.composite
def releases(draw):
    columns = tuple(
        draw(column_releases(name)) for name in draw(st.lists(names, max_size=4, unique=True))
    )
    return Release(
        columns=columns,
        marginals=tuple(draw(st.lists(marginals(columns), max_size=3))) if columns else (),
        ledger=tuple(draw(st.lists(entries, max_size=3))),
        epsilon=draw(st.floats(0.01, 100)),
        delta=draw(st.floats(1e-12, 0.5)),
        public_columns=tuple(draw(st.lists(names, max_size=2))),
    )


def example() -> Release:
    codes, fine = vector([0, 1, 2]), vector([MISSING, 0, 7])
    domain = CategoricalDomain('colour', 'categorical', ('red', True), True)
    number = NumericalDomain('age', 'numerical', 0, 9, (1, 10), True, (0.0, 0.9))
    level = Level(codes, codes, vector([40, 50, -3]), 2.0)
    numeric_level = Level(fine, vector([MISSING, 6, 9]), vector([1, 2, 90]), 4.0)
    return Release(
        columns=(
            ColumnRelease(domain, (level,), codes, codes, vector([1, 0, 1]), 2),
            ColumnRelease(number, (numeric_level,), fine, vector([MISSING, 6, 9]), codes, 3),
        ),
        marginals=(Marginal((0, 1), np.arange(6, dtype=np.int64).reshape(2, 3), 8.0),),
        ledger=(LedgerEntry('one-column', 'level 1', 2, 2.0, 6),),
        epsilon=1,
        delta=1e-6,
        public_columns=('age',),
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / 'example.release'
    example().save(path)
    return path


def rewrite(path: Path, change) -> None:
    """Rebuild the archive from its members after ``change`` was applied to the dictionary."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def edit_manifest(path: Path, change) -> None:
    def on_members(members):
        manifest = json.loads(members['manifest.json'])
        change(manifest)
        members['manifest.json'] = json.dumps(manifest).encode()

    rewrite(path, on_members)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@quick
@given(releases())
def test_round_trip(tmp_path, release):
    path = tmp_path / 'random.release'

    release.save(path)
    loaded = Release.load(path)

    assert loaded == release
    for before, after in zip(release.columns, loaded.columns, strict=True):
        if isinstance(before.domain, CategoricalDomain):
            pairs = zip(before.domain.categories, after.domain.categories, strict=True)
            assert all(type(a) is type(b) for a, b in pairs)


@quick
@given(releases())
def test_copies_and_unpickled_releases_are_equal_and_immutable(release):
    for twin in (copy.deepcopy(release), pickle.loads(pickle.dumps(release))):
        assert twin == release
        assert not any(array.flags.writeable for array in arrays_of(twin))


def arrays_of(release: Release) -> list[np.ndarray]:
    arrays = [marginal.counts for marginal in release.marginals]
    for column in release.columns:
        arrays += [column.fine_lower, column.fine_upper, column.bins]
        arrays += [a for level in column.levels for a in (level.lower, level.upper, level.counts)]
    return arrays


def test_arrays_cannot_be_changed(saved):
    counts = np.arange(3, dtype=np.int64)
    level = Level(counts, counts, counts, 1.0)
    counts[0] = -5
    assert level.counts.tolist() == [0, 1, 2]
    for release in (example(), Release.load(saved)):
        for array in arrays_of(release):
            with pytest.raises(ValueError, match='read-only'):
                array[...] = 0
            with pytest.raises(ValueError, match='WRITEABLE'):
                array.setflags(write=True)


def test_equality_is_by_content_and_type():
    release = example()
    changed = list(release.columns)
    domain = CategoricalDomain('colour', 'categorical', ('red', 1), True)
    first = release.columns[0]
    fine = (first.fine_lower, first.fine_upper, first.bins, 2)
    changed[0] = ColumnRelease(domain, first.levels, *fine)

    assert release == example()
    assert release != Release(tuple(changed), release.marginals, release.ledger, 1, 1e-6)
    assert release.columns[0].levels[0] != Level([0], [0], [0], 1.0)
    assert release != 'release'
    with pytest.raises(TypeError, match='unhashable'):
        hash(release)


def test_saving_twice_gives_the_same_bytes(tmp_path):
    example().save(tmp_path / 'a')
    example().save(str(tmp_path / 'b'))

    assert (tmp_path / 'a').read_bytes() == (tmp_path / 'b').read_bytes()


def test_a_failed_save_leaves_the_old_file_and_nothing_else(saved, monkeypatch):
    before = saved.read_bytes()

    def fail(descriptor):
        raise OSError('disk full')

    monkeypatch.setattr('os.fsync', fail)
    with pytest.raises(OSError, match='disk full'):
        example().save(saved)

    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_no_pickle_is_written_or_read():
    source = ''.join(
        path.read_text() for path in Path(release_file.__file__).parent.glob('release*.py')
    )

    assert 'import pickle' not in source
    assert 'allow_pickle=True' not in source
    assert 'np.load' not in source


def test_noisy_rows_weighs_totals_by_their_precision():
    # Totals 87 and 93 with variances 3 * 2^2 = 12 and 3 * 4^2 = 48.
    assert example().noisy_rows == pytest.approx((87 / 12 + 93 / 48) / (1 / 12 + 1 / 48))


def test_noisy_rows_is_at_least_one():
    codes = vector([0, 1])
    domain = CategoricalDomain('a', 'categorical', ('x', 'y'), False)
    level = Level(codes, codes, vector([-40, 3]), 20.0)
    column = ColumnRelease(domain, (level,), codes, codes, codes, 2)

    assert Release((column,), (), (), 1.0, 1e-6).noisy_rows == 1.0
    assert Release((), (), (), 1.0, 1e-6).noisy_rows == 1.0


def test_summary_is_plain():
    summary = example().summary()

    assert json.loads(json.dumps(summary)) == summary
    assert summary['epsilon'] == 1.0
    assert summary['columns'] == 2


@quick
@given(data=st.data())
def test_truncated_files_are_refused(tmp_path, data):
    path = tmp_path / 'short.release'
    example().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])

    with pytest.raises(ReleaseFormatError):
        Release.load(path)


@settings(quick, max_examples=300)
@given(data=st.data())
def test_flipped_bytes_are_noticed_unless_they_do_not_matter(tmp_path, data):
    path = tmp_path / 'flipped.release'
    example().save(path)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)

    try:
        loaded = Release.load(path)
    except ReleaseFormatError:
        return
    assert loaded == example()  # a time stamp or an attribute of the archive


def test_flipped_content_is_refused(saved):
    content = saved.read_bytes()
    with zipfile.ZipFile(saved) as archive:
        for member in archive.infolist():
            start = member.header_offset + 30 + len(member.filename)
            for position in range(start, start + member.compress_size, 7):
                flipped = bytearray(content)
                flipped[position] ^= 0x10
                saved.write_bytes(flipped)
                with pytest.raises(ReleaseFormatError):
                    Release.load(saved)


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'a,b\n1,2\n', b'\x80\x04K\x01.'])
def test_files_of_another_kind_are_refused(tmp_path, content):
    path = tmp_path / 'other'
    path.write_bytes(content)

    with pytest.raises(ReleaseFormatError, match='not a release'):
        Release.load(path)


def test_foreign_archives_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / 'slow.zip', 'w', zipfile.ZIP_BZIP2) as archive:
        archive.writestr('manifest.json', '{}')
    with pytest.raises(ReleaseFormatError, match='compressed'):
        Release.load(tmp_path / 'slow.zip')
    np.savez(tmp_path / 'foreign.npz', a=np.arange(3))
    with pytest.raises(ReleaseFormatError, match='not a release'):
        Release.load(tmp_path / 'foreign.npz')
    for manifest in (b'{}', b'[]', b'{"format": "other", "version": 1}'):
        with zipfile.ZipFile(tmp_path / 'foreign.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
            archive.writestr('manifest.json', manifest)
        with pytest.raises(ReleaseFormatError, match='not a release'):
            Release.load(tmp_path / 'foreign.zip')


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        Release.load(tmp_path / 'nothing')


@pytest.mark.parametrize('name', sorted(f'{name}.npy' for name in release_file.ARRAYS))
def test_missing_members_are_refused(saved, name):
    rewrite(saved, lambda members: members.pop(name))

    with pytest.raises(ReleaseFormatError, match='lacks'):
        Release.load(saved)


def test_extra_and_double_members_are_refused(saved, tmp_path):
    content = saved.read_bytes()
    rewrite(saved, lambda members: members.update({'../evil.py': b'x'}))
    with pytest.raises(ReleaseFormatError, match='something else'):
        Release.load(saved)
    saved.write_bytes(content)
    with (
        zipfile.ZipFile(saved, 'a', zipfile.ZIP_DEFLATED) as archive,
        pytest.warns(UserWarning, match='Duplicate'),
    ):
        archive.writestr('bins.npy', npy(vector([0, 0, 0])))
    with pytest.raises(ReleaseFormatError, match='something else'):
        Release.load(saved)


@pytest.mark.parametrize(
    'array',
    [
        np.array([object()]),
        np.array([1.0, 2.0]),
        np.arange(6, dtype='>i8'),
        np.arange(6, dtype=np.int32),
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.int64(3),
        np.array([(1, 2)], dtype=[('a', 'i8'), ('b', 'i8')]),
        np.arange(5, dtype=np.int64),
    ],
    ids=lambda array: f'{array.dtype}-{array.shape}',
)
def test_arrays_of_another_kind_are_refused(saved, array):
    rewrite(saved, lambda members: members.update({'marginal_counts.npy': npy(array)}))

    with pytest.raises(ReleaseFormatError):
        Release.load(saved)


@pytest.mark.parametrize('shape', [(2**60,), (2**31,), (7,), (5,), (-1,)])
def test_declared_sizes_must_be_the_real_ones(saved, shape):
    header = io.BytesIO()
    fields = {'descr': '<i8', 'fortran_order': False, 'shape': shape}
    np.lib.format.write_array_header_1_0(header, fields)
    content = header.getvalue() + np.arange(6, dtype='<i8').tobytes()
    rewrite(saved, lambda members: members.update({'marginal_counts.npy': content}))

    with pytest.raises(ReleaseFormatError):
        Release.load(saved)


@pytest.mark.parametrize(
    'content', [b'', b'\x93NUMPY', b'\x93NUMPY\x02\x00' + bytes(60), b'x' * 99]
)
def test_damaged_headers_are_refused(saved, content):
    rewrite(saved, lambda members: members.update({'bins.npy': content}))

    with pytest.raises(ReleaseFormatError):
        Release.load(saved)


def test_files_that_declare_too_much_are_refused_before_they_are_read(saved, monkeypatch):
    monkeypatch.setattr(release_file, '_MAX_TOTAL', 500)
    with pytest.raises(ReleaseFormatError, match='larger than any'):
        Release.load(saved)
    rewrite(saved, lambda members: members.update({'bins.npy': npy(np.zeros(10**7, dtype=int))}))
    monkeypatch.setattr(release_file, '_MAX_TOTAL', 10**7)
    with pytest.raises(ReleaseFormatError, match='declares more'):
        Release.load(saved)
    monkeypatch.setattr(release_file, '_MAX_MANIFEST', 100)
    with pytest.raises(ReleaseFormatError, match='larger'):
        Release.load(saved)


def test_releases_too_large_for_a_file_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(release_file, '_MAX_TOTAL', 100)

    with pytest.raises(ValueError, match='too large'):
        example().save(tmp_path / 'large')

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('version', [0, 2, '1', 1.0, True, None])
def test_other_versions_are_refused(saved, version):
    edit_manifest(saved, lambda manifest: manifest.update(version=version))

    with pytest.raises(ReleaseFormatError, match='version'):
        Release.load(saved)


BAD = [math.nan, math.inf, -1, 0, '1', None, True, [], {}, 10**30]


@pytest.mark.parametrize('value', BAD, ids=repr)
@pytest.mark.parametrize(
    'place',
    [
        ('epsilon',), ('delta',), ('ledger', 0, 'sigma'), ('ledger', 0, 'slices'),
        ('columns', 0, 'levels', 0, 'sigma'), ('columns', 0, 'levels', 0, 'cells'),
        ('columns', 1, 'fine_cells'), ('columns', 1, 'n_bins'), ('marginals', 0, 'sigma'),
        ('marginals', 0, 'columns'), ('marginals', 0, 'columns', 0), ('marginals', 0, 'shape'),
        ('marginals', 0, 'shape', 1), ('columns', 1, 'domain', 'step'), ('columns', 1, 'domain'),
        ('columns', 1, 'domain', 'step', 0), ('columns', 1, 'domain', 'lower'), ('columns', 0),
        ('columns', 1, 'domain', 'name'), ('columns', 0, 'domain', 'categories', 0),
        ('columns', 0, 'levels'), ('ledger', 0), ('mechanism',), ('public_columns', 0),
        ('columns', 1, 'domain', 'bounds', 0),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_values_are_refused_or_harmless(saved, place, value):
    def change(manifest):
        for key in place[:-1]:
            manifest = manifest[key]
        manifest[place[-1]] = value

    edit_manifest(saved, change)

    try:
        loaded = Release.load(saved)
    except ReleaseFormatError:
        return
    assert loaded != example() or (value == 0 and place[-1] in ('lower', 0))
    loaded.save(saved)
    assert Release.load(saved) == loaded


@pytest.mark.parametrize('value', [math.nan, math.inf, '1', None, True, [], -1, 0])
@pytest.mark.parametrize(
    'place', [('epsilon',), ('marginals', 0, 'sigma'), ('columns', 0, 'levels', 0, 'sigma')]
)
def test_scales_and_budgets_must_be_positive_numbers(saved, place, value):
    def change(manifest):
        for key in place[:-1]:
            manifest = manifest[key]
        manifest[place[-1]] = value

    edit_manifest(saved, change)

    with pytest.raises(ReleaseFormatError):
        Release.load(saved)


def test_unknown_and_missing_keys_are_refused(saved):
    content = saved.read_bytes()
    for change in (
        lambda m: m.update(extra=1),
        lambda m: m.pop('delta'),
        lambda m: m['columns'][0].pop('bins', None) or m['columns'][0].update(x=1),
        lambda m: m['columns'][1]['domain'].pop('step'),
    ):
        saved.write_bytes(content)
        edit_manifest(saved, change)
        with pytest.raises(ReleaseFormatError, match='keys'):
            Release.load(saved)


@pytest.mark.parametrize('manifest', [b'{', b'\xff\xfe', b'[' * 100_000, b'9' * 5000])
def test_manifests_that_are_no_json_are_refused(saved, manifest):
    rewrite(saved, lambda members: members.update({'manifest.json': manifest}))

    with pytest.raises(ReleaseFormatError):
        Release.load(saved)


@pytest.mark.parametrize(
    ('lower', 'upper', 'values', 'sigma'),
    [
        ([1], [0], [5], 1.0),
        ([0, 1], [1, 2], [5, 5], 1.0),
        ([3, 0], [3, 0], [5, 5], 1.0),
        ([0, 1], [0, 1], [5], 1.0),
        ([[0]], [[0]], [[5]], 1.0),
        ([0], [0], [5.0], 1.0),
        ([0], [0], [5], math.nan),
        ([0], [0], [5], 0.0),
        ([0], [0], [5], '1'),
    ],
)
def test_levels_that_make_no_sense_are_refused(lower, upper, values, sigma):
    with pytest.raises((TypeError, ValueError)):
        Level(np.array(lower), np.array(upper), np.array(values), sigma)


@pytest.mark.parametrize(
    'domain',
    [
        CategoricalDomain('a', 'categorical', None, True),
        CategoricalDomain('a', 'categorical', ('x', 'x'), True),
        CategoricalDomain('a', 'categorical', (math.nan,), True),
        CategoricalDomain('a', 'categorical', (b'x',), True),
        NumericalDomain('a', 'numerical', None, 3, (1, 1), False),
        NumericalDomain('a', 'numerical', 5, 3, (1, 1), False),
        NumericalDomain('a', 'numerical', 0, 3, (0, 1), False),
        NumericalDomain('a', 'numerical', 0, 3, (1, 1), False, (0.0, math.inf)),
        'domain',
    ],
)
def test_domains_that_make_no_sense_are_refused(domain):
    codes = vector([0])

    with pytest.raises((TypeError, ValueError)):
        ColumnRelease(domain, (), codes, codes, codes, 1)


def test_parts_that_do_not_fit_together_are_refused():
    release = example()
    columns, pair = release.columns, release.marginals[0]
    for parts in (
        (columns[:1], (pair,)),
        ((columns[0], columns[0]), ()),
        (columns, (Marginal((1, 0), pair.counts, 1.0),)),
        (columns, ('marginal',)),
    ):
        with pytest.raises((TypeError, ValueError)):
            Release(*parts, (), 1.0, 1e-6)
    for axes in ((0, 0), (0,), (0, -1), ()):
        with pytest.raises(ValueError, match=r'columns|axes'):
            Marginal(axes, pair.counts, 1.0)
    with pytest.raises(ValueError, match='epsilon'):
        Release(columns, (), (), math.nan, 1e-6)
