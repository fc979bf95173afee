"""Checks of the synthesizer's options; the message names the option, its value and the cure."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import torch
from sdv.errors import SynthesizerInputError

MECHANISMS = ('histogram',)
GENERATORS = ('mixture',)
TRAINING = ('generator', 'epochs', 'n_components', 'random_state', 'enable_gpu', 'verbose')
"""Options that only matter after the release; changing them spends no budget."""


def check_mechanism(mechanism: Any) -> None:
    """Refuse mechanisms that are not there."""
    _check_choice('mechanism', mechanism, MECHANISMS)


def check_training(options: Mapping[str, Any]) -> None:
    """Refuse training options that are unknown or out of range.

    Raises:
        TypeError: If an option does not exist, as for any unknown argument.
        SynthesizerInputError: If a value is not possible.
    """
    unknown = sorted(set(options) - set(TRAINING))
    if unknown:
        raise TypeError(f'There are no training options {unknown}; they are {list(TRAINING)}.')
    for name, value in options.items():
        if name == 'generator':
            _check_choice(name, value, GENERATORS)
        elif name in ('enable_gpu', 'verbose'):
            if not isinstance(value, bool):
                raise SynthesizerInputError(f'{name} must be True or False, got {value!r}.')
        else:
            _check_count(name, value, 0 if name == 'random_state' else 1)


def device(enable_gpu: bool) -> str:
    """Name of the torch device to train on."""
    return 'cuda' if enable_gpu and torch.cuda.is_available() else 'cpu'


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise SynthesizerInputError(f'{name} must be one of {list(choices)}, got {value!r}.')


def _check_count(name: str, value: Any, least: int) -> None:
    if value is None:
        return
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (integer and int(value) >= least):
        raise SynthesizerInputError(
            f'{name} must be None or an integer of at least {least}, got {value!r}.'
        )
