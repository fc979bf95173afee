"""A fitted synthesizer's page about itself: what was spent, what it bought, what comes out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from sdv.errors import NotFittedError, SynthesizerInputError

from sdv_slicedp.files import check_writable, write_text
from sdv_slicedp.validation import named_by_text

REPORT_ROWS = 10_000
"""Rows that the plots of a page are made of, unless told otherwise."""


class SavedReport:
    """Mixin of a synthesizer that keeps a release, losses and a privacy report."""

    _fitted: bool
    _table_name: str
    _checked: Callable[[Any], tuple[pd.DataFrame, Any]]

    def save_report(
        self,
        path: str | Path,
        real_data: dict[str, pd.DataFrame] | None = None,
        num_rows: int = REPORT_ROWS,
    ) -> None:
        """Write one self-contained HTML page: privacy report, slices, training, columns.

        Without ``real_data`` the page is as private as the release and costs nothing. With it,
        the page also has SDMetrics scores and plots of the real rows, and is **not** private.

        Args:
            path: The file; an existing one is replaced in one step.
            real_data: The real table, by its name, to compare with.
            num_rows: Rows that are sampled for the page.

        Raises:
            NotFittedError: If the synthesizer is not fitted.
            SynthesizerInputError: If ``num_rows`` is not a whole number of at least 1.
            InvalidDataError: If ``real_data`` does not have the metadata's columns.
            OSError: If the file cannot be written.
        """
        if not self._fitted:
            raise NotFittedError('There is nothing to report. Please fit your synthesizer first.')
        if isinstance(num_rows, bool) or not isinstance(num_rows, int) or num_rows < 1:
            raise SynthesizerInputError(
                f'num_rows must be a whole number of at least 1, got {num_rows!r}.'
            )
        path = Path(path)
        check_writable(path)
        real = None if real_data is None else self._checked(real_data)[0]
        if real is not None:
            warnings.warn(
                f"'{path}' will show real rows and scores computed from them: it is not private. "
                'Leave real_data out for a page that may be shared.',
                stacklevel=2,
            )
        write_text(path, self._page(real, num_rows))

    def _page(self: Any, real: pd.DataFrame | None, num_rows: int) -> str:
        # Plotting and scoring libraries are slow to import, and nothing else here needs them.
        from sdv_slicedp.page import PageContent, compare, render_page

        name = self._table_name
        synthetic = named_by_text(self.sample(num_rows=num_rows)[name])
        comparison = None
        if real is not None:
            comparison = compare({name: real}, {name: synthetic}, self.get_metadata())
        return render_page(
            PageContent(
                table_name=name,
                privacy=self.get_privacy_report(),
                release=self.get_release(),
                losses=self.get_loss_values(),
                synthetic=synthetic,
                columns=self._columns(),
                comparison=comparison,
            )
        )
