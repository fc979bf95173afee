"""SlicedDPSynthesizer, by mechanism and neighbouring relation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import pandas as pd
from dp_accounting import get_epsilon_gaussian
from sdv.metadata import Metadata

from comparisons import budget
from comparisons.budget import ADD_OR_REMOVE_ONE, REPLACE_ONE
from comparisons.method import About
from sdv_slicedp import SlicedDPSynthesizer
from sdv_slicedp.accounting import budget_mu, epsilon_spent
from sdv_slicedp.ledger import Entry, LedgerEntry
from sdv_slicedp.projection_stages import ProjectionPlan
from sdv_slicedp.slices import HistogramPlan
from sdv_slicedp.training_plan import TrainingPlan

_SQUARED_SHIFTS = {ADD_OR_REMOVE_ONE: (1, 1), REPLACE_ONE: (2, 4)}
"""Squared L2 sensitivity of a histogram and of a score of ``selection``, by relation."""
_CORRECTION = 1e-10
_NOISE = 'Noise is discrete Gaussian, sampled exactly from system entropy. '
_ADAPTIVE = (
    'Gaussian or zero-concentrated privacy, whichever is less, of the scales in the ledger of the '
    'release; both bounds hold for adaptively chosen scales'
)


@dataclass(frozen=True)
class SlicedHistogram:
    """Noisy histograms of one to three columns, and a mixture trained on them.

    Attributes:
        target_columns: Columns that slices of three columns look at; ``None`` to choose by noise.
        generator: ``mixture``, ``mlp`` or ``residual_mlp``.
        epochs: Training steps; ``None`` for the default.
        n_components: Of the mixture; ``None`` for the default.
    """

    target_columns: tuple[str, ...] | None = None
    generator: str = 'mixture'
    epochs: int | None = None
    n_components: int | None = None
    relation: ClassVar[str] = ADD_OR_REMOVE_ONE
    title: ClassVar[str] = 'Sliced histograms'
    notes: ClassVar[str] = 'The number of rows is private. '

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title=self.title,
            private=True,
            neighboring_relation=self.relation,
            accountant=_ADAPTIVE,
            packages=('sdv-slicedp',),
            hyperparameters={
                **asdict(TrainingPlan()),
                **asdict(HistogramPlan()),
                **asdict(self),
            },
            notes=f'{self.notes}{_NOISE}All domains are attested as public.',
            reference='docs/method.md',
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedSlices:
        """Fit on all rows of ``table``.

        Raises:
            OverspentError: If the recorded noise is too small after all.
        """
        request = self._request(epsilon, delta)
        synthesizer = _fitted(table, metadata, request, delta, seed, self._options())
        events = events_of(synthesizer.get_release().ledger, delta, self.relation)
        budget.check(events, epsilon, delta)
        return FittedSlices(synthesizer, events)

    def _request(self, epsilon: float, delta: float) -> float:
        """Epsilon under ``add_or_remove_one`` to ask the synthesizer for."""
        return epsilon

    def _options(self) -> dict[str, Any]:
        """Arguments of the synthesizer."""
        return asdict(self)


@dataclass(frozen=True)
class SlicedHistogramReplaceOne(SlicedHistogram):
    """The histograms with as much noise as hides which row was put in place of another."""

    relation: ClassVar[str] = REPLACE_ONE
    title: ClassVar[str] = 'Sliced histograms (replace one)'
    notes: ClassVar[str] = (
        'Run with the smaller epsilon under add_or_remove_one that implies the request here: a '
        'replaced row changes two cells of a histogram, and a score by two. The plan does not '
        'know beforehand whether it will score pairs, and pays for it in any case. '
    )

    def _request(self, epsilon: float, delta: float) -> float:
        return epsilon_of_removal(epsilon, delta)


@dataclass(frozen=True)
class SlicedHistogramTold(SlicedHistogram):
    """The histograms, told which column is to be predicted.

    Attributes:
        target: That column.
    """

    target: str | None = None
    title: ClassVar[str] = 'Sliced histograms (told the target)'
    notes: ClassVar[str] = 'The number of rows is private. target_columns names the target. '

    def _options(self) -> dict[str, Any]:
        options = asdict(self)
        target = options.pop('target')
        return options if target is None else {**options, 'target_columns': [target]}


@dataclass(frozen=True)
class SlicedProjection:
    """All rows on random directions with noise, and a generator trained on them.

    Attributes:
        directions: ``orthonormal`` or ``sphere``.
        n_slices: Number of directions; ``None`` for as many as coordinates.
        generator: ``mixture``, ``mlp`` or ``residual_mlp``.
        epochs: Training steps; ``None`` for the default.
        divergence: That the training minimises.
    """

    directions: str = 'orthonormal'
    n_slices: int | None = None
    generator: str = 'mixture'
    epochs: int | None = None
    divergence: str = 'jensen_shannon'

    @property
    def about(self) -> About:
        """What a report says of it."""
        return About(
            title='Sliced projections',
            private=True,
            neighboring_relation=REPLACE_ONE,
            accountant='exact profile of projections averaged over their random directions',
            packages=('sdv-slicedp',),
            hyperparameters={
                **asdict(TrainingPlan()),
                **asdict(ProjectionPlan()),
                **asdict(self),
            },
            notes=_NOISE + 'The number of rows is public, and the release has one line for each.',
            reference='Greenewald, Yu, Wang and Xu (2024), arXiv:2410.19941',
        )

    def fit(
        self, table: pd.DataFrame, metadata: Metadata, *, epsilon: float, delta: float, seed: int
    ) -> FittedSlices:
        """Fit on all rows of ``table``."""
        options = {'mechanism': 'projection', **asdict(self)}
        synthesizer = _fitted(table, metadata, epsilon, delta, seed, options)
        ledger = synthesizer.get_release().ledger
        events = (budget.Proven(epsilon_spent(ledger, delta, REPLACE_ONE), delta),)
        budget.check(events, epsilon, delta)
        return FittedSlices(synthesizer, events)


@dataclass(frozen=True)
class FittedSlices:
    """A fitted synthesizer."""

    synthesizer: SlicedDPSynthesizer
    events: Sequence[budget.Event]

    def sample(self, n: int, seed: int) -> pd.DataFrame:
        """``n`` rows in the data types of the real table."""
        self.synthesizer._set_random_state(seed)  # what SDV does itself, always with one seed
        (table,) = self.synthesizer.sample(num_rows=n).values()
        return table


def events_of(ledger: Iterable[Entry], delta: float, relation: str) -> tuple[budget.Event, ...]:
    """What histograms with discrete Gaussian noise cost, by the better of two proven bounds.

    Discrete noise is a post-processed Gaussian mechanism with ``b^2`` less variance, up to
    factors that all together are within ``exp(1e-10)`` (docs/privacy.md); and it is as
    concentrated as Gaussian noise.
    """
    entries = tuple(_histogram(entry) for entry in ledger)
    total = sum(entry.slices for entry in entries) * _SQUARED_SHIFTS[relation][0]
    thresholds = math.fsum(entry.threshold_delta for entry in entries)
    paid = (budget.Proven(0.0, thresholds),) if thresholds else ()
    b_squared = math.log(2.1 * 2.1 * max(total, 1) / _CORRECTION) / (2 * math.pi**2)
    candidates = [(*paid, budget.Concentrated(_mu_squared(entries, relation) / 2))]
    if all(entry.sigma**2 > b_squared for entry in entries):
        candidates.append((*paid, *_gaussian_events(entries, relation, b_squared)))
    return min(candidates, key=lambda events: budget.epsilon(events, delta))


def _histogram(entry: Entry) -> LedgerEntry:
    if not isinstance(entry, LedgerEntry):
        raise TypeError(f'no bound here for {entry!r}')
    return entry


def _gaussian_events(
    entries: Sequence[LedgerEntry], relation: str, b_squared: float
) -> list[budget.Gaussian]:
    counts: Counter[float] = Counter()
    for entry in entries:
        multiplier = math.sqrt((entry.sigma**2 - b_squared) / _squared_shift(entry, relation))
        counts[multiplier] += entry.slices
    return [budget.Gaussian(multiplier, count) for multiplier, count in counts.items()]


def _mu_squared(entries: Sequence[LedgerEntry], relation: str) -> float:
    return math.fsum(
        _squared_shift(entry, relation) * entry.slices / entry.sigma**2 for entry in entries
    )


def _squared_shift(entry: LedgerEntry, relation: str) -> int:
    histogram, score = _SQUARED_SHIFTS[relation]
    return score if entry.stage == 'selection' else histogram


def epsilon_of_removal(epsilon: float, delta: float) -> float:
    """Largest request under ``add_or_remove_one`` that implies this one under ``replace_one``.

    No rows are needed: histograms double their squared cost, and of what is not certain to be
    histograms, at most ``selection_share`` are scores, which cost four times as much.
    """
    factor = 2 * (1 + HistogramPlan().selection_share)
    sigma = math.sqrt(factor) / budget_mu(epsilon, delta)
    gaussian = float(get_epsilon_gaussian(sigma, delta))
    concentrated = budget.concentrated_epsilon(budget.rho_for(epsilon, delta) / factor, delta)
    return min(gaussian, concentrated) * (1 - 1e-6)


def _fitted(
    table: pd.DataFrame,
    metadata: Metadata,
    epsilon: float,
    delta: float,
    seed: int,
    options: dict[str, Any],
) -> SlicedDPSynthesizer:
    (name,) = metadata.tables
    synthesizer = SlicedDPSynthesizer(
        metadata,
        epsilon=epsilon,
        delta=delta,
        public_domain=True,
        random_state=seed,
        enable_gpu=False,
        **options,
    )
    synthesizer.fit({name: table})
    return synthesizer
