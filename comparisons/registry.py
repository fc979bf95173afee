"""The methods by name; a method's module, and what it needs, is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from comparisons.method import Method

METHODS = {
    'sliced_histogram': 'ours:SlicedHistogram',
    'sliced_histogram_told': 'ours:SlicedHistogramTold',
    'sliced_histogram_replace_one': 'ours:SlicedHistogramReplaceOne',
    'sliced_projection': 'ours:SlicedProjection',
    'dpctgan': 'dpctgan:DPCTGAN',
    'dptvae': 'dptvae:DPTVAE',
    'pategan': 'pategan:PATEGAN',
    'dpmerf': 'dpmerf:DPMERF',
    'slicewass': 'slicewass:SliceWass',
    'aim': 'marginal_based:aim',
    'mst': 'marginal_based:mst',
    'independent': 'references:IndependentHistograms',
    'sdv_gaussian_copula': 'references:SDVReference:GaussianCopula',
    'sdv_ctgan': 'references:SDVReference:CTGAN',
    'sdv_tvae': 'references:SDVReference:TVAE',
    'bootstrap': 'references:Bootstrap',
}
"""Module, then what makes the method, then its arguments."""


def check_names(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a name that is not registered; lists those that are."""
    for name in names:
        if name not in METHODS:
            raise ValueError(f"There is no method '{name}'; choose from {', '.join(METHODS)}.")


def method(name: str) -> Method:
    """A method with its default hyper-parameters.

    Raises:
        ValueError: If there is no such method.
        comparisons.method.MissingExtraError: If what it needs is not installed.
    """
    check_names([name])
    module, maker, *arguments = METHODS[name].split(':')
    made: Method = getattr(import_module(f'comparisons.methods.{module}'), maker)(*arguments)
    return made
