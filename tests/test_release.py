import copy
import io
import json
import math
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from effort import examples
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from sdv_slicedp import embedding, release_file
from sdv_slicedp.accounting import REPLACE_ONE
from sdv_slicedp.directions import draw_directions
from sdv_slicedp.domain import MAX_UNITS, MISSING, CategoricalDomain, NumericalDomain
from sdv_slicedp.errors import ReleaseFormatError
from sdv_slicedp.ledger import DIRECTIONS, LedgerEntry, ProjectionEntry
from sdv_slicedp.levels import Level
from sdv_slicedp.projection import Projection
from sdv_slicedp.release import ColumnRelease, Marginal, Release

SHARED = [HealthCheck.function_scoped_fixture]
quick = examples(40, suppress_health_check=SHARED)

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


@st.composite
def projection_releases(draw):
    """Releases of the projection mechanism, before or after any discovery."""
    columns = tuple(
        draw(column_releases(name))
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))
    )
    d = embedding.dimension(embedding.blocks([column.domain for column in columns]))
    if not d:
        word = CategoricalDomain(columns[0].domain.name, 'categorical', ('a', 'b'), True)
        columns, d = (replace(columns[0], domain=word), *columns[1:]), d + 3
    kind, m, n = draw(st.sampled_from(DIRECTIONS)), draw(st.integers(1, 5)), draw(st.integers(0, 3))
    values = draw(st.lists(counts, min_size=n * m, max_size=n * m))
    pitch, scale = draw(st.integers(1, 2**40)) * 2.0**-42, draw(st.sampled_from([4096.0, 8192.0]))
    sigma = pitch * scale
    projection = Projection(
        kind, draw_directions(kind, d, m), vector(values).reshape(n, m), pitch, sigma
    )
    entry = ProjectionEntry('projection', 'text', kind, d, m, 1.5, 0.25, sigma, scale, 1e-9)
    return Release(
        columns=columns,
        marginals=(),
        ledger=(*draw(st.lists(entries, max_size=2)), entry),
        epsilon=draw(st.floats(0.01, 100)),
        delta=draw(st.floats(1e-12, 0.5)),
        mechanism='projection',
        neighboring_relation=REPLACE_ONE,
        public_columns=tuple(draw(st.lists(names, max_size=2))),
        projection=projection,
    )


def projection_example(**changes) -> Release:
    """Three coordinates of a word and two of a number, on two directions; three rows."""
    columns = example().columns
    bare = tuple(replace(column, levels=()) for column in columns)
    directions = np.eye(5, 2, dtype=np.int64) * 2**22
    sigma, scale = 2.0**-10 * 4096, 4096.0
    values = vector([[1, 2], [-3, 2**40], [5, 6]])
    parts = {
        'columns': bare,
        'marginals': (),
        'ledger': (
            LedgerEntry('domain', 'steps', 1, 2.0, 1),
            ProjectionEntry(
                'projection', 'text', 'orthonormal', 5, 2, 2.0, 0.01, sigma, scale, 1e-9
            ),
        ),
        'epsilon': 1,
        'delta': 1e-6,
        'mechanism': 'projection',
        'neighboring_relation': REPLACE_ONE,
        'projection': Projection('orthonormal', directions, values, 2.0**-10, sigma),
    }
    return Release(**{**parts, **changes})


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
@given(releases() | projection_releases())
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
@given(releases() | projection_releases())
def test_copies_and_unpickled_releases_are_equal_and_immutable(release):
    for twin in (copy.deepcopy(release), pickle.loads(pickle.dumps(release))):
        assert twin == release
        assert not any(array.flags.writeable for array in arrays_of(twin))


def arrays_of(release: Release) -> list[np.ndarray]:
    arrays = [marginal.counts for marginal in release.marginals]
    for column in release.columns:
        arrays += [column.fine_lower, column.fine_upper, column.bins]
        arrays += [a for level in column.levels for a in (level.lower, level.upper, level.counts)]
    if release.projection is not None:
        arrays += [release.projection.directions, release.projection.values]
    return arrays


def test_arrays_cannot_be_changed(saved):
    counts = np.arange(3, dtype=np.int64)
    level = Level(counts, counts, counts, 1.0)
    counts[0] = -5
    assert level.counts.tolist() == [0, 1, 2]
    for release in (example(), projection_example(), Release.load(saved)):
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


@examples(300, suppress_health_check=SHARED)
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


@pytest.mark.parametrize('make', [example, projection_example])
def test_flipped_content_is_refused(saved, make):
    """Or the content is the same: bits that pad the end of a member mean nothing."""
    make().save(saved)
    content = saved.read_bytes()
    with zipfile.ZipFile(saved) as archive:
        for member in archive.infolist():
            start = member.header_offset + 30 + len(member.filename)
            for position in range(start, start + member.compress_size, 7):
                flipped = bytearray(content)
                flipped[position] ^= 0x10
                saved.write_bytes(flipped)
                try:
                    loaded = Release.load(saved)
                except ReleaseFormatError:
                    continue
                assert loaded == make()


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


