"""An audit of a whole ``fit`` by a single run: many canaries, each there by a coin of its own.

Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023,
arXiv 2305.08846. One run is a weak test, but it looks at all that a fit releases. It is for the
histogram mechanism: lines of a projection come in random order, which hides whose they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sdv.metadata import Metadata

from sdv_slicedp.audit_statistics import one_run_epsilon
from sdv_slicedp.ledger import positive_integer
from sdv_slicedp.release import Release
from sdv_slicedp.spending import ADD_OR_REMOVE_ONE
from sdv_slicedp.synthesizer import SlicedDPSynthesizer

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TABLE = 'canaries'
KNOWN_COPIES = 100
"""Known rows of each canary's kind, so that its cells are not pooled with others."""


@dataclass(frozen=True)
class OneRun:
    """What one fit has shown of its canaries.

    Attributes:
        canaries: Number of canaries.
        guesses: How many of them the attacker guessed.
        right: Guesses that were right.
        claim: Epsilon that was asked for, at ``delta``.
        delta: At which epsilon is meant.
        bound: Lower bound of epsilon.
    """

    canaries: int
    guesses: int
    right: int
    claim: float
    delta: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the claim is not refuted."""
        return self.bound <= self.claim

    def __str__(self) -> str:
        """One line of a table under ``audit.HEADING``."""
        guessed = f'fit, {self.right} of {self.guesses}'
        end = '' if self.holds else '  REFUTED'
        return (
            f'{guessed:<20}{ADD_OR_REMOVE_ONE:<20}{self.canaries:>8,}{self.claim:>9.3f}'
            f'{"-":>9}{self.bound:>11.3f}{end}'
        )


def audit_fit(
    epsilon: float, delta: float, canaries: int = 500, confidence: float = 0.999
) -> OneRun:
    """Fit once and guess which canaries were in the table.

    Args:
        epsilon: Budget of the fit.
        delta: Budget of the fit.
        canaries: Number of canaries, at least 10; a fifth of them are guessed.
        confidence: Probability, at least, that the bound is not too large.

    Raises:
        ValueError: If an argument is out of range.
    """
    if positive_integer('canaries', canaries) < 10:
        raise ValueError(f'canaries must be at least 10, got {canaries}.')
    if not 0 < confidence < 1:
        raise ValueError(f'confidence must be between 0 and 1, got {confidence}.')
    candidates = _candidates(canaries)
    rng = np.random.default_rng()
    coins = rng.random(canaries) < 0.5
    known = pd.concat([candidates] * KNOWN_COPIES, ignore_index=True)
    table = pd.concat([known, candidates[coins]], ignore_index=True)
    synthesizer = SlicedDPSynthesizer(
        _metadata(canaries),
        epsilon=epsilon,
        delta=delta,
        public_domain=True,
        epochs=1,
        n_components=2,
        enable_gpu=False,
    )
    synthesizer.fit({TABLE: table})
    order = np.argsort(scores(synthesizer.get_release(), known, candidates))
    each = canaries // 10
    right = int(coins[order[-each:]].sum() + (~coins[order[:each]]).sum())
    bound = one_run_epsilon(canaries, 2 * each, right, delta, 1 - confidence)
    return OneRun(canaries, 2 * each, right, epsilon, delta, bound)


def scores(release: Release, known: pd.DataFrame, candidates: pd.DataFrame) -> Floats:
    """What the counts of a release say for each candidate being in the table, shape ``(m,)``."""
    found = np.zeros(len(candidates))
    cells = []
    for column in release.columns:
        places = [t[column.domain.name].to_numpy(np.int64) for t in (known, candidates)]
        for level in column.levels:
            at = [np.searchsorted(level.upper, place) for place in places]
            found += _evidence(at[0], at[1], level.counts, level.sigma)
        cells.append([column.bins[np.searchsorted(column.fine_upper, place)] for place in places])
    for marginal in release.marginals:
        shape = marginal.counts.shape
        at = [
            np.ravel_multi_index([cells[i][which] for i in marginal.columns], shape)
            for which in (0, 1)
        ]
        found += _evidence(at[0], at[1], marginal.counts.ravel(), marginal.sigma)
    return found


def _evidence(known: Integers, candidates: Integers, counts: Integers, sigma: float) -> Floats:
    """Log-likelihood ratios; cells that candidates share say too little of any of them."""
    alone = np.bincount(candidates, minlength=len(counts))[candidates] == 1
    expected = np.bincount(known, minlength=len(counts))[candidates] + 0.5
    return np.asarray(alone * (counts[candidates] - expected) / sigma**2)


def _candidates(canaries: int) -> pd.DataFrame:
    """Rows that differ in their first column; values are their own positions in the domain."""
    number = np.arange(canaries)
    return pd.DataFrame({'kind': number, 'side': number % 2, 'size': number % 7})


def _metadata(canaries: int) -> Metadata:
    columns: dict[str, dict[str, object]] = {
        'kind': {'sdtype': 'categorical', 'range_values': list(range(canaries))},
        'side': {'sdtype': 'categorical', 'range_values': [0, 1]},
        'size': {'sdtype': 'numerical', 'range_min': 0, 'range_max': 6, 'decimal_places': 0},
    }
    described = {name: {**column, 'range_is_nullable': False} for name, column in columns.items()}
    return Metadata.load_from_dict({'tables': {TABLE: {'columns': described}}})
