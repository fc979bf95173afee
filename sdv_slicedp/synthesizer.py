"""``SlicedDPSynthesizer``: measure a table once, then train and sample without it."""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from sdv._utils import check_synthesizer_version
from sdv.errors import NotFittedError
from sdv.metadata.metadata import Metadata
from torch.nn import Module

from sdv_slicedp import constraints as cag
from sdv_slicedp import frames, options, schema, validation
from sdv_slicedp.accounting import validate_budget
from sdv_slicedp.conditional_sampling import ConditionalSampling
from sdv_slicedp.constrained import ConstrainedSynthesizer
from sdv_slicedp.domain import Category, ColumnDomain
from sdv_slicedp.history import FitHistory
from sdv_slicedp.hooks import unwarned
from sdv_slicedp.ledger import Ledger
from sdv_slicedp.losses import LossValues
from sdv_slicedp.mechanism import measure, measure_projection
from sdv_slicedp.models import Model
from sdv_slicedp.progress import Callback
from sdv_slicedp.projection_stages import ProjectionPlan, default_slices
from sdv_slicedp.record_maps import RecordMaps
from sdv_slicedp.release import Release
from sdv_slicedp.reports import FitRecord, PrivacyReport, privacy_report
from sdv_slicedp.saved_report import SavedReport
from sdv_slicedp.training import train


