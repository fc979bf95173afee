"""A synthesizer whose sampled rows meet constraints that were never fitted on the table."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sdv.cag._errors import ConstraintNotMetError
from sdv.errors import RefitWarning

from sdv_slicedp import constraints as cag
from sdv_slicedp import schema, validation
from sdv_slicedp.constraint_checks import Checker, Flags
from sdv_slicedp.domain import ColumnDomain
from sdv_slicedp.hooks import RowBlindSynthesizer
from sdv_slicedp.record_maps import RecordMaps


class ConstrainedSynthesizer(RowBlindSynthesizer):
    """SDV's constraints, as parameters: built into the measurement, and checked afterwards."""

    _constraints: tuple[Any, ...] = ()
    _maps = RecordMaps(())
    """The maps that the release was measured with."""

    def add_constraints(self, constraints: list[Any]) -> None:
        """Ask that all sampled rows meet some constraints, beside those added before.

        None is fitted on the table. Those that can be are built into what the next fit measures;
        all are checked on sampled rows. On a fitted synthesizer they are checked from now on.

        Args:
            constraints: Constraints of ``sdv.cag``.

        Raises:
            SynthesizerInputError: If there is something else in the list, or a
                ``FixedCombinations`` comes after the fit.
            ConstraintNotMetError: If a constraint does not fit the metadata.
            DomainError: If the declared ranges contradict a constraint.
        """
        columns = self._columns()
        modelled = schema.modelled_columns(columns, self._keys())
        added = cag.admitted(constraints, self.metadata, modelled, columns)
        if not added:
            return
        wanted = (*self._constraints, *added)
        cag.record_maps(wanted, self._domains(), columns)
        if self._fitted:
            cag.refuse_late(added)
            warnings.warn(
                'This synthesizer is fitted: from now on, sampled rows that do not meet the new '
                'constraints are rejected, which costs no budget. To have them built in, fit it '
                'again, which spends its privacy budget again.',
                RefitWarning,
                stacklevel=2,
            )
        self._constraints = wanted

    def validate_constraints(self, synthetic_data: pd.DataFrame) -> None:
        """Check synthetic rows against the constraints.

        Args:
            synthetic_data: Rows such as ``sample`` gives, a frame.

        Raises:
            ConstraintNotMetError: With the positions of the rows that do not meet one. Of real
                rows, this would be an answer about private data.
            NotFittedError: If the synthesizer is not fitted.
        """
        rows = validation.named_by_text(synthetic_data)
        for constraint, flags in self._checks(rows, self._constraints):
            if not flags.all():
                raise ConstraintNotMetError(
                    f'{type(constraint).__name__} is not met in {int((~flags).sum())} of '
                    f'{len(flags)} rows, the first at position {int(np.argmin(flags))}.'
                )

    def reverse_transform_constraints(self, sampled: pd.DataFrame) -> pd.DataFrame:
        """The sampled rows that meet all constraints."""
        kept = np.ones(len(sampled), dtype=bool)
        for _, flags in self._checks(sampled, self._constraints):
            kept &= flags
        return sampled[kept]

    def sample(self, num_rows: int, *arguments: Any, **options: Any) -> dict[str, pd.DataFrame]:
        """Sample rows, as SDV does; with constraints, until enough of them meet these.

        Args:
            num_rows: Number of rows.
            arguments: As SDV's, such as ``max_tries_per_batch``.
            options: The same by name.

        Raises:
            SamplingError: If no row meets all constraints; a warning if too few do.
        """
        sampled: dict[str, pd.DataFrame] = super().sample(num_rows, *arguments, **options)
        found = len(sampled[self._table_name])
        if self._constraints and found < num_rows:
            cag.report_few(found, num_rows)
        return sampled

    def _planned_maps(self) -> RecordMaps:
        """The maps that the next fit is to measure with."""
        return cag.record_maps(self._constraints, self._domains(), self._columns())

    def _public(self) -> tuple[str, ...]:
        """The columns whose domains the user attests as public, and the joint ones."""
        return (*self._attested(), *cag.declared_columns(self._maps))

    def _released(self) -> tuple[ColumnDomain, ...]:
        """Domains of the measured columns in the release.

        Raises:
            NotFittedError: If nothing has been measured yet.
        """
        raise NotImplementedError

    def _checks(
        self, rows: pd.DataFrame, constraints: Sequence[Any]
    ) -> Iterator[tuple[Any, Flags]]:
        """Each of some constraints, and which of some synthetic rows meet it."""
        if constraints and len(rows):
            checker = Checker(self._maps, self._released())
            processed = self._data_processor.transform(rows)
            for constraint in constraints:
                yield constraint, checker.valid(constraint, rows, processed)

    def _get_all_constraints_list(self) -> list[Any]:
        return copy.deepcopy(list(self._constraints))

    def _validate_transform_constraints(
        self, table_data: pd.DataFrame, enforce_constraint_fitting: bool = False
    ) -> pd.DataFrame:
        """Conditions, as they are; the only rows that SDV hands to this method here.

        Raises:
            ConstraintNotMetError: If they contradict a constraint all of whose columns they fix.
        """
        fixed = [
            constraint
            for constraint in self._constraints
            if cag.is_predefined(constraint) and set(cag.columns_of(constraint)) <= set(table_data)
        ]
        for constraint, flags in self._checks(table_data, fixed):
            if not flags.all():
                raise ConstraintNotMetError(
                    f'The conditions are not valid: they contradict {type(constraint).__name__}'
                    f'({", ".join(cag.columns_of(constraint))}).'
                )
        return table_data

    def _sample_rows(
        self, num_rows: int, conditions: Any = None, *arguments: Any, **options: Any
    ) -> tuple[pd.DataFrame, int]:
        sampled, found = super()._sample_rows(num_rows, conditions, *arguments, **options)
        if self._constraints and not self._model:
            # SDV checks no constraints of rows that are made without a model.
            sampled = self.reverse_transform_constraints(sampled)
            found = len(sampled)
        return sampled, found
