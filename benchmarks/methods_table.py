"""The table of ``docs/pruning-methods.md``, written from the registry.

``python -m benchmarks.methods_table`` puts it between the page's two marks; a test compares.
"""

from __future__ import annotations

from pathlib import Path

from pruner.registry import METHODS

PAGE = Path(__file__).parent.parent / "docs" / "pruning-methods.md"
BEFORE, AFTER = "held to pruner.METHODS by a test -->\n", "<!-- end of methods -->"


def table() -> str:
    """One line a method: name, source, where we differ, the keys it stands for, where it begins."""
    lines = ["| `method =` | source | where we differ | keys | begins |", "|---|---|---|---|---|"]
    for name, method in METHODS.items():
        keys = ", ".join(f"`{key} = {_toml(value)}`" for key, value in method.keys.items())
        cells = [f"`{name}`", method.source, method.differs.replace("|", "\\|"), keys, method.begins.value]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The page with the table in its place."""
    head, rest = text.split(BEFORE)
    return f"{head}{BEFORE}\n{table()}\n{AFTER}{rest.split(AFTER)[1]}"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
