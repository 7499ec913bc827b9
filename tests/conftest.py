"""One thread a test process: more threads than idle cores make torch many times slower.

And the count of tests by emulated core: a run of the whole suite fails where a core ran too few.
"""

import os
from collections import Counter

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

COUNTED = pytest.StashKey[Counter]()


def pytest_configure(config):
    config.stash[COUNTED] = Counter()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Tiers(config.stash[COUNTED]))


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("tier"):
            item.user_properties.append(("tier", mark.args[0]))


class Tiers:
    """Counts passed tests by core, whichever worker ran them."""

    def __init__(self, counted):
        self.counted = counted

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self.counted.update(core for name, core in report.user_properties if name == "tier")

    def pytest_sessionfinish(self, session):
        if os.environ.get("SPIKEPRESS_COUNT_TIERS"):
            from tests.tiers import shortfalls

            if shortfalls(self.counted):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if os.environ.get("SPIKEPRESS_COUNT_TIERS"):
            from tests.tiers import absences, shortfalls

            terminalreporter.section("tests by emulated core")
            terminalreporter.line(", ".join(f"{core} {n}" for core, n in sorted(self.counted.items())))
            for sentence in (*shortfalls(self.counted), *absences()):
                terminalreporter.line(sentence)
