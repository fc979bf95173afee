"""The divergence between a mixture of products and the released two-column laws.

A smoothed-sliced chi^2-type divergence with noise-aware weights, Eq. (8): the slices are the
measured pairs of columns, and each is weighted by the precision of its measurement. For a
mixture of products it is exact and needs one matrix product for all pairs, Eq. (7).
"""

from __future__ import annotations

import numpy as np
import torch

from sdv_slicedp.denoising import Target


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

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        """Component laws: softmax of each column's block of ``logits``, shape ``(T, N)``."""
        largest = torch.stack([block.amax(dim=0) for block in torch.split(logits, self._sizes)])
        exponential = torch.exp(logits - largest[self._column])
        return exponential / self._per_column(exponential)

    def _per_column(self, values: torch.Tensor) -> torch.Tensor:
        """Sum of each column's block, repeated over the block."""
        total = values.new_zeros(self.n_columns, values.shape[1])
        return total.index_add_(0, self._column, values)[self._column]

    def loss_and_gradient(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss (8) at ``logits`` and its gradient, up to the factor 2 / N.

        Args:
            logits: Shape ``(T, N)``.
        """
        laws = self.softmax(logits)
        residual = (laws @ laws.T).div_(laws.shape[1]).sub_(self._table)
        weighted = self._weight * residual
        loss = 0.5 * torch.sum(weighted * residual)
        product = laws * (weighted @ laws)
        return loss, product - laws * self._per_column(product)

    def loss(self, laws: torch.Tensor) -> torch.Tensor:
        """Loss (8) at the laws of a batch of latent numbers, for a network.

        Args:
            laws: Shape ``(batch, T)``.
        """
        residual = laws.T @ laws / len(laws) - self._table
        return 0.5 * torch.sum(self._weight * residual**2)
