"""The package's own exceptions; each is built from one string, as SDV requires."""


class PrivacyError(RuntimeError):
    """A step would spend more privacy budget than was granted, or its cost is unknown."""


class DomainError(ValueError):
    """A column's declared domain is missing or contradicts itself. Never quotes data."""


class ReleaseFormatError(ValueError):
    """A release file is damaged, foreign, or of a version that this package cannot read."""
