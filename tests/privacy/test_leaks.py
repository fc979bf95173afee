"""What a fitted synthesizer holds, saves, logs, warns of and prints is a function of the release.

Two tables with nothing in common but their public schema are fitted with the mechanism replaced by
one and the same release (the only patch here): whatever differs afterwards went around the
mechanism. What went through it is audited in ``test_audit.py``. The projection mechanism has a
public number of rows, so there the tables are cut to the same length.
"""

from __future__ import annotations

import io
import logging
import pickle
import random
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache, partial
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import torch
from sdv.data_processing import DataProcessor
from sdv.metadata import Metadata
from state import differences, encodings, reachable
from worlds import (
    CANARY_INTEGER,
    CANARY_NUMBER,
    CANARY_TEXTS,
    CANARY_TIMES,
    MECHANISMS,
    PUBLIC_DOMAINS,
    QUICK,
    SCHEMA,
    TABLE,
    WORLDS,
    fixed_release,
    make_synthesizer,
    metadata_of,
    rows_for,
)

import sdv_slicedp
from sdv_slicedp import synthesizer as synthesizer_module
from sdv_slicedp.release import Release
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

TABLES = {name: make() for name, make in WORLDS.items()}
RELEASES = {
    (mechanism, repr(choice)): cache(partial(fixed_release, choice, mechanism))
    for mechanism in MECHANISMS
    for choice in PUBLIC_DOMAINS
}
"""Each made when it is first asked for."""
VOLATILE = re.compile(
    r'datetime\.datetime\([^)]*\)|SlicedDPSynthesizer_[\d.]+_[0-9a-f]{32}|\b0x[0-9a-f]+'
)
CANARY_BYTES = [
    *(text.encode() for text in (*CANARY_TEXTS, *CANARY_TIMES)),
    *(bytes for number in (CANARY_NUMBER, float(CANARY_INTEGER)) for bytes in encodings(number)),
    *(bytes for text in CANARY_TIMES for bytes in encodings(float(pd.Timestamp(text).value))),
]


# Four bytes are found by chance too often in noise.
LONG_CANARIES = [canary for canary in CANARY_BYTES if len(canary) >= 8]


def fit(synthesizer: SlicedDPSynthesizer, world: str) -> None:
    synthesizer.fit({TABLE: rows_for(synthesizer.mechanism, TABLES[world])})


def fit_in_two_steps(synthesizer: SlicedDPSynthesizer, world: str) -> None:
    table = rows_for(synthesizer.mechanism, TABLES[world])
    synthesizer.fit_processed_data(synthesizer.preprocess({TABLE: table}))


def fit_processed_alone(synthesizer: SlicedDPSynthesizer, world: str) -> None:
    """As with a table that another synthesizer has preprocessed."""
    processed = make_synthesizer(world, False).preprocess({TABLE: TABLES[world]})[TABLE]
    synthesizer.fit_processed_data({TABLE: rows_for(synthesizer.mechanism, processed)})


@pytest.fixture
def seam(monkeypatch: pytest.MonkeyPatch) -> Callable[[Release], None]:
    """Replaces the mechanism by one that answers every table with the same release."""

    def answer_with(release: Release) -> None:
        def measure(processed: Any, domains: Any, *, ledger: Any, **options: Any) -> Release:
            for entry in release.ledger:
                ledger.record(entry)
            return release

        def refuse(*_: Any, **__: Any) -> Release:
            raise AssertionError('the release is of the other mechanism')

        projects = release.projection is not None
        for name, mine in (('measure', not projects), ('measure_projection', projects)):
            monkeypatch.setattr(synthesizer_module, name, measure if mine else refuse)

    return answer_with


def settled_state(synthesizer: SlicedDPSynthesizer) -> dict[str, str]:
    """State without what differs between any two synthesizers: identity and sampling seed."""
    if synthesizer._model is not None:
        synthesizer._model.set_random_state(0)
    synthesizer._synthesizer_id = 'anonymous'
    return reachable(synthesizer)


