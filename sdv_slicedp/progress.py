"""The epochs of a training: progress bar, losses, callbacks and early stopping.

A loss is a function of the release, and so is all that is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from tqdm import tqdm

Callback = Callable[[int, float], bool | None]
"""Called with the epoch and its loss; training ends when it returns ``True``."""

_AVERAGED = 20  # epochs: single losses are noisy
_GAIN = 1e-3  # share of the loss


class Progress:
    """Iterates over epochs; the loss of each has to be recorded.

    Args:
        epochs: Most epochs.
        patience: Stop if the loss, averaged over some epochs, has not fallen for so many epochs;
            ``None`` for never.
        callback: Called after each epoch.
        verbose: Show a progress bar.
        first: Number of the first epoch, for the callback and the losses.

    Attributes:
        is_told: Whether the callback, of this or of a part, has ended the training.
    """

    def __init__(
        self,
        epochs: int,
        patience: int | None = None,
        callback: Callback | None = None,
        verbose: bool = False,
        first: int = 0,
    ) -> None:
        self.epochs = epochs
        self.is_told = False
        self._first = first
        self._patience = patience
        self._callback = callback
        self._verbose = verbose
        self._losses: list[float] = []
        self._best, self._best_epoch = np.inf, 0
        self._stopped = False

    def part(self, epochs: int, first: int = 0) -> Progress:
        """So many epochs of the same training, with their own losses and patience."""
        return Progress(epochs, self._patience, self._tell, self._verbose, first)

    @property
    def losses(self) -> pd.DataFrame:
        """Columns ``Epoch`` and ``Loss``, a row for each epoch so far."""
        losses = np.array(self._losses, dtype=np.float64)
        return pd.DataFrame({'Epoch': self._first + np.arange(len(losses)), 'Loss': losses})

    def __iter__(self) -> Iterator[int]:
        """Epochs from 0 on, until the last or until training is stopped."""
        if not self._verbose:
            # A bar that is not shown still takes tqdm's lock, which all forked processes share: if
            # one were killed with it, the others would wait for ever.
            yield from self._until_stopped()
            return
        with tqdm(total=self.epochs, desc='Training') as bar:
            for epoch in self._until_stopped():
                yield epoch
                bar.set_postfix(loss=f'{self._losses[-1]:.3g}', refresh=False)
                bar.update()

    def _until_stopped(self) -> Iterator[int]:
        for epoch in range(self.epochs):
            yield epoch
            if self._stopped:
                return

    def record(self, loss: float) -> None:
        """Take note of the loss of the epoch, and decide whether to go on."""
        self._losses.append(loss)
        epoch = len(self._losses) - 1
        recent = float(np.mean(self._losses[-_AVERAGED:]))
        if recent < self._best - _GAIN * abs(self._best) or not np.isfinite(self._best):
            self._best, self._best_epoch = recent, epoch
        worn = self._patience is not None and epoch - self._best_epoch >= self._patience
        self._stopped = self._tell(self._first + epoch, loss) or worn

    def _tell(self, epoch: int, loss: float) -> bool:
        if self._callback is not None and self._callback(epoch, loss) is True:
            self.is_told = True
        return self.is_told
