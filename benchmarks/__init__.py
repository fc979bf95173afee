"""Scripts that measure quality and speed; ``python benchmarks/quality.py --help`` and so on."""
