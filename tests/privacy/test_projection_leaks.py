"""What a projection release says beside its noisy numbers is public.

Two tables of the same size with nothing in common but their public schema.
"""

from __future__ import annotations

import gc
import io
import logging
import pickle
import warnings
import weakref
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pytest
from state import encodings, reachable
from worlds import (
    CANARY_INTEGER,
    CANARY_NUMBER,
    CANARY_TEXTS,
    CANARY_TIMES,
    PUBLIC_DOMAINS,
    TABLE,
    WORLDS,
    make_synthesizer,
)

from sdv_slicedp import release_manifest
from sdv_slicedp.accounting import Ledger
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.mechanism import measure_projection
from sdv_slicedp.projection_stages import ProjectionPlan
from sdv_slicedp.release import Release

N_ROWS = 200
DAY = 86_400 * 10**9
PLANS = [
    ProjectionPlan(),
    ProjectionPlan('sphere', 5),
    ProjectionPlan('orthonormal', 3),
    ProjectionPlan('sphere', 60),
]
DOMAINS: tuple[ColumnDomain, ...] = (
    NumericalDomain('amount', 'numerical', -100, 900, (1, 1), True),
    NumericalDomain('rate', 'numerical', 0, 100, (1, 100), True),
    NumericalDomain('visits', 'numerical', 0, 9, (1, 1), False),
    CategoricalDomain('place', 'categorical', ('Oslo', 'Rome', 'Bonn'), True, has_other=True),
    CategoricalDomain('grade', 'ordinal', ('low', 'mid', 'high'), False),
    CategoricalDomain('code', 'categorical', (1, 2, 3), True),
    CategoricalDomain('member', 'boolean', (False, True), True),
    NumericalDomain('day', 'datetime', 10_957, 14_609, (DAY, 1), True),
    NumericalDomain('seen', 'datetime', 10_957 * 86_400, 14_609 * 86_400, (10**9, 1), True),
)
"""All public; most values of both tables lie outside."""


def processed(world: str) -> pd.DataFrame:
    table = WORLDS[world]().iloc[:N_ROWS]
    return make_synthesizer(world, False).preprocess({TABLE: table})[TABLE]


TABLES = {world: processed(world) for world in WORLDS}
CANARY_BYTES = [
    *(text.encode() for text in (*CANARY_TEXTS, *CANARY_TIMES)),
    *(code for x in (CANARY_NUMBER, float(CANARY_INTEGER)) for code in encodings(x)),
    *(code for text in CANARY_TIMES for code in encodings(float(pd.Timestamp(text).value))),
]
# Four bytes are found by chance too often in noise.
CANARIES = [canary for canary in CANARY_BYTES if len(canary) >= 8]


def measured(
    table: pd.DataFrame, domains: Any = DOMAINS, epsilon: float = 1.0, **options: Any
) -> Release:
    return measure_projection(
        table, domains, epsilon=epsilon, delta=1e-6, ledger=Ledger(), **options
    )


def overheard(table: pd.DataFrame, **options: Any) -> tuple[Release, list[str]]:
    """A release, and all that is logged, warned of and printed on the way to it."""
    heard: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    printed, level = io.StringIO(), logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter('always')
            with redirect_stdout(printed), redirect_stderr(printed):
                release = measured(table, **options)
    finally:
        logging.root.removeHandler(handler)
        logging.root.setLevel(level)
    return release, [*heard, *(f'{w.category} {w.message}' for w in warned), printed.getvalue()]


def seeded_entropy(monkeypatch: pytest.MonkeyPatch, seed: int) -> list[int]:
    """The system's entropy replaced by a known stream; how much of it was asked for."""
    rng, asked = np.random.default_rng(seed), []

    def urandom(size: int) -> bytes:
        asked.append(size)
        return rng.bytes(size)

    monkeypatch.setattr('os.urandom', urandom)
    return asked


