"""Checks that catch wrong mechanisms, for the tests and for the mutants of ``test_mutants.py``.

A check is a function without arguments that raises ``AssertionError`` if a guarantee is broken.
False-alarm rates on a correct mechanism: below 1e-4 each.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
import pytest
import structure
import torch
from slice_noise import (
    DELTA,
    DOMAINS,
    EPSILON,
    ROWS,
    Slices,
    common,
    correlations,
    releases,
    releases_as_slices,
    slices_of,
    variance_level,
)

from sdv_slicedp import curator
from sdv_slicedp import mechanism as mechanisms
from sdv_slicedp.accounting import Ledger, LedgerEntry, delta_spent, epsilon_spent, mu_squared
from sdv_slicedp.audit import audit_step
from sdv_slicedp.audit_steps import entry_for
from sdv_slicedp.curator import Curator
from sdv_slicedp.directions import draw_directions
from sdv_slicedp.domain import CategoricalDomain, NumericalDomain
from sdv_slicedp.embedding import blocks
from sdv_slicedp.grid import Cells
from sdv_slicedp.release import ColumnRelease


def says(number: int, texts: Iterable[str]) -> bool:
    """Whether a number stands in a text by itself."""
    alone = re.compile(rf'(?<![\d.]){number}(?!\.?\d)|(?<![\d.]){number}\.0(?!\d)')
    return any(alone.search(text) for text in texts)


def every_slice_has_its_noise(world: list[Slices] | None = None) -> None:
    """The scale of the noise on each slice is the ledger's; false alarms: below 1e-5 in all."""
    world = world or releases_as_slices(40)
    for name in common(world):
        parts = [slices[name] for slices in world]
        assert variance_level([s.residuals for s in parts], [s.sigma for s in parts]) > 1e-6, name


def noises_are_independent(world: list[Slices] | None = None) -> None:
    """Between slices and between releases, to 5.5 standard errors; false alarms: below 1e-6."""
    assert max(correlations(world or releases_as_slices(50))) < 5.5


def seeds_do_not_repeat_the_noise() -> None:
    """Whatever a user seeds; equal by chance with a probability far below 1e-6."""
    found = []
    for _ in range(2):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        slices = slices_of(releases(ROWS, 1)[0])
        found.append(np.concatenate([s.residuals for s in slices.values()]))
    assert found[0].shape != found[1].shape or not np.array_equal(*found)


def the_ledger_lists_all_slices() -> None:
    """Every noisy vector of a release has an entry of its scale, and all together the budget.

    The number of rows has an entry too; it plans the scales and is not in the release.
    """
    for release in releases(ROWS, 5):
        sigmas = [s.sigma for s in slices_of(release).values()]
        shown = [entry for entry in release.ledger if entry.stage != 'rows']
        assert [entry.slices for entry in release.ledger if entry not in shown] == [1]
        listed = [entry.sigma for entry in shown for _ in range(entry.slices)]
        assert sorted(sigmas) == sorted(listed)
        assert mu_squared(shown) == pytest.approx(sum(s**-2 for s in sigmas))
        assert epsilon_spent(release.ledger, DELTA) <= EPSILON
        assert delta_spent(release.ledger, EPSILON) <= DELTA


def a_step_shows_no_more_than_it_claims(step: str, runs: int = 400) -> None:
    """The best attack on one private step; false alarms: below 1e-4."""
    finding = audit_step(step, EPSILON, DELTA, runs, 1 - 1e-4)
    assert finding.holds, finding
    assert finding.bound > 0, 'the audit says nothing'


def one_record_shows_nowhere(mechanism: str) -> None:
    """In ranges, decimals, categories and gaps of a release; false alarms: below 1e-5."""
    structure.hits.cache_clear()
    try:
        assert structure.leaked((structure.OUTLIER, structure.SECRET), mechanism) == set()
    finally:
        structure.hits.cache_clear()


class Answer(np.ndarray):
    """Noise that hides all of what it is added to."""

    def __radd__(self, exact: np.ndarray) -> np.ndarray:
        return np.array(self)

    __add__ = __radd__


