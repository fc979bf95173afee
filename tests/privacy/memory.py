"""Accounting that remembers: the same plan is made thousands of times in the audits."""

from __future__ import annotations

import functools

import pytest

from sdv_slicedp import mechanism, projection_stages, table_stages


def remembered_accounting(patch: pytest.MonkeyPatch) -> None:
    """Keep the results of pure functions of public numbers; nothing else changes."""
    patch.setattr(mechanism, 'planning_budget', functools.cache(mechanism.planning_budget))
    cached = functools.cache(table_stages.scale_to_budget)
    patch.setattr(table_stages, 'scale_to_budget', cached)
    for name in ('planning_budget', 'calibrate_projection', 'plan_projection'):
        patch.setattr(projection_stages, name, functools.cache(getattr(projection_stages, name)))