def saved_bytes(synthesizer: SlicedDPSynthesizer) -> bytes:
    """What is saved, without the addresses by which PyTorch numbers the storages in a pickle."""
    content = cloudpickle.dumps(synthesizer)
    network = getattr(synthesizer._model, 'network', torch.nn.Module())
    for tensor in network.state_dict().values():
        address = str(tensor.untyped_storage()._cdata).encode()
        content = content.replace(address, b'0' * len(address))
    return content


@contextmanager
def overheard() -> Iterator[list[str]]:
    """All that is logged (at any level, by anyone), warned of and printed."""
    heard: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: heard.append(  # type: ignore[method-assign]
        f'{record.name} {record.getMessage()} {record.args} {record.exc_text}'
    )
    known = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    loggers = [logging.root, *known]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    printed = io.StringIO()
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    logging.root.addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter('always')
            with redirect_stdout(printed), redirect_stderr(printed):
                yield heard
    finally:
        logging.root.removeHandler(handler)
        for logger, level, disabled in before:
            logger.setLevel(level)
            logger.disabled = disabled
    heard.extend(f'{w.category.__name__} {w.message}' for w in warned)
    heard.append(printed.getvalue())


def without_identity(lines: list[str]) -> list[str]:
    return [VOLATILE.sub('', line) for line in lines]


def canaries_in(content: bytes, mechanism: str = 'histogram') -> list[bytes]:
    canaries = LONG_CANARIES if mechanism == 'projection' else CANARY_BYTES
    return [canary for canary in canaries if canary in content]


def module_state() -> dict[str, str]:
    """Values at module level in the package."""
    import sys

    modules = {n: m for n, m in sys.modules.items() if n.split('.')[0] == sdv_slicedp.__name__}
    return {
        f'{name}.{attribute}{path}': text
        for name, module in modules.items()
        for attribute, value in vars(module).items()
        if not attribute.startswith('__')
        for path, text in reachable(value).items()
    }


HISTOGRAM, PROJECTION = WAYS = [{'mechanism': mechanism} for mechanism in MECHANISMS]
NETWORKS = [
    {'mechanism': 'histogram', 'generator': 'mlp', 'batch_size': 8},
    {'mechanism': 'projection', 'generator': 'residual_mlp', 'batch_size': 8},
]
SOME = PUBLIC_DOMAINS[1]
# How rows come to the mechanism, and what is done with the release: no step sees both, so each
# meets every other kind of step once or more, but not in every combination.
CASES = [
    (fit, False, HISTOGRAM),
    (fit, SOME, HISTOGRAM),
    (fit, True, HISTOGRAM),
    (fit_in_two_steps, False, HISTOGRAM),
    (fit_processed_alone, False, HISTOGRAM),
    (fit, SOME, PROJECTION),
    (fit_in_two_steps, True, PROJECTION),
    (fit_processed_alone, False, PROJECTION),
    (fit, True, NETWORKS[0]),
    (fit_in_two_steps, False, NETWORKS[0]),
    (fit, False, NETWORKS[1]),
]


def named(value: Any) -> str:
    if isinstance(value, dict):
        return '-'.join(map(str, value.values()))
    return getattr(value, '__name__', repr(value))


@pytest.mark.parametrize('fit_table, public_domain, way', CASES, ids=named)
def test_two_tables_with_one_release_give_one_synthesizer(seam, fit_table, public_domain, way):
    seam(RELEASES[way['mechanism'], repr(public_domain)]())
    states, pickles, heard, samples = [], [], [], []
    for world in WORLDS:
        synthesizer = make_synthesizer(world, public_domain, **way)
        with overheard() as lines:
            fit_table(synthesizer, world)
        states.append(settled_state(synthesizer))
        pickles.append(saved_bytes(synthesizer))
        heard.append(without_identity(lines))
        samples.append(synthesizer.sample(20)[TABLE])
    assert len(states[0]) > 1000
    assert differences(*states) == set()
    assert pickles[0] == pickles[1]
    assert heard[0] == heard[1] and any("'Fit" in line for line in heard[0])
    assert samples[0].astype(object).equals(samples[1].astype(object))


