"""How many examples the properties are tried on."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

THOROUGH = 10
"""Times as many with ``HYPOTHESIS_PROFILE=thorough``."""


def examples(number: int, **options: Any) -> settings:
    """So many examples of a property whose examples are dear; more if the profile is thorough."""
    thorough = os.environ.get('HYPOTHESIS_PROFILE') == 'thorough'
    return settings(max_examples=number * (THOROUGH if thorough else 1), **options)
