"""Errors a user can cause, as one tree. Standard library only: every package raises from it.

    SpikepressError
    ├── ConfigError      a configuration key or value, or options that cannot go together
    ├── DataError        a data file that is missing, malformed, or a split that leaks
    ├── ModelError       a network that is malformed or that the contract cannot express
    │   └── UnsupportedError   well formed, but refused by name
    ├── FormatError      a stored file that is not what it says
    └── OutputError      a place that cannot be written

Each message is one sentence that names the thing, what was found, and what was expected.
"""

from __future__ import annotations


class SpikepressError(Exception):
    """Base of all errors that a user's input can cause."""


class ConfigError(SpikepressError):
    """A configuration key or value is not usable."""


class DataError(SpikepressError):
    """A data set is missing, malformed or split in a way that leaks."""


class ModelError(SpikepressError):
    """A network is malformed or outside the contract."""


class UnsupportedError(ModelError):
    """A network is well formed but uses something refused by name."""


class FormatError(SpikepressError):
    """A stored file is damaged, of an unknown version, or not of this format."""


class OutputError(SpikepressError):
    """A place for results cannot be written."""
