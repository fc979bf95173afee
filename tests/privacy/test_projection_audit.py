"""Attacks on real projection releases: what they show must be less than the ledger claims.

One record is replaced by the one that is farthest away, the others play no part. An attacker who
knows both records and the public directions uses the likelihood ratio, which no other test beats.
False-alarm rates, on a correct mechanism, of all tests here together: below 1e-4.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, chi2, chisquare
from slice_noise import halved
from test_mutants import an_unclipped_record

from sdv_slicedp import audit_steps, curator, embedding, noise
from sdv_slicedp.accounting import REPLACE_ONE, delta_spent
from sdv_slicedp.audit_statistics import lower
from sdv_slicedp.audit_steps import ProjectedRow, far_apart, projected
from sdv_slicedp.directions import DIRECTION_UNIT
from sdv_slicedp.domain import CategoricalDomain, ColumnDomain, NumericalDomain
from sdv_slicedp.ledger import ProjectionEntry
from sdv_slicedp.projection import Projection
from sdv_slicedp.projection_privacy import calibrate_projection

EPSILON, DELTA = 5.0, 1e-6
RUNS = 1000
"""Releases per world. Against noise of half the scale the audit has a power above 0.999."""
ALPHA = 1e-5
LEVELS = (0.0, 0.5, 1.0, 2.0, 3.0)
"""Values of epsilon at which the claimed delta is attacked."""
Domains = tuple[ColumnDomain, ...]
Pair = tuple[pd.DataFrame, pd.DataFrame]
MIXED: Domains = (
    CategoricalDomain('word', 'categorical', ('a', 'b', 'c'), True),
    NumericalDomain('number', 'numerical', 0, 255, (1, 1), True),
    NumericalDomain('day', 'datetime', -9, 9, (86_400 * 10**9, 1), False),
)
NUMBERS: Domains = tuple(
    NumericalDomain(f'x{i}', 'numerical', 0, 100, (1, 1), False) for i in range(8)
)


def entry_for(
    domains: Domains, kind: str, slices: int | None, epsilon: float = EPSILON
) -> ProjectionEntry:
    return audit_steps.entry_for(domains, kind, slices, epsilon, DELTA)


def excess(domains: Domains, entry: ProjectionEntry, rows: Pair | None = None) -> float:
    """Largest ``P(guess) - exp(epsilon) P'(guess) - delta(epsilon)`` that is certain.

    Positive with a probability below ``ALPHA`` if the ledger's claim is true.
    """
    rows = rows or far_apart(domains)
    second, first = projected(rows, domains, entry, RUNS).scores
    share = ALPHA / (4 * len(LEVELS))
    found = []
    for epsilon in LEVELS:
        claim = delta_spent((entry,), epsilon, REPLACE_ONE)
        for right, wrong in ((second, first), (-first, -second)):
            least = lower(int((right > epsilon).sum()), RUNS, share)
            most = 1 - lower(int((wrong <= epsilon).sum()), RUNS, share)
            found.append(least - math.exp(epsilon) * most - claim)
    return max(found)


CASES = [
    (MIXED, 'orthonormal', None),
    (MIXED, 'orthonormal', 3),
    (MIXED, 'orthonormal', 11),
    (MIXED, 'sphere', 7),
    (NUMBERS, 'orthonormal', 1),
    (NUMBERS, 'sphere', 3),
]


@pytest.mark.parametrize(('domains', 'kind', 'slices'), CASES)
def test_no_release_shows_more_than_the_ledger_says(domains, kind, slices):
    # False alarms: below 1e-5 each.
    assert excess(domains, entry_for(domains, kind, slices)) <= 0


def test_the_attack_is_a_good_one():
    """It shows nearly all that the mechanism shows: the claim is not just very far off."""
    entry = entry_for(MIXED, 'orthonormal', None)
    second, first = projected(far_apart(MIXED), MIXED, entry, RUNS).scores
    guessed = np.mean(second > 0) - np.mean(first > 0)
    claim = delta_spent((entry,), 0.0, REPLACE_ONE)
    assert claim > 0.3
    assert abs(guessed - claim) < 5.5 * math.sqrt(0.5 / RUNS)  # false alarms: below 1e-6


def one_slice_without(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    drawn = noise.discrete_gaussian(shape, sigma)
    drawn[:, 0] = 0
    return drawn


def repeated(shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """The same noise for every slice of a row: their mean would be without."""
    drawn = noise.discrete_gaussian(shape, sigma)
    return drawn * 0 + drawn[:, :1]


class TestTheTestsThemselves:
    """Mechanisms with too little noise, or records that are too long, must be caught."""

    @pytest.mark.parametrize('draw', [halved, one_slice_without], ids=lambda f: f.__name__)
    @pytest.mark.parametrize(
        ('domains', 'kind', 'slices'), [CASES[0], CASES[3]], ids=['basis', 'sphere']
    )
    def test_too_little_noise_is_caught(self, monkeypatch, draw, domains, kind, slices):
        monkeypatch.setattr(curator, 'discrete_gaussian', draw)
        entry = entry_for(domains, kind, slices)
        if draw is halved:
            assert excess(domains, entry) > 0
        else:
            assert variance_level(domains, entry) < 1e-6

    def test_a_lattice_of_half_the_pitch_is_caught(self, monkeypatch):
        units = curator.pitch_units
        monkeypatch.setattr(curator, 'pitch_units', lambda entry: units(entry) // 2)
        assert excess(MIXED, entry_for(MIXED, 'orthonormal', None)) > 0

    def test_the_sensitivity_of_adding_a_row_is_caught(self):
        """As if a record moved from zero: by the norm of the encoding, 1 / sqrt(2) for numbers."""
        laid_out = embedding.blocks(NUMBERS)
        moved = embedding.sensitivity(laid_out) / 2
        entry = calibrate_projection('orthonormal', 8, 8, moved, EPSILON, DELTA)
        assert excess(NUMBERS, entry) > 0

    def test_records_that_are_not_clipped_are_caught(self, monkeypatch):
        rows = {domain.name: [0.0] for domain in NUMBERS}
        tables = pd.DataFrame(rows), pd.DataFrame({**rows, 'x3': [3000.0]})
        entry = entry_for(NUMBERS, 'orthonormal', None)
        assert excess(NUMBERS, entry, tables) <= 0
        an_unclipped_record(monkeypatch)
        assert excess(NUMBERS, entry, tables) > 0

    def test_directions_that_are_known_beforehand_are_caught(self, monkeypatch):
        """The noise counts on chance: who knows the directions aims at them with two records."""
        each = round(DIRECTION_UNIT / math.sqrt(len(NUMBERS)))
        known = np.full((len(NUMBERS), 1), each, dtype=np.int64)
        tables = far_apart(NUMBERS)
        entry = entry_for(NUMBERS, 'orthonormal', 1)
        monkeypatch.setattr(curator, 'draw_directions', lambda *_: known)
        assert excess(NUMBERS, entry, tables) > 0


def variance_level(domains: Domains, entry: ProjectionEntry, copies: int = 3000) -> float:
    """Level at which some slice's noise has not the scale of the ledger, Bonferroni included."""
    world = ProjectedRow(far_apart(domains)[0], domains, copies)
    projection = world.release(entry)
    residuals = projection.values * projection.pitch - world.exact(projection)
    totals = ((residuals / entry.sigma) ** 2).sum(axis=0)
    tails = 2 * np.minimum(chi2.cdf(totals, copies), chi2.sf(totals, copies))
    return float(min(tails.min() * len(tails), 1.0))