@pytest.mark.parametrize(
    'name', sorted(f'{n}.npy' for n in (*release_file.ARRAYS, *release_file.PROJECTION_ARRAYS))
)
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


VERSION_1 = 1


@pytest.mark.parametrize('version', [0, VERSION_1, 3, '2', 2.0, True, None])
def test_other_versions_are_refused(saved, version):
    """Version 1 has no projections, so what is in this file is something else besides."""
    edit_manifest(saved, lambda manifest: manifest.update(version=version))

    with pytest.raises(
        ReleaseFormatError, match='something else' if version is VERSION_1 else 'version'
    ):
        Release.load(saved)


def as_version_1(path: Path) -> None:
    """What the first version wrote: no arrays of projections, and no record of one."""

    def change(members):
        for name in ('directions.npy', 'projections.npy'):
            del members[name]
        manifest = json.loads(members['manifest.json'])
        del manifest['projection']
        manifest['version'] = 1
        members['manifest.json'] = json.dumps(manifest).encode()

    rewrite(path, change)


@quick
@given(releases())
def test_files_of_version_1_are_read_and_become_version_2(tmp_path, release):
    path = tmp_path / 'old.release'
    release.save(path)
    as_version_1(path)
    old = path.read_bytes()

    loaded = Release.load(path)
    loaded.save(path)

    assert loaded == release and loaded.projection is None
    assert path.read_bytes() != old
    assert Release.load(path) == release


@pytest.mark.parametrize('make', [example, projection_example])
def test_half_a_version_is_refused(saved, make):
    """The layout of one version under the number of the other."""
    make().save(saved)
    content = saved.read_bytes()
    as_version_1(saved)
    edit_manifest(saved, lambda manifest: manifest.update(version=2))
    with pytest.raises(ReleaseFormatError, match='lacks'):
        Release.load(saved)
    saved.write_bytes(content)
    as_version_1(saved)
    edit_manifest(saved, lambda manifest: manifest.update(projection=None))
    if make is projection_example:
        with pytest.raises(ReleaseFormatError, match='projection'):
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


def test_projection_releases_have_public_numbers_of_rows():
    release = projection_example()

    assert release.noisy_rows == 3
    assert [(b.start, b.stop) for b in release.blocks] == [(0, 3), (3, 5)]
    summary = release.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert (summary['rows'], summary['dimension'], summary['slices']) == (3, 5, 2)


def test_projection_releases_differ_by_their_projection():
    same, other = projection_example(), projection_example()
    values = other.projection.values + (np.arange(6).reshape(3, 2) == 4)
    moved = replace(other, projection=replace(other.projection, values=values))

    assert same == other != moved
    assert same != example()


PLACES = [
    ('projection',), ('projection', 'kind'), ('projection', 'dimension'), ('projection', 'slices'),
    ('projection', 'rows'), ('projection', 'pitch'), ('projection', 'sigma'), ('mechanism',),
    ('neighboring_relation',), ('ledger', 1, 'directions'), ('ledger', 1, 'dimension'),
    ('ledger', 1, 'slices'), ('ledger', 1, 'sensitivity'), ('ledger', 1, 'rounding'),
    ('ledger', 1, 'sigma'), ('ledger', 1, 'lattice_scale'), ('ledger', 1, 'threshold_delta'),
    ('ledger', 1), ('ledger',), ('columns', 1), ('columns', 1, 'domain', 'has_missing'),
    ('columns', 0, 'domain', 'has_other'), ('columns', 0, 'domain', 'categories'), ('columns',),
]  # fmt: skip
FOREIGN = [*BAD, 'sphere', 'histogram', 2, 5, 4096.0, False, 10**400, ['red']]
HARMLESS = {'sensitivity', 'rounding', 'threshold_delta'}
"""Of the ledger's own: nothing in the release contradicts another number."""


@pytest.mark.parametrize('place', PLACES, ids=str)
def test_foreign_projection_records_are_refused(saved, place):
    projection_example().save(saved)
    with zipfile.ZipFile(saved) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for value in FOREIGN:
        manifest = record = json.loads(members['manifest.json'])
        for key in place[:-1]:
            record = record[key]
        before, record[place[-1]] = record[place[-1]], value
        changed = {**members, 'manifest.json': json.dumps(manifest).encode()}
        rewrite(saved, lambda members, changed=changed: members.update(changed))

        try:
            loaded = Release.load(saved)
        except ReleaseFormatError:
            continue
        if place[-1] in HARMLESS:
            assert loaded.projection == projection_example().projection
        else:
            assert value == before and isinstance(value, bool | int | float), value
            assert loaded == projection_example()


