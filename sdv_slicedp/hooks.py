"""SDV's hooks before the model, replaced by ones that look at the schema and at no cell.

SDV's own ones log the number of rows, quote cells in errors, compare the data with the declared
ranges, and learn ranges, frequencies and seeds from the rows.
"""

from __future__ import annotations

import datetime
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sdv import version
from sdv.errors import RefitWarning, SynthesizerInputError
from sdv.logging import get_sdv_logger
from sdv.metadata.errors import InvalidMetadataError
from sdv.metadata.metadata import Metadata
from sdv.single_table.base import BaseSingleTableSynthesizer

from sdv_slicedp import encoding, frames, schema, transformers, validation
from sdv_slicedp.atomic import write_whole
from sdv_slicedp.domain import Category, ColumnDomain, with_remainders

# The user's metadata may hold private ranges: it is watched for changes from outside, so that
# neither the synthesizer nor its saved file can reach it.
_WATCHED: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()


@contextmanager
def unwarned() -> Iterator[None]:
    """Nobody hears of an overflow or an odd value: that would tell about a private cell.

    Nor of the shape of an array that memory did not suffice for: that has the number of rows.
    """
    with warnings.catch_warnings(), np.errstate(all='ignore'):
        warnings.simplefilter('ignore')
        try:
            yield
        except MemoryError:
            raise MemoryError('There is not enough memory for this table.') from None