def correlation(domains: Domains, entry: ProjectionEntry, copies: int) -> float:
    """Largest correlation between slices, or between a row and the next, in standard errors."""
    world = ProjectedRow(far_apart(domains)[0], domains, copies)
    values = world.release(entry).values.astype(np.float64)
    values -= values.mean(axis=0)
    between = np.corrcoef(values, rowvar=False)[np.triu_indices(values.shape[1], 1)]
    following = [np.corrcoef(v[1:], v[:-1])[0, 1] for v in values.T]
    return float(np.abs([*between, *following]).max() * math.sqrt(copies))


class TestResiduals:
    """The noise itself, on every slice."""

    @pytest.mark.parametrize('slices', [None, 2, 13])
    @pytest.mark.parametrize('kind', ['orthonormal', 'sphere'])
    def test_every_slice_has_the_noise_that_the_ledger_says(self, kind, slices):
        # False alarms: below 1e-6 each.
        assert variance_level(MIXED, entry_for(MIXED, kind, slices)) > 1e-6

    def test_noises_are_independent(self, monkeypatch):
        # 6 standard errors; false alarms: below 1e-6.
        entry = entry_for(MIXED, 'orthonormal', 14)
        assert correlation(MIXED, entry, 2000) < 6
        monkeypatch.setattr(curator, 'discrete_gaussian', repeated)
        assert correlation(MIXED, entry, 2000) > 6