@pytest.mark.parametrize('name', ['directions', 'projections'])
@pytest.mark.parametrize(
    'array',
    [
        vector([]),
        vector([1]),
        np.arange(11),
        np.zeros(10),
        np.zeros(10, dtype=np.int32),
        np.zeros((5, 2), dtype=np.int64),
        np.zeros(10, dtype=np.uint64),
        np.array([object()]),
    ],
    ids=lambda array: f'{array.dtype}-{array.shape}',
)
def test_foreign_projection_arrays_are_refused(saved, name, array):
    projection_example().save(saved)
    rewrite(saved, lambda members: members.update({f'{name}.npy': npy(array)}))

    with pytest.raises(ReleaseFormatError):
        Release.load(saved)


@pytest.mark.parametrize(
    'directions',
    [np.zeros(10), np.ones(10), np.full(10, 2**22), np.full(10, 2**62), np.full(10, -(2**63))],
    ids=str,
)
def test_directions_of_another_length_are_refused(saved, directions):
    projection_example().save(saved)
    content = npy(directions.astype(np.int64))
    rewrite(saved, lambda members: members.update({'directions.npy': content}))

    with pytest.raises(ReleaseFormatError, match='length 1'):
        Release.load(saved)


@pytest.mark.parametrize('name', ['directions', 'projections'])
def test_arrays_of_a_projection_that_is_not_there_are_refused(saved, name):
    rewrite(saved, lambda members: members.update({f'{name}.npy': npy(vector([1]))}))

    with pytest.raises(ReleaseFormatError, match='sizes'):
        Release.load(saved)


@pytest.mark.parametrize(
    ('record', 'sizes'),
    [
        ({'dimension': 2, 'slices': 5}, (10, 15)),
        ({'dimension': 0}, (0, 6)),
        ({'slices': 0}, (0, 0)),
        ({'dimension': 0, 'slices': 0, 'rows': 10**30}, (0, 0)),
        ({'dimension': 2**32, 'slices': 2**32}, (0, 0)),
        ({'dimension': 10}, (20, 6)),
        ({'rows': 10**9, 'slices': 10**9}, (10, 6)),
    ],
    ids=str,
)
def test_sizes_of_a_projection_must_be_possible(saved, record, sizes):
    projection_example().save(saved)
    edit_manifest(saved, lambda manifest: manifest['projection'].update(record))
    arrays = [npy(np.full(size, 2**22, dtype=np.int64)) for size in sizes]
    names = ('directions.npy', 'projections.npy')
    rewrite(saved, lambda members: members.update(zip(names, arrays, strict=True)))

    with pytest.raises(ReleaseFormatError):
        Release.load(saved)


def test_unknown_and_missing_keys_of_a_projection_are_refused(saved):
    projection_example().save(saved)
    content = saved.read_bytes()
    for change in (
        lambda m: m['projection'].update(extra=1),
        lambda m: m['projection'].pop('pitch'),
        lambda m: m['ledger'][1].pop('rounding'),
        lambda m: m['ledger'][1].pop('lattice_scale'),
        lambda m: m['ledger'][0].update(lattice_scale=4096.0),
        lambda m: m.pop('projection'),
    ):
        saved.write_bytes(content)
        edit_manifest(saved, change)
        with pytest.raises(ReleaseFormatError, match='keys'):
            Release.load(saved)


def test_projections_and_the_rest_must_fit_together():
    release = projection_example()
    projection, columns, ledger = release.projection, release.columns, release.ledger
    marginal = Marginal((0, 1), np.zeros((2, 3), dtype=np.int64), 2.0)
    entry = ledger[1]
    for changes, text in (
        ({'marginals': (marginal,)}, 'not both'),
        ({'mechanism': 'histogram'}, 'mechanism'),
        ({'neighboring_relation': 'add_or_remove_one'}, 'replace_one'),
        ({'projection': None}, 'projection'),
        ({'projection': None, 'mechanism': 'histogram'}, 'ledger has a projection'),
        ({'projection': None, 'columns': ()}, 'ledger has a projection'),
        ({'columns': columns[:1]}, 'length 5, not 3'),
        ({'columns': ()}, 'length 5, not 0'),
        ({'projection': replace(projection, kind='sphere')}, 'not the one in the ledger'),
        ({'projection': replace(projection, sigma=8.0)}, 'not the one in the ledger'),
        ({'projection': replace(projection, pitch=1.0)}, 'not the one in the ledger'),
        ({'ledger': (replace(entry, slices=1),)}, 'not the one in the ledger'),
        ({'ledger': (entry, replace(entry, dimension=4))}, 'ledger'),
        ({'ledger': (entry, entry)}, 'ledger'),
        ({'ledger': ledger[:1]}, 'ledger'),
        ({'ledger': ()}, 'ledger'),
    ):
        with pytest.raises(ValueError, match=text):
            projection_example(**changes)
    with pytest.raises(TypeError, match='must be a Projection'):
        projection_example(projection='projection')
