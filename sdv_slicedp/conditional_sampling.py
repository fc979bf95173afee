"""SDV's conditional sampling in one pass: all rows at once, each with its own conditions."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sdv.single_table.base import FIXED_RNG_SEED

from sdv_slicedp.conditions import Asked, asked
from sdv_slicedp.domain import ColumnDomain, positions_of
from sdv_slicedp.record_maps import RecordMaps

_MOST_DRAWN = 100_000
"""Rows that are drawn at a time where a first draw did not do."""
_MORE = 4
"""Each try may have so many times the candidates of the one before for each row that is left."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """Conditions that have been checked; SDV hands them through as it would the frame.

    Attributes:
        index: Index of the frame.
        columns: What is asked of each column.
    """

    index: pd.Index
    columns: dict[str, Asked]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.index)

    def copy(self) -> Wanted:
        """The same; nothing in it is written to."""
        return self


class ConditionalSampling:
    """Mixin of a synthesizer whose model samples given the values of some columns.

    SDV goes through the distinct conditions one by one and draws until enough rows match. Here a
    call is one pass, whatever the conditions are; only rows that a constraint refuses are drawn
    again.
    """

    _model: Any
    _maps: RecordMaps
    _data_processor: Any
    _random_state_set: bool
    _table_name: str

    def _released(self) -> tuple[ColumnDomain, ...]:
        """Domains of the measured columns."""
        raise NotImplementedError

    def sample_remaining_columns(
        self, known_columns: pd.DataFrame, *arguments: Any, **options: Any
    ) -> dict[str, pd.DataFrame]:
        """Sample the other columns of rows of which some are known, as SDV does.

        Args:
            known_columns: Some columns of the rows; may have no rows.
            arguments: As SDV's, such as ``max_tries_per_batch``.
            options: The same by name.

        Raises:
            SamplingError: If the synthesizer is not fitted.
            ValueError: If a column is not modelled, or a value is not in its domain.
        """
        self._validate_fit_before_sample()  # type: ignore[attr-defined]
        wanted = self._wanted(known_columns)
        if not len(wanted):
            columns = list(self._data_processor.metadata.columns)
            return {self._table_name: pd.DataFrame(columns=columns, index=known_columns.index)}
        sampled: dict[str, pd.DataFrame] = super().sample_remaining_columns(  # type: ignore[misc]
            wanted, *arguments, **options
        )
        return sampled

    def _make_condition_dfs(self, conditions: Any) -> list[Wanted]:
        """Conditions, checked before anything is sampled; those on the same columns are one.

        Raises:
            ValueError: If a column is not modelled, or a value is not in its domain.
        """
        made = super()._make_condition_dfs(conditions)  # type: ignore[misc]
        return [self._wanted(frame) for frame in made if len(frame)]

    def _validate_conditions_unseen_columns(self, conditions: Wanted) -> None:
        """Nothing is left to check."""

    def _sample_with_conditions(
        self,
        conditions: Wanted,
        max_tries_per_batch: int,
        batch_size: int | None,
        progress_bar: Any = None,
        output_file_path: str | None = None,
        keep_extra_columns: bool = False,
    ) -> pd.DataFrame:
        """A row for each row of ``conditions``, by the order of its index, as SDV gives them.

        Args:
            conditions: What is asked of some columns.
            max_tries_per_batch: How often rows are drawn that constraints refuse.
            batch_size: Rows that are drawn at a time; ``None`` for all.
            progress_bar: Is told how many rows there are.
            output_file_path: CSV file that each batch is appended to.
            keep_extra_columns: Of SDV; there are none.
        """
        if self._model is not None and not self._random_state_set:
            self._set_random_state(FIXED_RNG_SEED)  # type: ignore[attr-defined]
        step = batch_size or len(conditions)
        batches = []
        for start in range(0, len(conditions), step):
            numbers = np.arange(start, min(start + step, len(conditions)))
            rows = self._rows_given(conditions.columns, numbers, max_tries_per_batch)
            if output_file_path:
                _append(rows, Path(output_file_path))
            if progress_bar is not None:
                progress_bar.update(len(rows))
            batches.append(rows)
        sampled = pd.concat(batches)
        sampled.index = conditions.index[sampled.index].rename(None)
        return sampled.sort_index(kind='stable')

    def _sample(self, num_rows: int, conditions: Any = None) -> pd.DataFrame:
        """Rows in the processed space.

        Args:
            num_rows: Number of rows.
            conditions: Grid positions or codes of some measured columns, ``(num_rows,)`` each, by
                name.
        """
        num_rows, released = operator.index(num_rows), self._released()
        if conditions is None:
            return self._maps.decode(self._model.sample(num_rows), released)
        order = {domain.name: i for i, domain in enumerate(released)}
        given = {order[name]: positions for name, positions in conditions.items()}
        return self._maps.decode(self._model.sample_given(num_rows, given), released)

    def _rows_given(
        self, wanted: dict[str, Asked], numbers: npt.NDArray[np.int64], max_tries: int
    ) -> pd.DataFrame:
        """Rows with some of the conditions, by their numbers.

        A column that a constraint has measured in another one is no condition of the model: rows
        are drawn until they match there, several for each that is left.
        """
        measured = self._released()
        native = {n for n in wanted if self._data_processor.domains[n] in measured}
        derived = set(wanted) - native
        kept, left = [], numbers
        for trial in range(max(max_tries, 1)):
            room = max(_MOST_DRAWN // len(left), 1)
            candidates = min(_MORE**trial, room)
            drawn = np.repeat(left, room if trial and derived else candidates)
            made = self._sample(len(drawn), {n: wanted[n].positions[drawn] for n in native})
            matching = self._matching(made, drawn, wanted, derived, candidates)
            drawn, made = drawn[matching], made.iloc[matching].reset_index(drop=True)
            rows = self._data_processor.reverse_transform(made)
            for name, column in wanted.items():
                rows[name] = column.shown.array[drawn]
            rows.index = drawn
            rows = self.reverse_transform_constraints(rows)  # type: ignore[attr-defined]
            kept.append(rows[~rows.index.duplicated()])
            left = np.setdiff1d(left, rows.index)
            if not len(left):
                break
        return pd.concat([part for part in kept if len(part)] or kept[:1]).sort_index()

    def _matching(
        self,
        made: pd.DataFrame,
        drawn: npt.NDArray[np.int64],
        wanted: dict[str, Asked],
        names: set[str],
        most: int,
    ) -> npt.NDArray[np.int64]:
        """Positions of the first rows for each number, at most so many, that have what is wanted.

        The rest of a row is made up only for these: a column of personal data takes far longer
        than all columns of the model.
        """
        matches = np.ones(len(drawn), dtype=bool)
        for name in names:
            found = positions_of(made[name], self._data_processor.domains[name])
            matches &= found == wanted[name].positions[drawn]
        places = np.flatnonzero(matches)
        numbers = drawn[places]  # in ascending order
        return places[np.arange(len(places)) - np.searchsorted(numbers, numbers) < most]

    def _wanted(self, conditions: pd.DataFrame) -> Wanted:
        processor = self._data_processor
        conditions = conditions.rename(columns=str)
        columns = asked(
            conditions, processor.metadata.columns, processor.domains, processor.families
        )
        self._validate_transform_constraints(conditions)  # type: ignore[attr-defined]
        return Wanted(conditions.index, columns)


def _append(rows: pd.DataFrame, path: Path) -> None:
    """Write rows at the end of a CSV file, with a header where it begins."""
    begins = not path.exists() or path.stat().st_size == 0
    rows.to_csv(path, index=False, mode='a', header=begins)
