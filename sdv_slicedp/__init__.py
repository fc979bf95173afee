"""Differentially private synthetic tables for SDV, from noisy slices of the data."""

__version__ = '0.1.0'

# SDV scans the entry points while it is imported and loads `synthesizer` itself. If this package
# is imported first, that must happen before any of its own modules is half-way through.
import sdv  # noqa: F401

from sdv_slicedp.declared_combinations import DeclaredCombinations
from sdv_slicedp.errors import DomainError, PrivacyError, ReleaseFormatError
from sdv_slicedp.release import Release
from sdv_slicedp.synthesizer import SlicedDPSynthesizer
from sdv_slicedp.template import load_template, metadata_template

__all__ = [
    'SlicedDPSynthesizer',
    'Release',
    'DeclaredCombinations',
    'metadata_template',
    'load_template',
    'PrivacyError',
    'DomainError',
    'ReleaseFormatError',
    '__version__',
]
