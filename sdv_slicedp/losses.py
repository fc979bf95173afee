"""Losses of the training, as SDV's neural synthesizers show them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sdv.errors import NotFittedError


class LossValues:
    """Mixin of a synthesizer whose model keeps the loss of each epoch."""

    _fitted: bool
    _model: Any

    def get_loss_values(self) -> pd.DataFrame:
        """Loss of each training epoch, a function of the release.

        Raises:
            NotFittedError: If the synthesizer is not fitted.
        """
        if not self._fitted:
            raise NotFittedError('There are no losses yet. Please fit your synthesizer first.')
        if self._model is None:
            return pd.DataFrame({'Epoch': [], 'Loss': []})
        return self._model.loss_values.copy()

    def get_loss_values_plot(self, title: str = 'Training loss') -> Any:
        """Line plot of the loss values, a plotly figure.

        Args:
            title: Title of the figure.
        """
        return loss_figure(self.get_loss_values(), title)


def loss_figure(losses: pd.DataFrame, title: str = '') -> Any:
    """Line plot of ``losses``, with columns ``Epoch`` and ``Loss``."""
    # Plotting libraries are slow to import, and nothing else here needs them.
    from plotly import express

    figure = express.line(losses, x='Epoch', y='Loss', title=title or None)
    return figure.update_layout(template='plotly_white')
