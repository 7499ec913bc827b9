"""Sizes of memory as people write them."""

from __future__ import annotations

import re

UNITS = {"": 1, "b": 1, "k": 1024, "kib": 1024, "kb": 1000, "m": 1024**2, "mib": 1024**2, "mb": 1000**2}


def size_of(option: str, words: str | None) -> int | None:
    """Bytes of a size as a person writes it; ConfigError for what is none."""
    # Here, so that the command line starts without loading the runtime.
    from runtime.errors import ConfigError

    if words is None:
        return None
    found = re.fullmatch(r"(-?\d[\d_,]*)\s*([a-zA-Z]*)", words.strip())
    if found is None or found[2].lower() not in UNITS:
        raise ConfigError(f"{option}: found {words!r}, expected bytes, as 30000, 32K, 32KiB or 32kB")
    return int(re.sub("[_,]", "", found[1])) * UNITS[found[2].lower()]
