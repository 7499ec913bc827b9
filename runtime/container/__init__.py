"""The ``.spk`` file: ``docs/format.md`` in code."""

from runtime.container.reader import file_header_bytes, from_bytes, read
from runtime.container.writer import header_bytes, to_bytes, write

__all__ = ["file_header_bytes", "from_bytes", "header_bytes", "read", "to_bytes", "write"]
