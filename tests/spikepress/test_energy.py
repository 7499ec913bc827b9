"""Energy estimates by hand."""

import pytest

from spikepress.energy import Work, energy_lines


def test_the_three_lines_follow_their_formulas():
    lines = energy_lines(Work(adds=1_000, events=100, updates=50, bytes_touched=8_000))
    arithmetic, memory, mcu = (line.nanojoule for line in lines)
    assert arithmetic == pytest.approx((1_000 + 150) * 0.1 / 1e3)
    assert memory == pytest.approx(arithmetic + 8_000 * 1.25 / 1e3)
    assert mcu == pytest.approx((1_000 * 11.5 + 100 * 15 + 50 * 16) * 150 / 1e3)


def test_every_line_says_that_it_is_estimated():
    assert all("estimated" in line.basis for line in energy_lines(Work(1, 1, 1, 1)))