def test_the_release_of_the_histograms_has_slices_of_three_columns():
    """Otherwise what becomes of them would not be looked at."""
    for choice in PUBLIC_DOMAINS:
        release = RELEASES['histogram', repr(choice)]()
        triples = [m for m in release.marginals if len(m.columns) == 3]
        assert len({m.columns[0] for m in triples}) == 2
        three, again = release.ledger[-2:]
        assert three.slices == len(triples) > 10
        assert again.slices == 2 * 8 - 1
        assert len(make_synthesizer('first', choice)._domains()) == len(release.columns) == 9


def test_tables_of_the_projection_mechanism_have_one_length():
    assert len({len(rows_for('projection', table)) for table in TABLES.values()}) == 1
    assert len({len(table) for table in TABLES.values()}) == 2
    rows = {RELEASES['projection', repr(c)]().projection.n_rows for c in PUBLIC_DOMAINS}
    assert rows == {len(rows_for('projection', TABLES['first']))}


@pytest.mark.parametrize('mechanism', MECHANISMS)
@pytest.mark.parametrize('step', ['validate', 'auto_assign_transformers', 'preprocess'])
def test_steps_that_spend_nothing_keep_nothing(step, mechanism):
    # Tables of different lengths for both: nothing is released yet, not the number of rows either.
    states, heard = [], []
    for world, table in TABLES.items():
        synthesizer = make_synthesizer(world, False, mechanism=mechanism)
        with overheard() as lines:
            getattr(synthesizer, step)({TABLE: table})
        states.append(settled_state(synthesizer))
        heard.append(without_identity(lines))
        assert canaries_in(cloudpickle.dumps(synthesizer)) == []
    assert differences(*states) == set() and heard[0] == heard[1]


@pytest.mark.parametrize('mechanism', MECHANISMS)
@pytest.mark.parametrize('public_domain', PUBLIC_DOMAINS, ids=repr)
def test_no_canary_passes_the_real_mechanism(public_domain, mechanism):
    # False alarms: a value that one row has is released with probability at most delta = 1e-6.
    epsilon = 20.0 if public_domain is True else 1.0  # so few rows have slices of three at 20 only
    synthesizer = make_synthesizer('first', public_domain, epsilon=epsilon, mechanism=mechanism)
    with overheard() as lines:
        fit(synthesizer, 'first')
        rows = synthesizer.sample(300)[TABLE]
    if public_domain is True:  # where domains are discovered, noise may leave no hub
        three = {len(m.columns) for m in synthesizer.get_release().marginals} >= {2, 3}
        assert three == (mechanism == 'histogram')
    report = f'{synthesizer.get_privacy_report().to_dict()} {synthesizer.get_privacy_report()}'
    shown = '\n'.join([*lines, report, rows.to_csv(), repr(rows.dtypes)]).encode()
    held = '\n'.join(module_state().values()).encode()
    saved = cloudpickle.dumps(synthesizer), pickle.dumps(synthesizer.get_release())
    for content in (shown, *saved, held):
        assert canaries_in(content, mechanism) == []


@pytest.mark.parametrize('mechanism', MECHANISMS)
@pytest.mark.parametrize('public_domain', [False, SOME], ids=repr)
def test_ranges_read_from_the_table_do_not_survive(public_domain, mechanism):
    metadata = metadata_of('first', public_domain)
    columns = metadata.tables[TABLE].columns
    assert columns['rate']['range_max'] == CANARY_NUMBER
    assert set(columns['grade']['range_values']) == set('ABC')
    listed = columns['place']['range_values']
    assert (CANARY_TEXTS[0] in listed) == (not public_domain)
    release = RELEASES[mechanism, repr(public_domain)]()
    for synthesizer in (
        SlicedDPSynthesizer(metadata, public_domain=public_domain, mechanism=mechanism, **QUICK),
        SlicedDPSynthesizer.from_release(release, metadata, **QUICK),
    ):
        for version in ('original', 'modified'):
            kept = synthesizer.get_metadata(version).tables[TABLE].columns
            ranged = {name for name, column in kept.items() if set(column) & READ}
            assert ranged == set(public_domain or [])
        assert canaries_in(cloudpickle.dumps(synthesizer), mechanism) == []
        assert canaries_in('\n'.join(reachable(synthesizer).values()).encode(), mechanism) == []


READ = {'range_min', 'range_max', 'range_values', 'range_is_nullable', 'decimal_places'}