def shape(value: Any) -> Any:
    """Everything but the entries of ``values``: dtypes and shapes of arrays, the rest as it is."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.strides, value.flags.writeable
    if hasattr(value, '_values'):
        return type(value), {f.name: shape(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, list | tuple):
        return type(value), [shape(part) for part in value]
    return type(value), repr(value)


@pytest.mark.parametrize('plan', PLANS, ids=lambda p: f'{p.directions} {p.n_slices}')
def test_two_tables_have_releases_of_one_shape(plan):
    releases, heard = zip(*(overheard(t, plan=plan) for t in TABLES.values()), strict=True)

    assert shape(releases[0]) == shape(releases[1])
    assert heard[0] == heard[1] == ['']
    manifests = [release_manifest.to_manifest(release) for release in releases]
    assert repr(manifests[0]) == repr(manifests[1])
    assert releases[0].columns == releases[1].columns
    assert releases[0].summary() == releases[1].summary()
    assert releases[0] != releases[1]


@pytest.mark.parametrize('plan', PLANS[:2], ids=lambda p: f'{p.directions} {p.n_slices}')
def test_with_the_same_entropy_only_the_projections_differ(monkeypatch, plan):
    """Directions, and how much randomness is used up, do not depend on the rows.

    A tie of 63-bit words asks for more; its probability is below 1e-14 for each draw.
    """
    releases, asked = [], []
    for table in TABLES.values():
        asked.append(seeded_entropy(monkeypatch, 0))
        releases.append(measured(table, plan=plan))

    first, second = (release.projection for release in releases)
    assert asked[0] == asked[1]
    assert np.array_equal(first.directions, second.directions)
    assert not np.array_equal(first.values, second.values)


def test_with_the_same_entropy_the_same_table_gives_the_same_release(monkeypatch):
    """The twin: nothing but entropy and rows has a part in it."""
    releases = []
    for _ in range(2):
        seeded_entropy(monkeypatch, 0)
        releases.append(measured(TABLES['first']))
    assert releases[0] == releases[1]
    seeded_entropy(monkeypatch, 1)
    assert measured(TABLES['first']) != releases[0]


def attested_domains(world: str, public_domain: Any) -> tuple[ColumnDomain, ...]:
    return tuple(make_synthesizer(world, public_domain)._domains())


def contents(path: Any) -> bytes:
    """The file, and what is in it."""
    with zipfile.ZipFile(path) as archive:
        members = [archive.read(name) for name in archive.namelist()]
    return b'\n'.join([path.read_bytes(), *members])


def found_in(content: bytes) -> list[bytes]:
    return [canary for canary in CANARIES if canary in content]


@pytest.mark.parametrize('public_domain', [*PUBLIC_DOMAINS, 'all'], ids=repr)
def test_no_canary_is_in_a_saved_release(tmp_path, public_domain):
    # False alarms: a value of one row is released with a probability of at most delta = 1e-6.
    domains = DOMAINS if public_domain == 'all' else attested_domains('first', public_domain)
    release, heard = overheard(TABLES['first'], domains=domains)
    release.save(tmp_path / 'a.release')

    assert found_in(contents(tmp_path / 'a.release')) == []
    assert found_in(pickle.dumps(release)) == []
    assert found_in('\n'.join([*heard, repr(release), str(release.summary())]).encode()) == []
    assert found_in('\n'.join(reachable(release).values()).encode()) == []


@pytest.mark.parametrize('public_domain', [False, True], ids=repr)
def test_the_rows_are_not_kept(public_domain):
    table = TABLES['first'].copy()
    gone = weakref.ref(table)
    release = measured(table, attested_domains('first', public_domain))

    del table
    gc.collect()

    assert gone() is None
    assert release.projection.n_rows == N_ROWS


@pytest.mark.parametrize('order', ['reversed', 'shuffled'])
def test_names_and_index_of_the_rows_do_not_matter(monkeypatch, order):
    table = TABLES['first']
    index = np.arange(N_ROWS)[::-1] if order == 'reversed' else np.random.default_rng(0).integers(
        0, 9, N_ROWS
    )  # fmt: skip
    releases = []
    for rows in (table, table.set_axis(index)):
        seeded_entropy(monkeypatch, 0)
        releases.append(measured(rows))
    assert releases[0] == releases[1]


def test_the_table_is_left_as_it_was():
    table = TABLES['second'].copy()
    measured(table)
    pd.testing.assert_frame_equal(table, TABLES['second'], check_exact=True)


class TestTheTestsThemselves:
    """Releases that say more must be caught."""

    def test_a_canary_in_an_array_is_found(self, tmp_path):
        release = measured(TABLES['first'])
        values = release.projection.values.astype(np.int64)
        values[7, 0] = CANARY_INTEGER
        projection = type(release.projection)(
            *release.projection._values()[:2], values, *release.projection._values()[3:]
        )
        parts = {f.name: getattr(release, f.name) for f in fields(release)}
        Release(**{**parts, 'projection': projection}).save(tmp_path / 'a')
        assert found_in(contents(tmp_path / 'a'))

    def test_a_canary_that_is_attested_is_found(self, tmp_path):
        known = CategoricalDomain('place', 'categorical', ('Lima', 'Cali', CANARY_TEXTS[0]), True)
        measured(TABLES['first'], [known]).save(tmp_path / 'a')
        assert CANARY_TEXTS[0].encode() in found_in(contents(tmp_path / 'a'))

    def test_another_number_of_rows_is_seen(self):
        releases = [measured(TABLES['first'].iloc[:n]) for n in (N_ROWS, N_ROWS - 1)]
        assert shape(releases[0]) != shape(releases[1])

    def test_words_are_overheard(self, monkeypatch):
        def noisy(self: pd.DataFrame) -> int:
            logging.getLogger('anyone').debug('a row')
            warnings.warn('a cell', stacklevel=1)
            print('a value')  # noqa: T201
            return N_ROWS

        monkeypatch.setattr(pd.DataFrame, '__len__', noisy)
        _, heard = overheard(TABLES['first'], domains=DOMAINS[4:5])
        monkeypatch.undo()
        assert {'a row', 'a value'} <= set('\n'.join(heard).split('\n'))
        assert any('a cell' in line for line in heard)
