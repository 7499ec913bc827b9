from benchmarks.methods_table import PAGE, written
from pruner.config import PruneConfig
from pruner.registry import ALLOCATIONS, CRITERIA, DECAYS, KERNELS, METHODS, NORMALIZATIONS


def test_the_page_lists_every_method_as_the_registry_has_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert written(text) == text
    assert all(f"| `{name}` |" in text for name in METHODS)


def test_the_page_names_every_choice_of_the_loop() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for names in (ALLOCATIONS, CRITERIA, DECAYS, KERNELS, NORMALIZATIONS):
        assert all(name in text for name in names)


def test_the_table_of_the_page_is_a_configuration() -> None:
    assert PruneConfig.from_table({"method": "criticality", "sparsity": 0.95}).regenerate > 0