@pytest.mark.parametrize(
    'fit_table, way',
    [(fit_in_two_steps, HISTOGRAM), *((fit, way) for way in (*WAYS, *NETWORKS))],
    ids=named,
)
def test_fitting_changes_nothing_outside(seam, fit_table, way):
    # Draws per row would leave the number of rows in the position of a global random stream.
    seam(RELEASES[way['mechanism'], 'False']())
    before, data = random_streams(), {name: table.copy() for name, table in TABLES.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, table in data.items():
            table.index = pd.Index(range(5, 5 + 3 * len(table), 3), name='row')
            patch.setitem(TABLES, name, table)
            fit_table(make_synthesizer(name, False, **way), name)
    assert differences(before, random_streams()) == set()
    for name, table in data.items():
        expected = TABLES[name].set_axis(range(5, 5 + 3 * len(table), 3)).rename_axis('row')
        pd.testing.assert_frame_equal(table, expected, check_exact=True, check_freq=False)


def random_streams() -> dict[str, str]:
    state = np.random.get_state()  # noqa: NPY002
    return reachable([state, random.getstate(), torch.get_rng_state()])


def test_integer_names_of_columns_stay_the_users(seam):
    metadata = metadata_of('second', False).to_dict()
    numbers = {name: str(i) for i, name in enumerate(SCHEMA)}
    release = RELEASES['histogram', 'False']()
    table = TABLES['second'].copy()
    table.columns = range(len(SCHEMA))
    described = metadata['tables'][TABLE]
    described['columns'] = {numbers[n]: c for n, c in described['columns'].items()}
    described['primary_key'] = numbers['key']
    renamed = tuple(
        replace(c, domain=replace(c.domain, name=numbers[c.domain.name])) for c in release.columns
    )
    seam(replace(release, columns=renamed))
    synthesizer = SlicedDPSynthesizer(Metadata.load_from_dict(metadata), **QUICK)
    synthesizer.fit({TABLE: table})
    names = list(range(len(SCHEMA)))
    assert list(table.columns) == list(synthesizer.sample(2)[TABLE].columns) == names


def test_a_preprocessed_table_shares_no_memory_with_the_users():
    table = TABLES['first'].copy()
    processed = make_synthesizer('first', False).preprocess({TABLE: table})[TABLE]
    assert isinstance(processed.index, pd.RangeIndex)
    assert set(processed.columns) == set(SCHEMA) - {'key', 'account', 'email', 'note'}
    for name in processed:
        processed[name].to_numpy()[:] = processed[name].iloc[0]
    pd.testing.assert_frame_equal(table, TABLES['first'])


class Odd:
    """A cell that shows itself, and cannot be compared, hashed or converted."""

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return CANARY_TEXTS[0]

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise ValueError(CANARY_TEXTS[0])

    def __float__(self) -> float:
        raise ValueError(CANARY_TEXTS[0])


ODD_CELLS = [
    CANARY_TEXTS[0],
    CANARY_NUMBER,
    -CANARY_NUMBER * 1e300,
    CANARY_INTEGER * 10**200,
    CANARY_INTEGER * 10**400,
    float('inf'),
    [CANARY_TEXTS[0]],
    {CANARY_TEXTS[0]: CANARY_NUMBER},
    (CANARY_NUMBER,),
    CANARY_TEXTS[0].encode(),
    complex(CANARY_NUMBER, 1),
    np.array([CANARY_NUMBER]),
    pd.Timestamp(CANARY_TIMES[0], tz='Asia/Tokyo'),
    np.datetime64('9999-12-31'),
    '9999-99-99 99:99:99',
    '\ud800' + CANARY_TEXTS[0],
    pd.NA,
    pd.NaT,
    Odd(),
]


def with_odd_cells(odd: Any) -> pd.DataFrame:
    """The second table as objects, with one cell replaced in every column."""
    table = TABLES['second'].astype(object)
    for name in table.columns:
        cells = np.empty(len(table), dtype=object)
        for i, cell in enumerate(table[name]):
            cells[i] = cell
        cells[3] = odd
        table[name] = pd.Series(cells, dtype=object)
    return table


@cache
def quick_release(mechanism: str) -> Release:
    """Quick to train on: of histograms, the columns alone."""
    release = RELEASES[mechanism, 'False']()
    return replace(release, marginals=())


def heard_of(cell: Any, mechanism: str) -> list[str]:
    synthesizer = make_synthesizer('second', False, mechanism=mechanism)
    table = with_odd_cells(cell)
    with overheard() as lines:
        synthesizer.fit_processed_data(synthesizer.preprocess({TABLE: table}))
    return without_identity(lines)


heard_of_an_ordinary_one = cache(partial(heard_of, 'an ordinary one'))


# The mechanism is chosen only after cells have been read: a few show that this is so.
@pytest.mark.parametrize(
    'odd, mechanism',
    [
        *((odd, 'histogram') for odd in ODD_CELLS),
        *((odd, 'projection') for odd in (ODD_CELLS[0], CANARY_INTEGER * 10**400, Odd())),
    ],
    ids=lambda v: str(v) if isinstance(v, str) and v in MECHANISMS else type(v).__name__,
)
def test_no_cell_is_refused_or_heard_of(seam, odd, mechanism):
    seam(quick_release(mechanism))
    assert heard_of(odd, mechanism) == heard_of_an_ordinary_one(mechanism)


def spoiled(name: str, values: Any) -> pd.DataFrame:
    table = TABLES['first'].copy()
    table[name] = values
    return table


N = len(TABLES['first'])
DAYS = pd.Series(pd.Timestamp(CANARY_TIMES[0])).repeat(N).to_numpy()
REFUSED: dict[str, Callable[[], Any]] = {
    'text as numbers': lambda: spoiled('rate', pd.array([CANARY_TEXTS[0]] * N, dtype='string')),
    'dates as numbers': lambda: spoiled('rate', DAYS),
    'numbers as dates': lambda: spoiled('day', [CANARY_NUMBER] * N),
    'numbers as booleans': lambda: spoiled('member', [CANARY_INTEGER] * N),
    'dates as categories': lambda: spoiled('place', DAYS),
    'complex numbers': lambda: spoiled('rate', [complex(CANARY_NUMBER, 1)] * N),
    'sparse booleans': lambda: spoiled(
        'member', pd.arrays.SparseArray([CANARY_NUMBER] * N, fill_value=CANARY_NUMBER)
    ),
    'periods': lambda: spoiled('place', pd.period_range(CANARY_TIMES[0], periods=N, freq='s')),
    'intervals': lambda: spoiled('place', pd.interval_range(CANARY_NUMBER, periods=N)),
    'a missing column': lambda: TABLES['first'].drop(columns='rate'),
    'a new column': lambda: TABLES['first'].assign(unknown=CANARY_TEXTS[0]),
    'two columns of a name': lambda: TABLES['first'][[*SCHEMA, 'rate']],
    'no rows': lambda: TABLES['first'].iloc[:0],
    'no table': lambda: TABLES['first'].to_dict(),
    'a list of rows': lambda: TABLES['first'].to_numpy(),
    'a column': lambda: TABLES['first']['rate'],
}


def everything_said(error: BaseException) -> str:
    """Messages of an error and of all that led to it, shown or not."""
    said = ''.join(traceback.format_exception(error))
    chain: list[BaseException | None] = [error]
    while (last := chain.pop()) is not None:
        said += f'{last!r} {last} {vars(last)}'
        chain += [last.__context__ if last.__cause__ is None else last.__cause__]
    return said


STEPS = ['validate', 'auto_assign_transformers', 'preprocess', 'fit']


@pytest.mark.parametrize(
    'case, mechanism',
    [*((case, 'histogram') for case in REFUSED), ('dates as numbers', 'projection')],
)
def test_no_error_shows_a_cell(case, mechanism):
    synthesizer = make_synthesizer('first', False, mechanism=mechanism)
    for step in STEPS:
        with overheard() as lines, pytest.raises(Exception) as caught:
            getattr(synthesizer, step)({TABLE: REFUSED[case]()})
        said = '\n'.join([everything_said(caught.value), *lines])
        assert canaries_in(said.encode('utf-8', 'surrogatepass')) == []
        assert str(N) not in re.findall(r'\d+', str(caught.value))
    assert not synthesizer.get_privacy_report().fits


@pytest.mark.parametrize(
    'spoil',
    [
        lambda p: p.assign(rate=CANARY_TEXTS[0]),
        lambda p: p.assign(place=CANARY_NUMBER, day=CANARY_TEXTS[0]),
        lambda p: p.astype(object).mask(p.index.to_series() % 2 == 0, CANARY_TEXTS[0], axis=0),
        lambda p: p.drop(columns='rate'),
        lambda p: p.iloc[:0],
        lambda p: p.assign(other=CANARY_NUMBER),
    ],
    ids=['text', 'mixed up', 'half text', 'column missing', 'empty', 'column too many'],
)
def test_no_error_shows_a_processed_cell(seam, spoil):
    seam(RELEASES['histogram', 'False']())
    synthesizer = make_synthesizer('first', False)
    processed = synthesizer.preprocess({TABLE: TABLES['first']})[TABLE]
    said = []
    with overheard() as lines:
        try:
            synthesizer.fit_processed_data({TABLE: spoil(processed)})
        except Exception as error:
            said.append(everything_said(error))
    assert canaries_in('\n'.join([*said, *lines]).encode()) == []


class TestTheTestsThemselves:
    """Twins that leak must be caught."""

    def test_sdvs_own_processor_is_caught(self):
        names, states = ['key', 'rate', 'place', 'note'], []
        for table in TABLES.values():
            columns = {name: SCHEMA[name] for name in names}
            metadata = Metadata.load_from_dict({'tables': {TABLE: {'columns': columns}}})
            processor = DataProcessor(metadata._convert_to_single_table())
            processor.fit(table[names].copy())
            states.append(reachable(processor))
        found = differences(*states)
        assert any('_min_value' in path for path in found)
        assert any('random_seed' in path for path in found)
        assert any('data_length' in path for path in found)
        assert canaries_in('\n'.join(states[0].values()).encode()) != []

    def test_a_range_that_is_attested_is_caught(self):
        columns = metadata_of('first', False)
        synthesizer = SlicedDPSynthesizer(columns, public_domain=['rate', 'grade'], **QUICK)
        assert canaries_in(cloudpickle.dumps(synthesizer)) != []

    @pytest.mark.parametrize(
        'hide',
        [
            lambda x: lambda: x,
            lambda x: lambda y=x: y,
            lambda x: {'deep': [({x},)]},
            lambda x: pd.Series([1], index=[x]),
            lambda x: pd.DataFrame({x: [1]}),
            lambda x: pd.Series([None], dtype=pd.CategoricalDtype([x])),
            lambda x: np.array([x], dtype=object),
            lambda x: (y for y in [x]),
            lambda x: type('Slotted', (), {'__slots__': ('x',)}),
        ],
    )
    def test_nothing_hides_from_the_walk(self, hide):
        hidden = hide(CANARY_TEXTS[0])
        if isinstance(hidden, type):
            hidden = hidden()
            hidden.x = CANARY_TEXTS[0]
        if hasattr(hidden, 'gi_frame'):
            hidden = _suspended(CANARY_TEXTS[0])
        assert canaries_in(repr(reachable(hidden)).encode()) != []

    def test_the_position_of_a_random_stream_is_seen(self):
        streams = [np.random.RandomState(0), np.random.RandomState(0)]
        assert differences(*map(reachable, streams)) == set()
        streams[1].random_sample(1)
        assert differences(*map(reachable, streams)) != set()

    def test_a_message_of_any_logger_is_overheard(self):
        with overheard() as lines:
            logging.getLogger('SingleTableSynthesizer').info({'rows': CANARY_TEXTS[0]})
            logging.getLogger('rdt').debug(CANARY_TEXTS[1])
            print(CANARY_TEXTS[2])  # noqa: T201
            warnings.warn(CANARY_TEXTS[3], stacklevel=1)
        assert set(CANARY_TEXTS) == {c for c in CANARY_TEXTS if c in '\n'.join(lines)}


def _suspended(secret: str) -> Iterator[int]:
    def count() -> Iterator[int]:
        held = secret
        yield 1
        yield len(held)

    counting = count()
    next(counting)
    return counting
