"""What the generators of all baselines share: layers, their first weights, and sampling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar, cast

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from comparisons.methods.network_encoding import NetworkEncoding

SAMPLED_AT_ONCE = 10_000
SomeModule = TypeVar('SomeModule', bound=nn.Module)


def perceptron(
    inputs: int,
    hidden: Sequence[int],
    outputs: int,
    *,
    slope: float = 0.0,
    batch_normalised: bool = False,
) -> nn.Sequential:
    """Layers with rectifiers between them.

    Args:
        inputs: Width of the input.
        hidden: Widths of the layers between.
        outputs: Width of the output.
        slope: Of the rectifiers below zero.
        batch_normalised: Normalise batches, which mixes rows: not for networks that see real ones.
    """
    layers: list[nn.Module] = []
    for width in hidden:
        normalised = [nn.BatchNorm1d(width)] if batch_normalised else []
        layers += [nn.Linear(inputs, width), *normalised, nn.LeakyReLU(slope)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


@contextmanager
def first_weights(seed: int) -> Iterator[None]:
    """Modules made inside start from ``seed``; torch's own random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Average(Generic[SomeModule]):
    """Exponential average of the weights that a module has while it is trained."""

    def __init__(self, module: SomeModule, decay: float) -> None:
        self._averaged = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay))

    def update(self, module: SomeModule) -> None:
        """Count the weights of now in."""
        self._averaged.update_parameters(module)

    @property
    def module(self) -> SomeModule:
        """A module with the average weights."""
        return cast(SomeModule, self._averaged.module)


@torch.no_grad()
def sampled_table(
    encoding: NetworkEncoding,
    rows: Callable[[int, torch.Generator], torch.Tensor],
    n: int,
    seed: int,
    like: pd.DataFrame,
) -> pd.DataFrame:
    """A table of ``n`` generated rows, made a few thousand at a time.

    Args:
        encoding: Of the rows.
        rows: Makes so many encoded rows from a stream.
        n: Number of rows.
        seed: Of the stream.
        like: Has the data types of the result.
    """
    stream = torch.Generator().manual_seed(seed)
    sizes = [min(SAMPLED_AT_ONCE, n - start) for start in range(0, n, SAMPLED_AT_ONCE)]
    parts = [rows(size, stream) for size in sizes]
    matrix = torch.cat(parts).numpy() if parts else np.zeros((0, encoding.width))
    return encoding.decode(matrix, like)
