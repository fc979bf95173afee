"""The divergence between a mixture of products and the released two-column laws.

A smoothed-sliced chi^2-type divergence with noise-aware weights, Eq. (8): the slices are the
measured pairs of columns, and each is weighted by the precision of its measurement. For a
mixture of products it is exact and needs one matrix product for all pairs, Eq. (7), and one more
for all pairs given a cell of a hub column, Eq. (36).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sdv_slicedp.denoising import Target
from sdv_slicedp.hubs import HubLaw


@dataclass(frozen=True, eq=False)
class HubCell:
    """What the pairs are to be together with one cell of a hub.

    Attributes:
        row: Position of the cell among all T cells.
        table: Probabilities of the hub's cell with every two other cells, shape ``(T, T)``.
        weight: Weights of the entries of ``table``.
    """

    row: int
    table: torch.Tensor
    weight: torch.Tensor


class PairDivergence:
    """Loss (8) over all pairs at once, with its gradient in closed form.

    Attributes:
        offsets: First position of each column's cells among all T cells, then T.
        law: One-column laws of all columns, one after the other, shape ``(T,)``.
    """

    def __init__(self, target: Target, device: torch.device) -> None:
        """Lay the pairs' laws out as one symmetric T x T matrix.

        Args:
            target: Denoised laws.
            device: Where to compute.
        """
        sizes = [len(law) for law in target.laws]
        self.offsets = np.cumsum([0, *sizes])
        self.n_columns = len(sizes)
        self._sizes = sizes
        table, weight = self._matrices(target)
        self._table = torch.from_numpy(table).to(device)
        self._weight = torch.from_numpy(weight).to(device)
        self._hub_cells = [cell for hub in target.hubs for cell in self._cells(hub, weight, device)]
        self._hub_weight = len(self._hub_cells) / max(len(target.hubs), 1)
        laws = np.concatenate(target.laws) if sizes else np.zeros(0)
        self.law = torch.from_numpy(laws.astype(np.float32)).to(device)
        column = np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)
        self._column = torch.from_numpy(column).to(device)

    def _matrices(self, target: Target) -> tuple[np.ndarray, np.ndarray]:
        total = int(self.offsets[-1])
        table = np.zeros((total, total), dtype=np.float32)
        weight = np.zeros((total, total), dtype=np.float32)
        precisions = 1 / target.noise**2
        scale = float(precisions.mean()) if len(precisions) else 1.0
        for (a, b), law, precision in zip(target.pairs, target.tables, precisions, strict=True):
            rows = slice(self.offsets[a], self.offsets[a + 1])
            columns = slice(self.offsets[b], self.offsets[b + 1])
            table[rows, columns], table[columns, rows] = law, law.T
            weight[rows, columns] = weight[columns, rows] = precision / scale
        return table, weight

    def _cells(self, hub: HubLaw, weight: np.ndarray, device: torch.device) -> list[HubCell]:
        first, last = self.offsets[hub.column : hub.column + 2]
        weight = weight.copy()
        weight[first:last], weight[:, first:last] = 0.0, 0.0
        tables = np.zeros((last - first, *weight.shape), dtype=np.float32)
        for (a, b), law in hub.tables.items():
            rows = slice(self.offsets[a], self.offsets[a + 1])
            columns = slice(self.offsets[b], self.offsets[b + 1])
            tables[:, rows, columns], tables[:, columns, rows] = law, law.swapaxes(1, 2)
        shared = torch.from_numpy(weight).to(device)
        return [
            HubCell(int(first) + i, torch.from_numpy(table).to(device), shared)
            for i, table in enumerate(tables)
        ]

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        """Component laws: softmax of each column's block of ``logits``, shape ``(T, N)``."""
        largest = torch.stack([block.amax(dim=0) for block in torch.split(logits, self._sizes)])
        exponential = torch.exp(logits - largest[self._column])
        return exponential / self._per_column(exponential)

    def _per_column(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of each column's block, repeated over the block."""
        total = values.new_zeros(self.n_columns, values.shape[1])
        return total.index_add_(0, self._column, values)[self._column]

    def loss_and_gradient(
        self, logits: torch.Tensor, epoch: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss (8) at ``logits``, and Eq. (36) for one hub cell, with the gradient up to 2 / N.

        Args:
            logits: Shape ``(T, N)``.
            epoch: Number of the step; hub cells take turns.
        """
        laws = self.softmax(logits)
        residual = (laws @ laws.T).div_(laws.shape[1]).sub_(self._table)
        weighted = self._weight * residual
        loss = 0.5 * torch.sum(weighted * residual)
        slope = weighted @ laws
        if self._hub_cells:
            loss += self._add_hub_cell(laws, slope, epoch)
        product = laws * slope
        return loss, product - laws * self._per_column(product)

    def _add_hub_cell(self, laws: torch.Tensor, slope: torch.Tensor, epoch: int) -> torch.Tensor:
        """Loss (36) of the hub cell whose turn it is; its slope is added to ``slope``."""
        cell = self._hub_cells[epoch % len(self._hub_cells)]
        share = laws[cell.row]
        residual = ((laws * share) @ laws.T).div_(laws.shape[1]).sub_(cell.table)
        weighted = self._hub_weight * cell.weight * residual
        product = weighted @ laws
        slope += product * share
        slope[cell.row] += 0.5 * torch.sum(product * laws, dim=0)
        return 0.5 * torch.sum(weighted * residual)

    def loss(self, laws: torch.Tensor) -> torch.Tensor:
        """Loss (8) at the laws of a batch of latent numbers, for a network.

        Args:
            laws: Shape ``(batch, T)``.
        """
        residual = laws.T @ laws / len(laws) - self._table
        return 0.5 * torch.sum(self._weight * residual**2)