def answers_alone_decide(mechanism: str) -> None:
    """Two tables with the same noisy answers get the same questions and the same release.

    So domains, the number of slices, scales and all else depend on the rows through answers only.
    """
    found = []
    for table in strangers(40, 90 if mechanism == 'histogram' else 40):
        asked = iter(range(10**6))

        def answer(shape: int | tuple[int, ...], sigma: float, asked=asked) -> np.ndarray:
            drawn = np.random.default_rng(next(asked)).random(shape)
            return (2000 * (drawn > 0.9)).astype(np.int64).view(Answer)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(curator, 'discrete_gaussian', answer)
            patch.setattr(curator, 'draw_directions', _known_directions)
            patch.setattr(curator, 'partition_threshold', lambda *_: 10**6)
            ask = getattr(mechanisms, ASKS[mechanism])
            ledger = Ledger()
            release = ask(table, STRANGE, epsilon=EPSILON, delta=DELTA, ledger=ledger)
        found.append((release, ledger.entries))
    assert found[0] == found[1]


ASKS = {'histogram': 'measure', 'projection': 'measure_projection'}
STRANGE = [
    NumericalDomain('amount', 'numerical', None, None, None, True),
    NumericalDomain('day', 'datetime', None, None, None, True),
    CategoricalDomain('word', 'categorical', None, True),
    CategoricalDomain('listed', 'categorical', ('a', 'b', 'c'), True, True),
    NumericalDomain('number', 'numerical', 0, 50, (1, 1), False),
]


def strangers(*sizes: int) -> list[pd.DataFrame]:
    """Tables with nothing in common but their columns."""
    tables = []
    for i, n in enumerate(sizes):
        number = np.arange(n, dtype=np.float64)
        gaps = np.where(number % 3 == 0, np.nan, number) if i else number
        words = np.array([f'word {i} {k % 4}' for k in range(n)], dtype=object)
        tables.append(
            pd.DataFrame(
                {
                    'amount': gaps * 10.0 ** (4 * i) + 0.25 * i,
                    'day': (gaps + 1000 * i) * 86_400e9 + i,
                    'word': words,
                    'listed': pd.Series(['ab'[i]] * n, dtype=object),
                    'number': number % 7 + 20 * i,
                }
            )
        )
    return tables


@cache
def _known_directions(kind: str, dimension: int, slices: int) -> np.ndarray:
    return draw_directions(kind, dimension, slices)


def no_noise(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
    return np.zeros(shape, dtype=np.int64)


def curator_answers(rows: pd.DataFrame) -> dict[str, list[np.ndarray]]:
    """What a curator answers to questions about ``x``, ``y`` and ``z``."""
    x, y, z = DOMAINS
    codes = [np.arange(3), np.arange(2)]
    columns = [
        ColumnRelease(domain, (), code, code, code, len(code))
        for domain, code in zip((x, y), codes, strict=True)
    ]
    entry = LedgerEntry('pairs', 'text', 1, 1.0, 1)
    asked = Curator(rows, Ledger())
    asked.encode(columns)
    return {
        'counts': asked.counts('one-column', '', [(y, Cells(codes[1], codes[1]))], 1.0),
        'resolutions': asked.resolutions([z], 1.0),
        'tables': asked.tables([(0, 1)], entry),
        'distances': [asked.distances([(0, 1)], [np.full((3, 2), 20)], 1.0)],
    }


def a_row_changes_one_count_by_one() -> None:
    """Without noise, an answer changes by 1 in one entry, whichever row is added."""
    tables = [pd.concat([ROWS, ROWS.iloc[[i]]], ignore_index=True) for i in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator, 'discrete_gaussian', no_noise)
        before, *others = (curator_answers(table) for table in (ROWS, *tables))
    for after in others:
        for question, vectors in before.items():
            changes = [np.abs(a - b).sum() for a, b in zip(vectors, after[question], strict=True)]
            assert changes == [1], question


def answers_are_integers() -> None:
    """All that a curator answers is 64-bit integers; floats would show in their low bits."""
    for question, vectors in curator_answers(ROWS).items():
        assert all(vector.dtype == np.int64 for vector in vectors), question


NUMBERS = [NumericalDomain(f'x{i}', 'numerical', 0, 100, (1, 1), False) for i in range(8)]


def a_long_record_moves_no_farther_than_stated() -> None:
    """On a full basis, a record far outside of the domain moves by the sensitivity at most."""
    entry = entry_for(NUMBERS, 'orthonormal', None, EPSILON, DELTA)
    rows = [pd.DataFrame({d.name: [value] for d in NUMBERS}) for value in (-1e5, 1e5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curator, 'discrete_gaussian', no_noise)
        patch.setattr(curator, 'draw_directions', _known_directions)
        first, second = (Curator(row, Ledger()).project(blocks(NUMBERS), entry) for row in rows)
    moved = np.linalg.norm((first.values - second.values) * first.pitch)
    assert 0.99 * entry.sensitivity < moved <= entry.sensitivity + entry.rounding
