"""What each fit of a synthesizer has spent, also when it was interrupted."""

from __future__ import annotations

import warnings
from dataclasses import replace

from sdv.errors import RefitWarning

from sdv_slicedp.ledger import Ledger
from sdv_slicedp.release import Release
from sdv_slicedp.reports import FitRecord


class FitHistory:
    """Records of all fits, in order; a fit that never touched the rows leaves none."""

    def __init__(self) -> None:
        self._ended: list[FitRecord] = []
        self._running: tuple[FitRecord, Ledger] | None = None

    @property
    def records(self) -> tuple[FitRecord, ...]:
        """One record per fit; the last may still be running or have been killed."""
        return (*self._ended, *self._unfinished())

    @property
    def has_spent(self) -> bool:
        """Whether any fit has touched any rows."""
        return bool(self.records)

    def warn_of(self, epsilon: float, delta: float) -> None:
        """Warn of a fit that spends so much, if any has spent before."""
        if self.has_spent:
            warnings.warn(
                f'This synthesizer has spent privacy budget before; this fit spends another '
                f'(epsilon={epsilon}, delta={delta}). To train again without spending, use '
                'refit().',
                RefitWarning,
                stacklevel=3,
            )

    def begin(self, request: FitRecord) -> Ledger:
        """Start a fit; its ledger is part of the history from now on."""
        self.end()
        ledger = Ledger()
        self._running = (request, ledger)
        return ledger

    def end(self, release: Release | None = None) -> None:
        """Close the running fit; it is complete only once :meth:`complete` says so."""
        rows = release.noisy_rows if release is not None else None
        self._ended.extend(replace(record, noisy_rows=rows) for record in self._unfinished())
        self._running = None

    def complete(self) -> None:
        """Mark the last fit as complete: there is a generator trained from its release."""
        if self._ended:
            self._ended[-1] = replace(self._ended[-1], completed=True)

    def adopt(self, record: FitRecord) -> None:
        """Take over the record of a fit that was made elsewhere."""
        if record.entries:
            self._ended.append(record)

    def _unfinished(self) -> tuple[FitRecord, ...]:
        if self._running is None:
            return ()
        request, ledger = self._running
        return (replace(request, entries=ledger.entries),) if ledger.entries else ()
