"""Does something with a file in a forked process first: what a C library does with damaged bytes (endless
loops, crashes, much memory) then happens there."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

SECONDS = 2
"""Processor time of a file of no size, doubled for each ``PER_SECOND`` bytes; asleep, ten times as long."""
PER_SECOND = 1 << 23
REFUSED = 3
STATM = Path("/proc/self/statm")


def rehearse(
    act: Callable[[], object], size: int, *, library: str = "the HDF5 library", most_bytes: int | None = None
) -> str | None:
    """How ``act`` ended its process on a file of ``size`` bytes; None where it came back, or raised.

    With ``most_bytes``, the memory that it may take, raising is an end too: libraries say many things where
    memory is short. Where processes cannot fork nothing is rehearsed.
    """
    if not hasattr(os, "fork"):
        return None
    seconds = SECONDS + size // PER_SECOND
    child = os.fork()
    if child == 0:
        _alone(act, seconds, most_bytes)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        if os.WEXITSTATUS(status) != REFUSED:
            return None
        return f"what {library} cannot read in {most_bytes} bytes of memory"
    end = os.WTERMSIG(status)
    if end in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL):
        return f"what takes over {seconds} seconds to read"
    return f"what ends {library} by {signal.Signals(end).name}"


def _alone(act: Callable[[], object], seconds: int, most_bytes: int | None) -> None:
    """The child: never returns."""
    status = 0 if most_bytes is None else REFUSED
    try:
        for number in (signal.SIGALRM, signal.SIGXCPU, signal.SIGSEGV, signal.SIGABRT):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        signal.alarm(10 * seconds)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        if most_bytes is not None and STATM.exists():
            most = int(STATM.read_text().split()[0]) * resource.getpagesize() + most_bytes
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        act()
        status = 0
    finally:
        os._exit(status)