class RowBlindSynthesizer(BaseSingleTableSynthesizer):  # type: ignore[misc]
    """A synthesizer that knows a table by its public schema only.

    ``remainder`` names categories, by column, for the values that are in no other one.

    Args:
        metadata: SDV metadata of one table.
        public_domain: Which columns' declared ranges are attested as public.
        enforce_min_max_values: Keep samples inside the range of their column.
        enforce_rounding: Round samples to the decimals of their column.
        locales: Locales of generated personal data.
    """

    remainder: Mapping[str, Category] | None = None

    def __init__(
        self,
        metadata: Metadata,
        public_domain: schema.PublicDomain,
        enforce_min_max_values: bool,
        enforce_rounding: bool,
        locales: Sequence[str] | str,
    ) -> None:
        schema.check_one_table(metadata)
        super().__init__(metadata, enforce_min_max_values, enforce_rounding, locales)
        try:
            self.metadata = schema.strip_unattested(metadata, public_domain)
            schema.attested_columns((), public_domain)
        except (TypeError, ValueError) as error:
            raise SynthesizerInputError(str(error)) from None
        self.public_domain = (
            public_domain if isinstance(public_domain, bool) else list(public_domain)
        )
        self._input_metadata = self.metadata.copy()
        self._original_metadata = self.metadata.copy()
        self._data_processor = encoding.SchemaProcessor(
            self.metadata._convert_to_single_table(),
            enforce_rounding=enforce_rounding,
            enforce_min_max_values=enforce_min_max_values,
            locales=locales,
        )
        _WATCHED[self] = weakref.ref(metadata)

    def validate(self, data: dict[str, pd.DataFrame]) -> None:
        """Check names and dtypes against the metadata. Cells are not looked at.

        Args:
            data: The table, by its name.

        Raises:
            InvalidDataTypeError: If ``data`` is not a dictionary of one table.
            InvalidDataError: If the table is empty or does not have the metadata's columns.
            DomainError: If attested ranges contradict themselves.
        """
        self._checked(data)

    def auto_assign_transformers(self, data: dict[str, pd.DataFrame]) -> None:
        """Assign the default transformers. Of ``data``, only names and dtypes are used.

        Args:
            data: The table, by its name.
        """
        table, domains = self._checked(data)
        if not self._data_processor.fitted:
            self._data_processor.prepare_domains(domains, frames.families(table))

    def update_transformers(
        self, column_name_to_transformer: dict[str, Any], table_name: str | None = None
    ) -> None:
        """Assign transformers; on a fitted synthesizer they take effect at once, for free.

        Args:
            column_name_to_transformer: ``None`` for columns that are modelled; for the others,
                transformers that make new values, such as ``AnonymizedFaker``.
            table_name: Name of the table.

        Raises:
            SynthesizerInputError: If a transformer would learn from the private rows.
        """
        if table_name is not None:
            self._validate_table_name(table_name)
        self._validate_transformers(column_name_to_transformer)
        modelled = schema.modelled_columns(self._columns(), self._keys())
        chosen = transformers.admitted(column_name_to_transformer, self._columns(), modelled)
        self._warn_quality_and_performance(column_name_to_transformer)
        self._data_processor.update_transformers(chosen)
        if self._data_processor.fitted:
            self._data_processor.fit_again()

    def preprocess(self, data: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        """Turn the table into the processed space. The result is as private as the table.

        Args:
            data: The table, by its name.
        """
        table, domains = self._checked(data)
        if self._fitted:
            warnings.warn(
                'This synthesizer is already fitted; fitting it to the preprocessed data spends '
                'its privacy budget again.',
                RefitWarning,
                stacklevel=2,
            )
        else:
            self._start(data, table, domains)
        return {self._table_name: self._encoded(table).copy()}

    def save(self, filepath: str | Path) -> None:
        """Save the synthesizer as a pickle; an existing file is replaced in one step.

        Args:
            filepath: The file.

        Raises:
            OSError: If the file cannot be written; then the old one is still there.
        """
        write_whole(Path(filepath), super().save)

    def _columns(self) -> dict[str, Any]:
        return dict(self._get_table_metadata().columns)

    def _keys(self) -> set[str]:
        keys = self._get_table_metadata()._get_primary_and_alternate_keys()
        return {name for key in keys for name in ([key] if isinstance(key, str) else key)}

    def _domains(self) -> tuple[ColumnDomain, ...]:
        if not self._columns():
            raise InvalidMetadataError('The metadata is empty: it needs one table with columns.')
        domains = schema.column_domains(self._columns(), self.public_domain, self._keys())
        return with_remainders(domains, self.remainder or {})

    def _discrete(self) -> list[str]:
        """The modelled columns of categories, but for booleans."""
        modelled = schema.modelled_columns(self._columns(), self._keys())
        kinds = {name: schema.modelled_sdtype(self._columns()[name]) for name in modelled}
        return [name for name, kind in kinds.items() if kind in {'categorical', 'ordinal'}]

    def _attested(self) -> tuple[str, ...]:
        """The modelled columns whose ranges are attested as public."""
        columns = self._columns()
        attested = schema.attested_columns(columns, self.public_domain)
        modelled = schema.modelled_columns(columns, self._keys())
        return tuple(name for name in modelled if name in attested)

    def _checked(self, data: Any) -> tuple[pd.DataFrame, tuple[ColumnDomain, ...]]:
        """The table, with text as column names, and the domains of its modelled columns."""
        domains = self._domains()
        table = validation.named_by_text(validation.single_table(data, self._table_name))
        validation.check_table(table, self._columns(), domains, self._keys())
        return table, domains

    def _start(self, data: Any, table: pd.DataFrame, domains: Sequence[ColumnDomain]) -> None:
        """Fit the data processor on the schema, so that it can transform the rows."""
        (original,) = data.values()
        self._original_columns = frames.original_columns(original.columns, self._columns())
        self._data_processor.fit_domains(domains, frames.families(table))

    def _encoded(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows in the processed space; they share memory with the table where they can."""
        with unwarned():
            return self._data_processor.transform(table)

    def _mark_as_fitted(self) -> None:
        self.reset_sampling()
        self._fitted = True
        self._fitted_date = datetime.datetime.today().strftime('%Y-%m-%d')
        self._fitted_sdv_version = getattr(version, 'community', None)
        self._fitted_sdv_enterprise_version = getattr(version, 'enterprise', None)

    def _log(self, event: str, table: pd.DataFrame) -> None:
        """Log an event as SDV does, but without the number of rows."""
        get_sdv_logger('SingleTableSynthesizer').info(
            {
                'EVENT': event,
                'TIMESTAMP': datetime.datetime.now(),
                'SYNTHESIZER CLASS NAME': type(self).__name__,
                'SYNTHESIZER ID': self._synthesizer_id,
                'TOTAL NUMBER OF TABLES': 1,
                'TOTAL NUMBER OF COLUMNS': len(table.columns),
            }
        )

    def _check_input_metadata_updated(self) -> None:
        watched = _WATCHED.get(self)
        metadata = watched() if watched is not None else None
        if metadata is not None and metadata._check_updated_flag():
            warnings.warn(
                'Your metadata has been modified since this synthesizer was made, which keeps its '
                'own copy. Make a new synthesizer to use the modified metadata.',
                stacklevel=3,
            )

    def _preprocess(self, table_data: pd.DataFrame) -> pd.DataFrame:
        return self._encoded(table_data)

    def _check_ranges(self, data: Any) -> None:
        """Do not compare the data with the declared ranges: the answer would be private."""