class TestOrder:
    """A row's place in the release says nothing of its place in the table."""

    n_rows = 5

    def places(self, place: int, runs: int = 600) -> np.ndarray:
        """Where the release shows a row that stands out, counted over many releases."""
        low, high = (ProjectedRow(row, NUMBERS) for row in far_apart(NUMBERS))
        rows = [far_apart(NUMBERS)[0]] * self.n_rows
        rows[place] = far_apart(NUMBERS)[1]
        world = ProjectedRow(pd.concat(rows, ignore_index=True), NUMBERS)
        entry = entry_for(NUMBERS, 'orthonormal', None, 50.0)
        found = []
        for _ in range(runs):
            projection = world.release(entry)
            outward = high.exact(projection) - low.exact(projection)
            found.append(int(np.argmax(projection.values @ outward)))
        return np.bincount(found, minlength=self.n_rows)

    @pytest.mark.parametrize('place', [0, 3, 4])
    def test_every_place_is_as_likely(self, place):
        # False alarms: below 1e-6 each.
        assert chisquare(self.places(place)).pvalue > 1e-6

    def test_every_order_is_as_likely_for_the_sorter(self):
        orders = np.array([noise.random_order(3) for _ in range(6000)]) @ [9, 3, 1]
        counts = np.unique(orders, return_counts=True)[1]
        assert len(counts) == 6 and chisquare(counts).pvalue > 1e-6

    @pytest.mark.parametrize(
        'order', [np.arange, lambda n: np.roll(np.arange(n), np.random.default_rng().integers(2))]
    )
    def test_rows_in_order_or_nearly_are_caught(self, monkeypatch, order):
        monkeypatch.setattr(curator, 'random_order', order)
        assert chisquare(self.places(3, 200)).pvalue < 1e-6


class TestFloats:
    """Noise added to floats leaves the secret in the low bits; integers have no such bits."""

    sigma, secret, draws = 7.46, 0.31, 200_000

    @pytest.mark.parametrize('kind', [np.float32, np.float64])
    def test_the_attack_works_on_noise_of_floats(self, kind):
        """One number tells the two worlds apart for certain, in half a percent of all cases.

        A sum near zero has the digits of the noise, which end where those of 0.31 end.
        """
        noises = np.random.default_rng(0).normal(0, self.sigma, self.draws).astype(kind)
        last_digit = float(np.spacing(kind(self.secret)))
        shown = []
        for x in (0.0, self.secret):
            sums = (kind(x) + noises).astype(np.float64)
            shown.append(np.mean((np.abs(sums) < 0.06) & (sums / last_digit % 1 != 0)))
        assert shown[1] == 0
        assert 0.004 < shown[0] < 0.008

    def test_it_does_not_on_the_lattice(self):
        """All low bits are alike in both worlds; false alarms: below 1e-6 each."""
        low, high = far_apart(MIXED)
        entry = entry_for(MIXED, 'orthonormal', None)
        for row in (low, high):
            values = ProjectedRow(row, MIXED, 3000).release(entry).values
            assert values.dtype.kind == 'i'
            for modulus in (2, 64):
                counts = np.bincount(values.ravel() % modulus, minlength=modulus)
                assert chisquare(counts).pvalue > 1e-6

    def test_every_integer_is_possible_in_either_world(self):
        """The law that is sampled from has no gap, so no value excludes a record."""
        scale = entry_for(MIXED, 'orthonormal', None).lattice_scale
        table = noise.noise_table(scale)
        inside = int(12 * scale)
        high, low = (bits[: inside + 1].astype(object) for bits in table)
        assert np.all(np.diff(high * 2**64 + low) > 0)

    def test_floats_of_a_release_are_functions_of_its_integers(self):
        projection = ProjectedRow(far_apart(MIXED)[0], MIXED).release(entry_for(MIXED, 'sphere', 4))
        twin = Projection(
            projection.kind,
            projection.directions,
            projection.values.copy(),
            projection.pitch,
            projection.sigma,
        )
        assert np.array_equal(projection.rows(), twin.rows())


class TestDirections:
    """Directions are new for every release, and nobody can ask for them again."""

    def test_they_are_never_the_same(self):
        import random

        import torch

        entry = entry_for(MIXED, 'orthonormal', None)
        drawn = []
        for _ in range(2):
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002
            torch.manual_seed(0)
            drawn.append(ProjectedRow(far_apart(MIXED)[0], MIXED).release(entry))
        assert not np.array_equal(drawn[0].directions, drawn[1].directions)
        assert not np.array_equal(drawn[0].values, drawn[1].values)

    def test_they_do_not_depend_on_the_rows(self):
        """Same law in both worlds: squares of an entry are Beta(1/2, (d - 1)/2)."""
        from scipy.stats import kstest

        entry = entry_for(MIXED, 'orthonormal', 2)
        law = beta(0.5, (entry.dimension - 1) / 2).cdf
        for world in (ProjectedRow(row, MIXED) for row in far_apart(MIXED)):
            entries = [world.release(entry).matrix[0, 1] for _ in range(800)]
            assert kstest(np.square(entries), law).pvalue > 1e-6
