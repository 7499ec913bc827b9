"""One process at a time works on a run directory: a lock that its process takes with it when it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import ConfigError
from spikepress.rundir import RunDirectory


@contextmanager
def held(run: RunDirectory, leader: bool = True) -> Iterator[None]:
    """Holds the directory of ``run``, made where it is not there; ConfigError where another process does.

    Of several processes that train one network the ``leader`` holds it for all. Where the system has no such
    locks (Windows) nothing is held.
    """
    try:
        import fcntl
    except ImportError:
        leader = False
    if not leader:
        yield
        return
    run.create()
    place = os.open(run.path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"{run.path}: found another process at work in it, expected one at a time"
            ) from error
        yield
    finally:
        os.close(place)
