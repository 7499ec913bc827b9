import pytest

from pruner.config import PruneConfig
from pruner.evidence import Need
from pruner.regrow import Candidates, Value
from runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"sparsty": 0.9}, "sparsty"),
        ({"sparsity": 1.0}, "sparsity"),
        ({"sparsity": -0.1}, "sparsity"),
        ({"sparsity": "high"}, "sparsity"),
        ({"sparsity": 0.5, "initial_sparsity": 0.6}, "initial_sparsity"),
        ({"begin": 0.5, "end": 0.5}, "begin"),
        ({"begin": 0.6, "end": 0.5}, "begin"),
        ({"end": 1.5}, "end"),
        ({"begin": -0.5}, "begin"),
        ({"events": 0}, "events"),
        ({"events": 2.5}, "events"),
        ({"events": True}, "events"),
        ({"criterion": "luck"}, "luck"),
        ({"schedule": "quartic"}, "quartic"),
        ({"allocation": "fair"}, "fair"),
        ({"kernel": "boxcar"}, "boxcar"),
        ({"normalization": "max"}, "normalization"),
        ({"regenerate": 1.0}, "regenerate"),
        ({"regenerate_by": "luck"}, "regenerate_by"),
        ({"regenerate_from": "anywhere"}, "anywhere"),
        ({"regenerate_value": "one"}, "regenerate_value"),
        ({"protect": [1]}, "protect"),
        ({"bandwidth": 0.0}, "bandwidth"),
        ({"bandwidth": float("nan")}, "bandwidth"),
        ({"sparsity": float("nan")}, "sparsity"),
        ({"gather_steps": 0}, "gather_steps"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_table_that_cannot_work_is_refused_by_name(table: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named) as caught:
        PruneConfig.from_table(table)
    assert "found" in str(caught.value)
    assert "expected" in str(caught.value)


def test_a_table_becomes_typed_values() -> None:
    config = PruneConfig.from_table(
        {"sparsity": 0, "protect": ["fc2"], "regenerate_from": "all-pruned", "regenerate_value": "old"}
    )
    assert config.sparsity == 0.0
    assert isinstance(config.sparsity, float)
    assert config.protect == ("fc2",)
    assert config.regenerate_from is Candidates.ALL_PRUNED
    assert config.regenerate_value is Value.OLD


def test_an_empty_table_gives_the_defaults() -> None:
    assert PruneConfig.from_table({}) == PruneConfig()


def test_something_else_than_a_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="table"):
        PruneConfig.from_table([0.9])  # type: ignore[arg-type]


def test_measurements_are_asked_for_only_when_a_rule_uses_them() -> None:
    assert PruneConfig(regenerate=0.0).needs() == frozenset()
    with_regrowth = PruneConfig(regenerate=0.2, regenerate_by="criticality-gradient")
    assert with_regrowth.needs() == {Need.CRITICALITY, Need.GRADIENT}
