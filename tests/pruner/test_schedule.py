import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruner.registry import DECAYS, SCHEDULES
from pruner.schedule import Schedule, cubic
from runtime.errors import ConfigError

shares = st.floats(0.0, 0.99)
curves = st.sampled_from(sorted(SCHEDULES))


@given(curves, shares, shares, st.integers(1, 60))
def test_sparsity_rises_to_the_final_value(curve: str, a: float, b: float, events: int) -> None:
    low, high = min(a, b), max(a, b)
    plan = Schedule(SCHEDULES[curve], low, high, 0.0, 1.0, events)
    values = [plan.sparsity(k) for k in range(1, events + 1)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(high, abs=1e-12)
    assert all(low - 1e-12 <= value <= high + 1e-12 for value in values)


@given(st.floats(0.0, 0.98), st.floats(0.01, 1.0), st.integers(1, 40), st.integers(1, 5000))
def test_event_steps_are_distinct_and_inside_the_window_or_refused(
    begin: float, width: float, events: int, total: int
) -> None:
    end = min(1.0, begin + width)
    plan = Schedule(cubic, 0.0, 0.9, begin, end, events)
    first, last = round(begin * total), min(round(end * total), total) - 1
    if last - first + 1 < events:
        with pytest.raises(ConfigError, match=r"prune\.events"):
            plan.steps(total)
        return
    steps = plan.steps(total)
    assert len(set(steps)) == len(steps) == events
    assert list(steps) == sorted(steps)
    assert first <= steps[0]
    assert steps[-1] == last


@given(st.floats(0.0, 0.9), st.integers(1, 60))
def test_regenerated_share_falls_to_zero(share: float, events: int) -> None:
    plan = Schedule(cubic, 0.0, 0.9, 0.0, 1.0, events, share)
    values = [plan.regenerated(k) for k in range(1, events + 1)]
    assert values == sorted(values, reverse=True)
    assert values[-1] == pytest.approx(0.0, abs=1e-12)
    assert values[0] <= share


@given(shares, st.integers(1, 40))
def test_a_geometric_schedule_takes_the_same_share_of_the_living_at_every_event(high: float, n: int) -> None:
    plan = Schedule(SCHEDULES["geometric"], 0.0, high, 0.0, 1.0, n)
    density = [1.0 - plan.sparsity(k) for k in range(n + 1)]
    taken = [1.0 - after / before for before, after in itertools.pairwise(density)]
    assert taken == pytest.approx([1.0 - (1.0 - high) ** (1 / n)] * n, abs=1e-9)


def test_a_constant_schedule_is_at_its_end_before_the_first_event() -> None:
    assert Schedule(SCHEDULES["constant"], 0.0, 0.9, 0.0, 1.0, 4).sparsity(0) == 0.9


@pytest.mark.parametrize("decay", sorted(DECAYS))
def test_a_decay_starts_whole_and_never_grows(decay: str) -> None:
    values = [DECAYS[decay](k / 10) for k in range(11)]
    assert values[0] == 1.0
    assert values == sorted(values, reverse=True)
    assert values[-1] == (1.0 if decay == "constant" else pytest.approx(0.0, abs=1e-12))


@given(st.floats(0.0, 0.99), st.integers(1, 5000))
def test_a_single_event_may_fall_on_one_named_step(at: float, total: int) -> None:
    if round(at * total) < total:
        assert Schedule(cubic, 0.0, 0.9, at, at, 1).steps(total) == (round(at * total),)


def test_cubic_schedule_follows_the_published_curve() -> None:
    plan = Schedule(cubic, 0.1, 0.9, 0.0, 1.0, 4)
    assert [plan.sparsity(k) for k in (1, 2, 3)] == pytest.approx([0.5625, 0.8, 0.8875])
