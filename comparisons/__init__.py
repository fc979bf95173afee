"""Comparisons of SlicedDPSynthesizer with what one would otherwise use, at matched budgets.

``python -m comparisons --help``; what is compared, and how: docs/comparisons.md. Reads real rows
to score: nothing here is private, except what each method says of its own samples.
"""
