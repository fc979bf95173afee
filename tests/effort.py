"""How many examples the properties are tried on."""

from __future__ import annotations

import os

from hypothesis import settings

THOROUGH = 10
"""Times as many with ``HYPOTHESIS_PROFILE=thorough``."""


def examples(number: int) -> settings:
    """So many examples of a property whose examples are dear, or more by the profile."""
    thorough = os.environ.get('HYPOTHESIS_PROFILE') == 'thorough'
    return settings(max_examples=number * (THOROUGH if thorough else 1))
