"""The noisy number of rows, and attacks on steps that plan or end a fit: faults must be caught."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from checks import a_step_shows_no_more_than_it_claims
from memory import remembered_accounting
from scipy.stats import chi2

from sdv_slicedp import curator, noise
from sdv_slicedp.accounting import Ledger, LedgerEntry, mu_squared
from sdv_slicedp.curator import Curator
from sdv_slicedp.noise import admissible_sigma

SIGMA = admissible_sigma(3.0)
TABLE = pd.DataFrame({'x': np.zeros(50)})


@pytest.fixture(scope='module', autouse=True)
def _remember():
    with pytest.MonkeyPatch.context() as patch:
        remembered_accounting(patch)
        yield


def half_the_noise(shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
    return noise.discrete_gaussian(shape, admissible_sigma(sigma / 2))


def variance_level(draws: int = 1000) -> float:
    """Two-sided level at which the scale of the noise on the number of rows is rejected."""
    found = np.array([Curator(TABLE, Ledger()).row_count(SIGMA) for _ in range(draws)])
    total = float((((found - len(TABLE)) / SIGMA) ** 2).sum())
    return 2 * min(chi2.cdf(total, draws), chi2.sf(total, draws))


def test_the_number_of_rows_has_its_noise(monkeypatch):
    # False alarms: below 1e-6.
    assert variance_level() > 1e-6
    monkeypatch.setattr(curator, 'discrete_gaussian', half_the_noise)
    assert variance_level() < 1e-6


def test_it_is_in_the_ledger_before_it_is_asked():
    ledger = Ledger()
    with pytest.raises(TypeError):
        Curator(None, ledger).row_count(SIGMA)  # type: ignore[arg-type]
    assert ledger.entries == (LedgerEntry('rows', 'number of rows', 1, SIGMA, 1),)
    assert mu_squared(ledger.entries) == pytest.approx(1 / SIGMA**2)


@pytest.mark.parametrize('step', ['rows', 'projection-sphere', 'projection'])
def test_an_attack_catches_noise_of_half_the_scale(step, monkeypatch):
    monkeypatch.setattr(curator, 'discrete_gaussian', half_the_noise)
    with pytest.raises(AssertionError):
        a_step_shows_no_more_than_it_claims(step, 800)


def test_a_row_that_counts_twice_is_caught(monkeypatch):
    real = Curator.row_count

    def twice(asked: Curator, sigma: float) -> int:
        return real(asked, sigma) + len(asked._table)

    def attack() -> None:
        a_step_shows_no_more_than_it_claims('rows', 800)

    attack()
    monkeypatch.setattr(Curator, 'row_count', twice)
    with pytest.raises(AssertionError):
        attack()