class SlicedDPSynthesizer(LossValues, SavedReport, ConditionalSampling, ConstrainedSynthesizer):
    """Differentially private synthesizer of one table.

    Formal guarantees:
        Each ``fit`` is (epsilon, delta)-differentially private for tables that differ by adding
        or removing one row (``mechanism='histogram'``) or by replacing one (``'projection'``, where
        the number of rows is public), in all that the synthesizer holds, saves, logs, warns of and
        samples. Public are: column names, sdtypes, dtypes and keys, and the declared ranges of the
        columns that ``public_domain`` attests. ``get_privacy_report`` says so in full.

    Args:
        metadata: SDV metadata of one table.
        epsilon: Privacy budget of each fit.
        delta: Privacy budget of each fit; should be far below 1 / (number of rows).
        public_domain: ``True``, or a list of columns, to attest that their declared ranges,
            categories, decimals and nullability were not read from the data. What is not attested
            is ignored, and discovered with a share of the budget.
        mechanism: ``'histogram'``, noisy counts of one to three columns; or ``'projection'``, all
            rows on random directions with noise, the method of arXiv 2410.19941.
        target_columns: Of the histograms: columns that matter most, such as one that is to be
            predicted. Slices of three columns look at these together with pairs of others. The
            list is public; ``None`` for columns that look like it in the measured pairs.
        remainder: Category, by column, that all values count for which are in no other category: a
            row with a rare or undeclared value then stays, as ``'other'`` for instance. The names
            are public; ``None`` to leave such values out.
        directions: Of the projection: ``'orthonormal'`` or ``'sphere'``.
        n_slices: Of the projection: number of directions; ``None`` for as many as coordinates.
        enforce_min_max_values: Keep samples inside the range of their column.
        enforce_rounding: Round samples to the decimals of their column.
        locales: Locales of generated personal data; ``['en_US']`` if ``None``.
        generator: ``'mixture'``, ``'mlp'``, ``'residual_mlp'``, or a ``torch.nn.Module`` that maps
            ``(batch, latent_dim)`` normal numbers to ``(batch, features)``.
        epochs: Training steps; ``None`` for the generator's own choice.
        n_components: Components of the mixture; ``None`` for the generator's own choice.
        batch_size: Latent numbers of a step, in rows; ``None`` for the generator's own choice.
        learning_rate: First step of the training; ``None`` for the generator's own choice.
        divergence: Of the training on projections: ``'jensen_shannon'``, ``'kl'``,
            ``'reverse_kl'``, ``'chi2'``, ``'hellinger'`` or ``'total_variation'``.
        estimator: Of the training on projections: ``'grid'``, or ``'samples'`` as in the paper.
        slices_per_step: Of the training on projections: slices that a step sees.
        patience: Stop when the loss has not fallen for so many epochs; ``None`` for never.
        callback: Called with each epoch and its loss; training stops when it returns ``True``.
        random_state: Seed of the training. The noise does not depend on it: that always comes
            from the operating system.
        enable_gpu: Train on a GPU if there is one.
        verbose: Show the progress of the training.
    """

    def __init__(
        self,
        metadata: Metadata,
        epsilon: float = 1.0,
        delta: float = 1e-6,
        public_domain: bool | Collection[str] = False,
        mechanism: str = 'histogram',
        target_columns: Collection[str] | None = None,
        remainder: Mapping[str, Category] | None = None,
        directions: str = 'orthonormal',
        n_slices: int | None = None,
        enforce_min_max_values: bool = True,
        enforce_rounding: bool = True,
        locales: Sequence[str] | str | None = None,
        generator: str | Module = 'mixture',
        epochs: int | None = None,
        n_components: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        divergence: str = 'jensen_shannon',
        estimator: str = 'grid',
        slices_per_step: int = 128,
        patience: int | None = None,
        callback: Callback | None = None,
        random_state: int | None = None,
        enable_gpu: bool = True,
        verbose: bool = False,
    ) -> None:
        validate_budget(epsilon, delta)
        options.check_measurement(mechanism, directions, n_slices)
        locales = ['en_US'] if locales is None else locales
        super().__init__(metadata, public_domain, enforce_min_max_values, enforce_rounding, locales)
        self.epsilon = epsilon
        self.delta = delta
        self.mechanism = mechanism
        modelled = schema.modelled_columns(self._columns(), self._keys())
        self.target_columns = options.target_columns(target_columns, list(modelled), mechanism)
        self.remainder = options.remainder(remainder, self._discrete())
        self.directions = directions
        self.n_slices = n_slices
        self.generator = generator
        self.epochs = epochs
        self.n_components = n_components
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.divergence = divergence
        self.estimator = estimator
        self.slices_per_step = slices_per_step
        self.patience = patience
        self.callback = callback
        self.random_state = random_state
        self.enable_gpu = enable_gpu
        self.verbose = verbose
        options.check_training(self._training_options())
        self._model: Any = None
        self._release: Release | None = None
        self._history = FitHistory()

    @classmethod
    def from_release(
        cls,
        release: Release | str | Path,
        metadata: Metadata,
        constraints: list[Any] | None = None,
        **parameters: Any,
    ) -> SlicedDPSynthesizer:
        """Train a synthesizer from a release: no data, no budget.

        Args:
            release: A release, or the path of a saved one.
            metadata: Metadata of the table; its modelled columns must be those of the release.
            constraints: The constraints that the release was measured with, and others if need be.
            parameters: Arguments of the constructor that do not concern the measurement.

        Raises:
            ReleaseFormatError: If the file is not a release.
            SynthesizerInputError: If metadata and release do not fit.
        """
        if not isinstance(release, Release):
            release = Release.load(release)
        described = {str(name) for table in metadata.tables.values() for name in table.columns}
        synthesizer = cls(
            metadata,
            public_domain=[name for name in release.public_columns if name in described],
            **_measurement_of(release),
            **parameters,
        )
        synthesizer.add_constraints(constraints or [])
        synthesizer._adopt(release)
        return synthesizer

    def fit(self, data: dict[str, pd.DataFrame]) -> None:
        """Measure the table and train a generator. Spends (epsilon, delta), each time.

        Args:
            data: The table, by its name.
        """
        check_synthesizer_version(self, is_fit_method=True, compare_operator=operator.lt)
        self._check_input_metadata_updated()
        table, domains = self._checked(data)
        self._history.warn_of(self.epsilon, self.delta)
        self._log('Fit', table)
        self._forget()
        self._start(data, table, domains)
        self._spend(self._encoded(table), domains)

    def fit_processed_data(self, processed_data: dict[str, pd.DataFrame]) -> None:
        """Measure a preprocessed table and train a generator. Spends (epsilon, delta), each time.

        Args:
            processed_data: What ``preprocess`` gave, by the table's name.
        """
        check_synthesizer_version(self, is_fit_method=True, compare_operator=operator.lt)
        domains = self._domains()
        processed = validation.single_table(processed_data, self._table_name)
        processed = validation.named_by_text(processed)
        validation.check_processed(processed, domains)
        self._history.warn_of(self.epsilon, self.delta)
        self._log('Fit processed data', processed)
        self._forget()
        if not self._data_processor.fitted:
            families = frames.default_families(self._columns(), domains)
            self._data_processor.fit_domains(domains, families)
        with unwarned():
            processed = frames.plain_rows(processed, domains)
        self._spend(processed, domains)

    def refit(self, warm_start: bool = False, **training: Any) -> None:
        """Train again from the release: no data, no budget.

        Args:
            warm_start: Go on from the generator as it is, instead of from the beginning. It must
                be of the same kind.
            training: New values of any argument of the constructor from ``generator`` on; the
                others stay.

        Raises:
            NotFittedError: If nothing has been measured yet.
            SynthesizerInputError: If an option is not possible.
        """
        options.check_training(training)
        release = self.get_release()
        chosen = {**self._training_options(), **training}
        options.check_flag('warm_start', warm_start)
        if warm_start:
            options.check_warm_start(self._training_options(), chosen)
        self._train(release, chosen, self._model if warm_start else None)
        self.__dict__.update(chosen)

    def get_release(self) -> Release:
        """All that was ever measured of the table, with the noise it was given; safe to share.

        Raises:
            NotFittedError: If nothing has been measured yet.
        """
        if self._release is None:
            raise NotFittedError('There is no release yet. Please fit your synthesizer first.')
        return self._release

    def get_privacy_report(self) -> PrivacyReport:
        """What was spent so far, on what, what was taken as public, and what is not covered."""
        return privacy_report(self._history.records)

    def _forget(self) -> None:
        """Be unfitted, so that an interrupted fit leaves nothing of an earlier one."""
        self._fitted = self._random_state_set = False
        self._model = self._release = None

    def _fit(self, processed_data: pd.DataFrame) -> None:
        """Measure processed rows, the only step that spends budget; then train."""
        self._maps = self._planned_maps()
        ledger = self._history.begin(self._request())
        try:
            with unwarned():
                self._release = self._measure(processed_data, ledger)
        finally:
            self._history.end(self._release)

    def _measure(self, processed: pd.DataFrame, ledger: Ledger) -> Release:
        targets = self.target_columns and self._maps.measured_names(self.target_columns)
        mechanism = partial(measure, target_columns=targets)
        if self.mechanism == 'projection':
            plan = ProjectionPlan(self.directions, self.n_slices)
            mechanism = partial(measure_projection, plan=plan)
        return mechanism(
            self._maps.encode(processed),
            self._maps.measured,
            epsilon=self.epsilon,
            delta=self.delta,
            ledger=ledger,
            public_columns=self._maps.public_names(self._public()),
        )

    def _spend(self, processed: pd.DataFrame, domains: Sequence[ColumnDomain]) -> None:
        if domains:
            self._fit(processed)
        else:
            relation = options.RELATIONS[self.mechanism]
            self._release = Release((), (), (), self.epsilon, self.delta, self.mechanism, relation)
            self._maps = RecordMaps(())
        self._data_processor.fit_domains(
            self._maps.restored(self._released()), self._data_processor.families
        )
        self._train(self.get_release(), self._training_options())

    def _adopt(self, release: Release) -> None:
        """Take over a release that was measured elsewhere."""
        self._maps = cag.maps_of_release(
            self._constraints, [column.domain for column in release.columns], self._planned_maps()
        )
        self._release = release
        domains = self._maps.restored(self._released())
        self._history.adopt(
            replace(
                self._request(),
                entries=release.ledger,
                public_columns=self._public(),
                noisy_rows=release.noisy_rows,
                neighboring_relation=release.neighboring_relation,
            )
        )
        families = frames.default_families(self._columns(), domains)
        self._data_processor.fit_domains(domains, families)
        self._train(release, self._training_options())

    def _train(
        self, release: Release, training: dict[str, Any], start: Model | None = None
    ) -> None:
        """Train a generator and mark the synthesizer as fitted."""
        if release.columns:
            self._model = train(
                release,
                generator=training['generator'],
                epochs=training['epochs'],
                n_components=training['n_components'],
                seed=training['random_state'],
                device=options.device(training['enable_gpu']),
                verbose=training['verbose'],
                plan=options.training_plan(training),
                start=start,
            )
        self._history.complete()
        self._mark_as_fitted()

    def _released(self) -> tuple[ColumnDomain, ...]:
        return tuple(column.domain for column in self.get_release().columns)

    def _training_options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in options.TRAINING}

    def _request(self) -> FitRecord:
        return FitRecord(
            epsilon=self.epsilon,
            delta=self.delta,
            entries=(),
            completed=False,
            public_columns=self._public(),
            all_columns=tuple(self._columns()),
            noisy_rows=None,
            neighboring_relation=options.RELATIONS[self.mechanism],
        )


def _measurement_of(release: Release) -> dict[str, Any]:
    """Arguments that would ask for such a measurement again."""
    asked: dict[str, Any] = {
        'epsilon': release.epsilon,
        'delta': release.delta,
        'mechanism': release.mechanism,
    }
    if release.projection is not None:
        d, m = release.projection.directions.shape
        usual = m == default_slices(d, release.projection.n_rows)
        asked |= {'directions': release.projection.kind, 'n_slices': None if usual else m}
    return asked
