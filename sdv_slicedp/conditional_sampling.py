"""SDV's conditional sampling in one pass: all rows at once, each with its own conditions."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sdv.single_table.base import FIXED_RNG_SEED

from sdv_slicedp.conditions import Asked, asked


class ConditionalSampling:
    """Mixin of a synthesizer whose model samples given the values of some columns.

    SDV goes through the distinct conditions one by one and draws until enough rows match. Here a
    call is one pass, whatever the conditions are; only rows that a constraint refuses are drawn
    again.
    """

    _model: Any
    _data_processor: Any
    _random_state_set: bool

    def _validate_conditions_unseen_columns(self, conditions: pd.DataFrame) -> None:
        """Refuse conditions that no row can meet, before anything is sampled.

        Raises:
            SamplingError: If the synthesizer is not fitted.
            ValueError: If a column is not modelled, or a value is not in its domain.
        """
        self._validate_fit_before_sample()  # type: ignore[attr-defined]
        self._asked(conditions)

    def _sample_with_conditions(
        self,
        conditions: pd.DataFrame,
        max_tries_per_batch: int,
        batch_size: int | None,
        progress_bar: Any = None,
        output_file_path: str | None = None,
        keep_extra_columns: bool = False,
    ) -> pd.DataFrame:
        """A row for each row of ``conditions``, by the order of its index, as SDV gives them.

        Args:
            conditions: Some columns of the rows.
            max_tries_per_batch: How often rows are drawn that constraints refuse.
            batch_size: Rows that are drawn at a time; ``None`` for all.
            progress_bar: Is told how many rows there are.
            output_file_path: CSV file that each batch is appended to.
            keep_extra_columns: Of SDV; there are none.
        """
        if self._model is not None and not self._random_state_set:
            self._set_random_state(FIXED_RNG_SEED)  # type: ignore[attr-defined]
        wanted = self._asked(conditions)
        step = batch_size or max(len(conditions), 1)
        batches = []
        for start in range(0, max(len(conditions), 1), step):
            numbers = np.arange(start, min(start + step, len(conditions)))
            rows = self._rows_given(wanted, numbers, max_tries_per_batch)
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
            conditions: Grid positions or codes of some columns, ``(num_rows,)`` each, by name.
        """
        num_rows = operator.index(num_rows)
        if conditions is None:
            return self._model.sample(num_rows)
        order = {name: i for i, name in enumerate(self._data_processor.domains)}
        given = {order[name]: positions for name, positions in conditions.items()}
        return self._model.sample_given(num_rows, given)

    def _rows_given(
        self, wanted: dict[str, Asked], numbers: npt.NDArray[np.int64], max_tries: int
    ) -> pd.DataFrame:
        """Rows with some of the conditions, by their numbers."""
        kept, left = [], numbers
        for _ in range(max(max_tries, 1)):
            given = {name: column.positions[left] for name, column in wanted.items()}
            made = self._sample(len(left), given)
            rows = self._data_processor.reverse_transform(made)
            for name, column in wanted.items():
                rows[name] = column.shown.array[left]
            rows.index = left
            rows = self.reverse_transform_constraints(rows)  # type: ignore[attr-defined]
            kept.append(rows)
            left = np.setdiff1d(left, rows.index)
            if not len(left):
                break
        return pd.concat(kept).sort_index()

    def _asked(self, conditions: pd.DataFrame) -> dict[str, Asked]:
        processor = self._data_processor
        return asked(conditions, processor.metadata.columns, processor.domains, processor.families)


def _append(rows: pd.DataFrame, path: Path) -> None:
    """Write rows at the end of a CSV file, with a header where it begins."""
    begins = not path.exists() or path.stat().st_size == 0
    rows.to_csv(path, index=False, mode='a', header=begins)
