"""Tables that nobody should have, and files that somebody might send.

Nothing but a table's structure may be an error. An error is one of SDV's or of this package, names
the column where there is one, and shows no cell. What was spent is in the ledger.
"""

from __future__ import annotations

import io
import math
import tracemalloc
import warnings
import zipfile
from typing import Any

import numpy as np
import pandas as pd
import pytest
from effort import examples
from hypothesis import given
from hypothesis import strategies as st
from sdv.errors import InvalidDataError, SynthesizerInputError
from sdv.metadata import Metadata

from sdv_slicedp.accounting import epsilon_spent
from sdv_slicedp.errors import DomainError, PrivacyError, ReleaseFormatError
from sdv_slicedp.release import Release
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

TABLE, CANARY = 'hostile', 'CANARY_9f3'
EXPECTED = (InvalidDataError, SynthesizerInputError, DomainError, PrivacyError)
QUICK = {
    'epochs': 1,
    'n_components': 2,
    'slices_per_step': 16,
    'random_state': 0,
    'enable_gpu': False,
}
EPSILON, DELTA = 3.0, 1e-6
SDTYPES = ['numerical', 'categorical', 'boolean', 'datetime', 'ordinal', 'id', 'unknown']

odd_cells = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, None, pd.NA, pd.NaT, CANARY, b'x', 1j, ()]),
    st.sampled_from([True, 0, -1, 2.5, '1', '2020-01-01', 'Ω\u202e\x00', '\ud800', '']),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from([pd.Timestamp('2020-02-03'), pd.Timedelta(1), [CANARY], {CANARY: 1}]),
)
SERIES = {
    'objects': lambda cells: pd.Series(cells, dtype=object),
    'floats': lambda cells: pd.Series([float(i) for i in range(len(cells))]) * 1e300,
    'all missing': lambda cells: pd.Series([None] * len(cells), dtype=object),
    'no numbers': lambda cells: pd.Series([math.nan] * len(cells)),
    'constant': lambda cells: pd.Series([7] * len(cells)),
    'huge integers': lambda cells: pd.Series([2**63 - 1] * len(cells)),
    'unsigned': lambda cells: pd.Series([2**64 - 1] * len(cells), dtype='uint64'),
    'booleans': lambda cells: pd.Series([True] * len(cells)),
    'nullable': lambda cells: pd.Series([None] * len(cells), dtype='Int64'),
    'times': lambda cells: pd.Series([pd.Timestamp('2262-04-11')] * len(cells)),
    'text': lambda cells: pd.Series([CANARY] * len(cells), dtype='string'),
    'long text': lambda cells: pd.Series(['x' * 2**20] * len(cells), dtype=object),
    'categories': lambda cells: pd.Series([CANARY] * len(cells), dtype='category'),
}
NAMES = ['plain', ' ', '日本', 'a.b', '{x}', '"; --', '0', '%s', 'é' * 200]


@st.composite
def tables(draw) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    n_rows = draw(st.sampled_from([0, 1, 2, 7]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    columns, described = {}, {}
    for name in names:
        cells = draw(st.lists(odd_cells, min_size=n_rows, max_size=n_rows))
        kind = draw(st.sampled_from(['objects', *SERIES]))
        array = np.empty(n_rows, dtype=object)
        array[:] = [*cells]
        columns[name] = SERIES[kind](array)
        described[name] = {'sdtype': draw(st.sampled_from(SDTYPES))}
        if described[name]['sdtype'] == 'unknown':
            described[name]['pii'] = True
    return pd.DataFrame(columns), described


def check_fit(table: pd.DataFrame, columns: dict[str, Any], **options: Any) -> bool:
    """Fit; whether it worked. Errors are the expected ones, and what was spent is listed."""
    metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': columns}}})
    synthesizer = SlicedDPSynthesizer(
        metadata, epsilon=EPSILON, delta=DELTA, **{**QUICK, **options}
    )
    try:
        synthesizer.fit({TABLE: table})
    except EXPECTED as error:
        assert CANARY not in f'{error} {error!r} {error.__cause__!r} {error.__context__!r}'
        report = synthesizer.get_privacy_report()
        assert report.epsilon <= EPSILON
        if isinstance(error, InvalidDataError):
            assert not report.fits
            assert any(name in str(error) for name in columns) or 'empty' in str(error)
        return False
    release = synthesizer.get_release()
    lines = [line for fit in synthesizer.get_privacy_report().fits for line in fit.lines]
    assert [line.slices for line in lines] == [entry.slices for entry in release.ledger]
    assert epsilon_spent(release.ledger, DELTA, release.neighboring_relation) <= EPSILON
    assert list(synthesizer.sample(3)[TABLE].columns) == list(table.columns)
    return True


@pytest.mark.parametrize('mechanism', ['histogram', 'projection'])
@examples(8)
@given(tables())
def test_odd_tables_are_fitted_or_refused_in_one_line(mechanism, drawn):
    table, columns = drawn
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        check_fit(table, columns, mechanism=mechanism)


def test_columns_of_one_name_are_refused():
    table = pd.DataFrame([[CANARY, 1]], columns=['a', 'a'])
    with pytest.raises(InvalidDataError, match=r"several columns with the name \['a'\]") as caught:
        SlicedDPSynthesizer(
            Metadata.load_from_dict({'tables': {TABLE: {'columns': {'a': {'sdtype': 'id'}}}}}),
            **QUICK,
        ).fit({TABLE: table})
    assert CANARY not in str(caught.value)


@pytest.mark.slow
def test_many_columns_are_fitted():
    columns = {f'c{i}': {'sdtype': 'boolean', 'range_is_nullable': False} for i in range(300)}
    table = pd.DataFrame(np.arange(300 * 6).reshape(6, 300) % 7 < 3, columns=list(columns))
    assert check_fit(table, columns, mechanism='projection')


def archive_of(manifest: bytes, times: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        with archive.open('manifest.json', 'w') as member:
            for _ in range(times):
                member.write(manifest)
    return file.getvalue()


@pytest.mark.parametrize(('manifest', 'times'), [(b' ' * 2**20, 70), (b'[' * 10**6, 1)])
def test_archives_that_unpack_to_more_are_refused(manifest, times, tmp_path):
    path = tmp_path / 'bomb'
    path.write_bytes(archive_of(manifest, times))
    assert path.stat().st_size < 200_000
    with pytest.raises(ReleaseFormatError):
        Release.load(path)


def test_a_bomb_is_refused_within_bounded_memory(tmp_path):
    """A manifest that declares two million bytes and holds four hundred million."""
    content = archive_of(b' ' * 10**6, 400)
    declared, real = ((n * 10**6).to_bytes(4, 'little') for n in (2, 400))
    assert content.count(real) >= 1
    path = tmp_path / 'bomb'
    path.write_bytes(content.replace(real, declared))
    tracemalloc.start()
    try:
        with pytest.raises(ReleaseFormatError):
            Release.load(path)
        assert tracemalloc.get_traced_memory()[1] < 50 * 10**6
    finally:
        tracemalloc.stop()
