"""A trained network as a sampler. Its state is a function of the release alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from sdv_slicedp.coupling import Coupling
from sdv_slicedp.generator import ColumnDecoder, decoded, draw_cells
from sdv_slicedp.networks import latent_dim

Tables = npt.NDArray[np.float32]

_BATCH = 4096


class ShownCells:
    """The cells of one column that have a value to show.

    Discovered categories have a remainder cell without one; what a generator puts there goes to
    the other cells by the column's law.
    """

    def __init__(self, kept: npt.NDArray[np.int64], law: npt.NDArray[np.float64]) -> None:
        """Keep cells ``kept`` of a column with this law over all of its cells."""
        self.kept = kept
        total = law[kept].sum()
        self.share = law[kept] / total if total > 0 else np.full(len(kept), 1 / len(kept))

    def __call__(self, table: Tables) -> Tables:
        """Laws over the kept cells, from laws over all, one in each row."""
        hidden = np.maximum(1.0 - table[:, self.kept].sum(axis=1, keepdims=True), 0.0)
        shown = table[:, self.kept] + hidden * self.share + 1e-12
        return np.asarray(shown / shown.sum(axis=1, keepdims=True), dtype=np.float32)


class NeuralModel:
    """Rows from a network: fresh latent numbers for each, then a cell for each column."""

    def __init__(
        self,
        network: nn.Module,
        sizes: Sequence[int],
        shown: Sequence[ShownCells],
        decoders: Sequence[ColumnDecoder],
        loss_values: pd.DataFrame,
        coupling: Coupling | None = None,
    ) -> None:
        """Keep a trained network.

        Args:
            network: Latent numbers to logits of all cells; on the CPU.
            sizes: Cells of each column.
            shown: Which of them have a value.
            decoders: Values of cells, one decoder for each column.
            loss_values: Columns ``Epoch`` and ``Loss``.
            coupling: How numbers lie in their pair cells together.
        """
        self.coupling = coupling
        self.network = network.eval()
        self.decoders = list(decoders)
        self.loss_values = loss_values
        self._sizes, self._shown = list(sizes), list(shown)
        self._rng = np.random.default_rng()

    def set_random_state(self, random_state: Any) -> None:
        """Restart the sampling stream from a seed."""
        self._rng = np.random.default_rng(random_state)

    def sample(self, num_rows: int) -> pd.DataFrame:
        """Independent rows in the processed space."""
        parts = [
            self._sample(min(_BATCH, num_rows - start)) for start in range(0, num_rows, _BATCH)
        ]
        rows = pd.concat(parts or [self._sample(0)], ignore_index=True)
        return rows

    def _sample(self, count: int) -> pd.DataFrame:
        latent = self._rng.standard_normal((count, latent_dim(self.network)), dtype=np.float32)
        with torch.no_grad():
            logits = self.network(torch.from_numpy(latent))
        everyone = np.arange(count)
        parts = torch.split(logits, self._sizes, dim=1)
        laws = (
            shown(torch.softmax(part, dim=1).numpy())
            for part, shown in zip(parts, self._shown, strict=True)
        )
        bins = [draw_cells(law, everyone, self._rng) if count else everyone for law in laws]
        return decoded(bins, self.decoders, self.coupling, everyone, self._rng)
