"""Private training with Opacus: Poisson samples, clipped gradients, noise from the system."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from comparisons.method import MissingExtraError

ACCOUNTANT = 'privacy loss distributions (dp-accounting) of the Poisson-sampled Gaussian mechanism'


@dataclass(frozen=True)
class Plan:
    """How often and how much the rows are looked at; fixed before training.

    Attributes:
        rows: Number of rows, public.
        batch_size: Expected size of a batch, as asked for.
        epochs: Expected number of times that a row is used.
    """

    rows: int
    batch_size: int
    epochs: int
    steps: int = field(init=False)
    rate: float = field(init=False)

    def __post_init__(self) -> None:
        per_epoch = max(1, -(-self.rows // self.batch_size))
        object.__setattr__(self, 'rate', 1 / per_epoch)
        object.__setattr__(self, 'steps', self.epochs * per_epoch)


class _Rows(Dataset[torch.Tensor]):
    """Rows by list of indices: a batch is one indexing, and may be empty."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.rows[index]

    def __getitems__(self, indices: Sequence[int]) -> tuple[torch.Tensor]:
        # a tuple of one: Opacus replaces batches of length zero by something else
        return (self.rows[torch.as_tensor(indices, dtype=torch.long)],)


@dataclass
class Private:
    """A module under private training.

    Attributes:
        module: Wrapped by Opacus.
        optimizer: Clips and adds noise.
        loader: Poisson samples.
        steps: Number of steps that are accounted for.
    """

    module: Any
    optimizer: Any
    loader: Any
    steps: int

    def batches(self) -> Iterator[torch.Tensor]:
        """As many Poisson samples as there are steps."""
        endless = itertools.chain.from_iterable(itertools.repeat(self.loader))
        return (batch for (batch,) in itertools.islice(endless, self.steps))

    def step(self, losses: torch.Tensor) -> None:
        """One private step on the losses of the rows of a batch."""
        from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

        self.optimizer.zero_grad()
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of hooks where inputs need no gradient, as is right
            DPTensorFastGradientClipping(self.module, self.optimizer, losses).backward()
        self.optimizer.step()

    @contextmanager
    def public(self) -> Iterator[nn.Module]:
        """The module for computations that see no rows; they leave no per-row gradients."""
        self.module.disable_hooks()
        try:
            yield self.module
        finally:
            self.module.enable_hooks()


def make_private(
    module: nn.Module,
    rows: torch.Tensor,
    plan: Plan,
    *,
    noise_multiplier: float,
    max_grad_norm: float,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.999),
) -> Private:
    """Adam on ``module``, private for each of ``rows``.

    Raises:
        MissingExtraError: If Opacus is not installed.
    """
    opacus = require_opacus()
    loader = DataLoader(
        _Rows(rows), plan.batch_size, collate_fn=_as_is, generator=unpredictable_stream()
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # secure mode needs a package that is not maintained
        private, optimizer, _, sampled = opacus.PrivacyEngine().make_private(
            module=module,
            optimizer=torch.optim.Adam(module.parameters(), lr=learning_rate, betas=betas),
            data_loader=loader,
            noise_multiplier=noise_multiplier,
            max_grad_norm=max_grad_norm,
            noise_generator=unpredictable_stream(),
            grad_sample_mode='ghost',  # norms of rows without their gradients: less memory, faster
        )
    return Private(private, optimizer, sampled, plan.steps)


def _as_is(batch: Any) -> Any:
    return batch


def require_opacus() -> Any:
    """The package.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import opacus
    except ImportError as error:
        raise MissingExtraError(
            "DP-SGD needs opacus: pip install '.[comparisons]' in the repository"
        ) from error
    return opacus


def unpredictable_stream() -> torch.Generator:
    """Stream of privacy noise: from the entropy of the system, never from a seed."""
    stream = torch.Generator()
    stream.manual_seed(int.from_bytes(os.urandom(8), 'little', signed=True))
    return stream
