"""A trained network as a sampler. Its state is a function of the release alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import nn

from sdv_slicedp import posterior
from sdv_slicedp.coupling import Coupling
from sdv_slicedp.drawing import draw_cells
from sdv_slicedp.generator import ColumnDecoder, coupled_places, decoded
from sdv_slicedp.networks import latent_dim

Tables = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_BATCH = 4096
FEW_LATENTS, MANY_LATENTS = 2**13, 2**16
"""Latent numbers that stand for all of them under conditions; many where few of the few fit."""
ENOUGH = 1000.0
"""Latent numbers that should stand behind a row, by :func:`posterior.effective_size`."""
MOST_WEIGHTS = 2**27
"""Weights that are computed with many latent numbers."""


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
        parts = []
        for start in range(0, max(num_rows, 1), _BATCH):
            laws = self._laws(self._latents(min(_BATCH, num_rows - start)))
            everyone = np.arange(len(laws[0]))
            bins = [draw_cells(law, everyone, self._rng) for law in laws]
            places = coupled_places(bins, self.coupling, self._rng)
            parts.append(decoded(bins, self.decoders, places, everyone, self._rng))
        return pd.concat(parts, ignore_index=True)

    def sample_given(self, num_rows: int, given: Mapping[int, Integers]) -> pd.DataFrame:
        """Rows in the processed space whose columns have the given values.

        Fresh latent numbers are taken as the components of a mixture, Eq. (39): importance
        resampling, Eq. (41).

        Args:
            num_rows: Number of rows.
            given: Grid positions or codes of the conditioned columns, arrays of shape
                ``(num_rows,)``, by the number of the column.
        """
        where = {i: self.decoders[i].cells(positions) for i, positions in given.items()}
        latents, tables = self._pool(FEW_LATENTS, where)
        if num_rows and posterior.effective_size(num_rows, tables, where) < ENOUGH:
            size = min(MANY_LATENTS, MOST_WEIGHTS // num_rows)
            latents, tables = self._pool(size, where) if size > FEW_LATENTS else (latents, tables)
        chosen = posterior.choose(num_rows, tables, where, self.coupling, self._rng)
        parts = []
        for start in range(0, max(num_rows, 1), _BATCH):
            rows = slice(start, start + _BATCH)
            laws = self._laws(latents[chosen.component[rows]])
            everyone = np.arange(len(laws[0]))
            bins = [
                chosen.bins[i][rows] if i in chosen.bins else draw_cells(law, everyone, self._rng)
                for i, law in enumerate(laws)
            ]
            places = {i: place[rows] for i, place in chosen.places.items()}
            known = {i: positions[rows] for i, positions in given.items()}
            parts.append(decoded(bins, self.decoders, places, everyone, self._rng, known))
        return pd.concat(parts, ignore_index=True)

    def _latents(self, count: int) -> Tables:
        shape = (count, latent_dim(self.network))
        return self._rng.standard_normal(shape, dtype=np.float32)

    def _laws(self, latents: Tables, columns: Collection[int] | None = None) -> list[Tables]:
        """Laws of the cells of all or some columns, one row for each latent number."""
        with torch.no_grad():
            logits = self.network(torch.from_numpy(latents))
        parts = enumerate(torch.split(logits, self._sizes, dim=1))
        return [
            self._shown[i](torch.softmax(part, dim=1).numpy())
            for i, part in parts
            if columns is None or i in columns
        ]

    def _pool(self, count: int, where: Collection[int]) -> tuple[Tables, dict[int, Tables]]:
        """Latent numbers, and their laws of the columns that tell which of them fit."""
        needed = sorted({*where, *(self.coupling.columns if self.coupling else ())}) or [0]
        latents = self._latents(count)
        parts = [
            self._laws(latents[start : start + _BATCH], needed) for start in range(0, count, _BATCH)
        ]
        laws = [np.concatenate(tables) for tables in zip(*parts, strict=True)]
        return latents, dict(zip(needed, laws, strict=True))
