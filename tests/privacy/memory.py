"""Accounting that remembers: the same plan is made thousands of times in the audits."""

from __future__ import annotations

import functools

import pytest

from sdv_slicedp import mechanism, stages


def remembered_accounting(patch: pytest.MonkeyPatch) -> None:
    """Keep the results of two pure functions of public numbers; nothing else changes."""
    patch.setattr(mechanism, 'planning_budget', functools.cache(mechanism.planning_budget))
    patch.setattr(stages, 'scale_to_budget', functools.cache(stages.scale_to_budget))
