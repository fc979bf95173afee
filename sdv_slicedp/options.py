"""Checks of the synthesizer's options; the message names the option, its value and the cure."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import torch
from sdv.errors import SynthesizerInputError

from sdv_slicedp.accounting import NEIGHBORING_RELATION, REPLACE_ONE
from sdv_slicedp.domain import Category
from sdv_slicedp.f_divergence import DIVERGENCES
from sdv_slicedp.ledger import DIRECTIONS
from sdv_slicedp.networks import headed
from sdv_slicedp.sliced_training import ESTIMATORS
from sdv_slicedp.training_plan import TrainingPlan

RELATIONS = {'histogram': NEIGHBORING_RELATION, 'projection': REPLACE_ONE}
"""Mechanisms, and which tables the guarantee of each compares."""
GENERATORS = ('mixture', 'mlp', 'residual_mlp')
CHOICES = {'divergence': tuple(DIVERGENCES), 'estimator': ESTIMATORS}
FLAGS = ('enable_gpu', 'verbose')
COUNTS = {'epochs': 1, 'n_components': 1, 'batch_size': 1, 'patience': 1, 'random_state': 0}
"""Integers, or ``None``, and the least that each can be."""
TRAINING = (
    'generator',
    'epochs',
    'n_components',
    'batch_size',
    'learning_rate',
    'divergence',
    'estimator',
    'slices_per_step',
    'patience',
    'callback',
    'random_state',
    'enable_gpu',
    'verbose',
)
"""Options that only matter after the release; changing them spends no budget."""


def check_measurement(mechanism: Any, directions: Any, n_slices: Any) -> None:
    """Refuse mechanisms that are not there, and options of another one.

    Raises:
        SynthesizerInputError: If a value is not possible.
    """
    _check_choice('mechanism', mechanism, tuple(RELATIONS))
    _check_choice('directions', directions, DIRECTIONS)
    _check_count('n_slices', n_slices, 1)
    if mechanism != 'projection' and (n_slices is not None or directions != DIRECTIONS[0]):
        raise SynthesizerInputError(
            f"n_slices={n_slices!r} and directions={directions!r} are of mechanism='projection', "
            f'got mechanism={mechanism!r}.'
        )


def target_columns(names: Any, modelled: Sequence[str], mechanism: str) -> list[str] | None:
    """The columns that a user named as those that matter most, as text.

    Args:
        names: ``None``, or a list of names.
        modelled: Columns that are modelled; empty if the metadata has none yet.
        mechanism: The mechanism that is to measure.

    Raises:
        SynthesizerInputError: If it is no list, names other columns, or the mechanism has no use
            for it.
    """
    if names is None:
        return None
    listed = isinstance(names, list | tuple | set | frozenset)
    if not listed or not all(isinstance(name, str | int) for name in names):
        raise SynthesizerInputError(
            f'target_columns must be None or a list of column names, got {names!r}.'
        )
    if mechanism == 'projection':
        raise SynthesizerInputError(
            f"target_columns={names!r} is of mechanism='histogram', got mechanism={mechanism!r}."
        )
    chosen = list(dict.fromkeys(str(name) for name in names))
    unknown = sorted(set(chosen) - set(modelled))
    if unknown and modelled:
        raise SynthesizerInputError(
            f'target_columns names columns that are not modelled: {unknown}. Those that are: '
            f'{list(modelled)}.'
        )
    return chosen


def remainder(named: Any, discrete: Sequence[str]) -> dict[str, Category] | None:
    """The categories, by column, that a user has named for all values that are in no other one.

    Args:
        named: ``None``, or a category by column.
        discrete: The categorical and ordinal columns; empty if the metadata has none yet.

    Raises:
        SynthesizerInputError: If it is no such mapping.
    """
    if named is None:
        return None
    if not isinstance(named, Mapping):
        raise SynthesizerInputError(
            f"remainder must be None or a category by column, such as {{'city': 'other'}}, got "
            f'{named!r}.'
        )
    chosen = {str(name): category for name, category in named.items()}
    for name, category in chosen.items():
        finite = not isinstance(category, float) or math.isfinite(category)
        if not (isinstance(category, str | int | float) and finite):
            raise SynthesizerInputError(
                f"remainder of column '{name}' must be a string or a finite number, got "
                f'{category!r}.'
            )
        if discrete and name not in discrete:
            raise SynthesizerInputError(
                f"remainder names the column '{name}', which is not a modelled categorical or "
                f'ordinal one. Those are: {list(discrete)}.'
            )
    return chosen


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
            _check_generator(value)
        elif name in CHOICES:
            _check_choice(name, value, CHOICES[name])
        elif name in FLAGS:
            check_flag(name, value)
        elif name == 'learning_rate':
            _check_rate(name, value)
        elif name == 'callback':
            if not (value is None or callable(value)):
                raise SynthesizerInputError(f'{name} must be None or callable, got {value!r}.')
        elif value is None and name == 'slices_per_step':
            raise SynthesizerInputError(f'{name} must be an integer of at least 1, got None.')
        else:
            _check_count(name, value, COUNTS.get(name, 1))


def check_warm_start(before: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    """Refuse to go on from a generator of another kind.

    Raises:
        SynthesizerInputError: If ``generator`` or ``n_components`` are not those of before.
    """
    old, new = before['generator'], chosen['generator']
    same = old is new if isinstance(old, torch.nn.Module) else old == new
    if not (same and chosen['n_components'] == before['n_components']):
        raise SynthesizerInputError(
            'warm_start=True goes on with the generator and the n_components that there are; to '
            'train others, set warm_start=False.'
        )


def check_flag(name: str, value: Any) -> None:
    """Refuse what is neither ``True`` nor ``False``."""
    if not isinstance(value, bool):
        raise SynthesizerInputError(f'{name} must be True or False, got {value!r}.')


def _check_generator(value: Any) -> None:
    if isinstance(value, torch.nn.Module):
        try:
            headed(value, torch.zeros(1), None)
        except TypeError as error:  # now, not when the budget is spent
            raise SynthesizerInputError(str(error)) from None
        return
    if not isinstance(value, str) or value not in GENERATORS:
        raise SynthesizerInputError(
            f'generator must be one of {list(GENERATORS)} or a torch.nn.Module, got {value!r}.'
        )


def _check_rate(name: str, value: Any) -> None:
    if value is None:
        return
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (number and 0 < float(value) < math.inf):
        raise SynthesizerInputError(f'{name} must be None or positive and finite, got {value!r}.')


def training_plan(options: Mapping[str, Any]) -> TrainingPlan:
    """The plan of a training; what is ``None`` keeps its default."""
    names = {field.name for field in fields(TrainingPlan)} & set(options)
    return TrainingPlan(**{name: options[name] for name in names if options[name] is not None})


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
