"""Deliberate faults, and the check that catches each of them.

A mutant that no check catches is a hole in the tests. Every check passes without the mutant: here,
or in ``test_step_audit.py`` for the attacks on single steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from checks import (
    a_long_record_moves_no_farther_than_stated,
    a_row_changes_one_count_by_one,
    a_step_shows_no_more_than_it_claims,
    answers_alone_decide,
    answers_are_integers,
    every_slice_has_its_noise,
    noises_are_independent,
    one_record_shows_nowhere,
    seeds_do_not_repeat_the_noise,
    the_ledger_lists_all_slices,
)
from memory import remembered_accounting
from slice_noise import dead_slice, halved, repeated_in_a_release, reused

from sdv_slicedp import curator, discovery, embedding, mechanism, noise, stages
from sdv_slicedp import domain as domain_module
from sdv_slicedp.curator import Curator
from sdv_slicedp.domain import NumericalDomain, to_units

Mutate = Callable[[pytest.MonkeyPatch], None]


def noise_of_half_the_scale(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(curator, 'discrete_gaussian', halved)


def half_the_sensitivity_of_a_projection(patch: pytest.MonkeyPatch) -> None:
    real = embedding.sensitivity
    patch.setattr(embedding, 'sensitivity', lambda laid_out: real(laid_out) / 2)


def a_row_counted_twice(patch: pytest.MonkeyPatch) -> None:
    def histogram(cells: np.ndarray, n_cells: int, sigma: float) -> np.ndarray:
        counts = np.bincount(np.repeat(cells[cells >= 0], 2), minlength=n_cells)
        return counts + curator.discrete_gaussian(n_cells, sigma)

    patch.setattr(curator, '_noisy_histogram', histogram)


def one_slice_without_noise(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(curator, 'discrete_gaussian', dead_slice)


def noise_reused_between_slices(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(curator, 'discrete_gaussian', repeated_in_a_release())


def noise_reused_between_runs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(curator, 'discrete_gaussian', reused())


def seeded_noise(patch: pytest.MonkeyPatch) -> None:
    def entropy(size: int) -> np.ndarray:
        return np.frombuffer(np.random.bytes(8 * size), dtype='<u8').astype(np.uint64)  # noqa: NPY002

    patch.setattr(noise, '_entropy', entropy)


def noise_of_floats(patch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng()
    patch.setattr(curator, 'discrete_gaussian', lambda shape, sigma: rng.normal(0, sigma, shape))


def bounds_from_the_data(patch: pytest.MonkeyPatch) -> None:
    """As if ranges read from the table were public."""

    def read(domain: Any, table: pd.DataFrame) -> Any:
        if not isinstance(domain, NumericalDomain) or domain.is_complete:
            return domain
        step = (10**9, 1) if domain.sdtype == 'datetime' else (1, 100)
        units = to_units(table[domain.name].dropna().to_numpy(), step).astype(int)
        return replace(domain, step=step, lower=int(units.min()), upper=int(units.max()))

    for name in ('measure', 'measure_projection'):
        real = getattr(mechanism, name)

        def ask(table: pd.DataFrame, domains: Any, *, real: Any = real, **options: Any) -> Any:
            return real(table, [read(domain, table) for domain in domains], **options)

        patch.setattr(mechanism, name, ask)


def categories_from_the_data(patch: pytest.MonkeyPatch) -> None:
    def categories(asked: Curator, names: list[str], *arguments: Any) -> dict[str, Any]:
        real_categories(asked, names, *arguments)
        return {name: discovery.in_public_order(set(asked._table[name].dropna())) for name in names}

    real_categories = Curator.categories
    patch.setattr(Curator, 'categories', categories)


def an_unledgered_row_count(patch: pytest.MonkeyPatch) -> None:
    real = mechanism.measure

    def measure(processed: pd.DataFrame, *arguments: Any, **options: Any) -> Any:
        release = real(processed, *arguments, **options)
        return replace(release, public_columns=(f'{len(processed)} rows',))

    patch.setattr(mechanism, 'measure', measure)


def an_unledgered_slice(patch: pytest.MonkeyPatch) -> None:
    def counts(asked: Curator, stage: str, text: str, slices: list[Any], sigma: float) -> list[Any]:
        few = real(asked, stage, text, slices[:-1], sigma) if len(slices) > 1 else []
        domain, cells = slices[-1]
        located = cells.locate(asked._positions(domain))
        return [*few, curator._noisy_histogram(located, len(cells), sigma)]

    real = Curator.counts
    patch.setattr(Curator, 'counts', counts)


def an_unclipped_record(patch: pytest.MonkeyPatch) -> None:
    def positions(values: pd.Series, domain: NumericalDomain) -> np.ndarray:
        return np.clip(values.to_numpy() * 10, -1e5, 1e5).astype(np.int64)

    def coordinates(domain: NumericalDomain, at: np.ndarray) -> np.ndarray:
        share = (at - domain.lower) / (domain.upper - domain.lower)
        return np.rint((2 * share - 1) * embedding.REACH).astype(np.int64)

    patch.setattr(domain_module, 'grid_positions', positions)
    patch.setattr(embedding, 'coordinates', coordinates)


def a_number_of_slices_from_the_data(patch: pytest.MonkeyPatch) -> None:
    real = stages.measure_columns

    def measure_columns(
        asked: Curator, columns: list[Any], budget: float, **options: Any
    ) -> list[Any]:
        if asked._table.isna().any(axis=None):
            real(asked, list(columns), budget / 2, **options)
        return real(asked, columns, budget / 2, **options)

    patch.setattr(stages, 'measure_columns', measure_columns)


def directions_from_the_data(patch: pytest.MonkeyPatch) -> None:
    real = Curator.project

    def project(asked: Curator, laid_out: Any, entry: Any) -> Any:
        drawn = curator.draw_directions(entry.directions, entry.dimension, entry.slices)
        sign = -1 if asked._table.isna().any(axis=None) else 1
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(curator, 'draw_directions', lambda *_: sign * drawn)
            return real(asked, laid_out, entry)

    patch.setattr(Curator, 'project', project)


MUTANTS: list[tuple[Mutate, Callable[[], None]]] = [
    (noise_of_half_the_scale, partial(a_step_shows_no_more_than_it_claims, 'domain')),
    (noise_of_half_the_scale, partial(a_step_shows_no_more_than_it_claims, 'one-column')),
    (noise_of_half_the_scale, partial(a_step_shows_no_more_than_it_claims, 'pairs')),
    (noise_of_half_the_scale, partial(a_step_shows_no_more_than_it_claims, 'projection-bases')),
    (
        half_the_sensitivity_of_a_projection,
        partial(a_step_shows_no_more_than_it_claims, 'projection-bases'),
    ),
    (a_row_counted_twice, a_row_changes_one_count_by_one),
    (one_slice_without_noise, every_slice_has_its_noise),
    (noise_reused_between_slices, noises_are_independent),
    (noise_reused_between_runs, noises_are_independent),
    (seeded_noise, seeds_do_not_repeat_the_noise),
    (noise_of_floats, answers_are_integers),
    (bounds_from_the_data, partial(answers_alone_decide, 'histogram')),
    (bounds_from_the_data, partial(answers_alone_decide, 'projection')),
    (bounds_from_the_data, partial(one_record_shows_nowhere, 'projection')),
    (categories_from_the_data, partial(answers_alone_decide, 'histogram')),
    (categories_from_the_data, partial(one_record_shows_nowhere, 'histogram')),
    (an_unledgered_row_count, partial(answers_alone_decide, 'histogram')),
    (an_unledgered_slice, the_ledger_lists_all_slices),
    (an_unclipped_record, a_long_record_moves_no_farther_than_stated),
    (a_number_of_slices_from_the_data, partial(answers_alone_decide, 'histogram')),
    (directions_from_the_data, partial(answers_alone_decide, 'projection')),
]


def named(value: Any) -> str:
    name = getattr(value, 'func', value).__name__
    return f'{name}-{value.args[0]}' if isinstance(value, partial) else name


@pytest.fixture(scope='module', autouse=True)
def _remember():
    with pytest.MonkeyPatch.context() as patch:
        remembered_accounting(patch)
        yield


@pytest.mark.parametrize(('mutate', 'check'), MUTANTS, ids=named)
def test_the_mutant_is_caught(mutate, check, monkeypatch):
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        check()


CHECKS = {
    named(check): check
    for _, check in MUTANTS
    if getattr(check, 'func', None) is not a_step_shows_no_more_than_it_claims
}


@pytest.mark.parametrize('name', CHECKS)
def test_the_check_passes_without_a_mutant(name):
    CHECKS[name]()
