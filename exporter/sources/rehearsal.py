"""Does something with a file in a forked process first: what a C library does with damaged bytes (endless
loops, crashes) then happens there."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable

SECONDS = 2
"""Processor time of a file of no size, doubled for each ``PER_SECOND`` bytes; asleep, ten times as long."""
PER_SECOND = 1 << 23


def rehearse(act: Callable[[], object], size: int) -> str | None:
    """How ``act`` ended its process on a file of ``size`` bytes; None where it came back, or raised.

    Where processes cannot fork nothing is rehearsed.
    """
    if not hasattr(os, "fork"):
        return None
    seconds = SECONDS + size // PER_SECOND
    child = os.fork()
    if child == 0:
        _alone(act, seconds)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        return None
    end = os.WTERMSIG(status)
    if end in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL):
        return f"what takes over {seconds} seconds to read"
    return f"what ends the HDF5 library by {signal.Signals(end).name}"


def _alone(act: Callable[[], object], seconds: int) -> None:
    """The child: never returns."""
    try:
        for number in (signal.SIGALRM, signal.SIGXCPU, signal.SIGSEGV, signal.SIGABRT):
            signal.signal(number, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        signal.alarm(10 * seconds)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        act()
    finally:
        os._exit(0)
