"""Drives the C compiler of the ``ziglang`` wheel: one clang for the computer and for every core.

A build is a function of its sources, its flags and the compiler, so it is kept and found again by their hash.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runtime.errors import ConfigError, ModelError

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")
CACHE = "SPIKEPRESS_CACHE"


def compiler_version() -> str:
    """Name and version of the compiler; ConfigError with the command that installs it where it is missing."""
    try:
        return f"ziglang {version('ziglang')}"
    except PackageNotFoundError:
        raise ConfigError(
            "compiler: found no ziglang, expected it from `pip install 'spikepress[mcu]'`"
        ) from None


def build(files: Mapping[str, str], flags: Sequence[str], output: str) -> Path:
    """Compile the ``.c`` among ``files`` with ``flags`` into ``output``; its path in the cache.

    ``ModelError`` with the compiler's first words where it refuses them.
    """
    place = cache_folder() / _key(files, flags)
    if (place / output).exists():
        return place / output
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        sources = sorted(name for name in files if name.endswith(".c"))
        compile_in(Path(folder), (*flags, *sources, "-o", output))
        try:
            os.replace(shutil.copytree(folder, f"{folder}.done"), place)
        except OSError:  # another process was faster: its build is the same
            shutil.rmtree(f"{folder}.done", ignore_errors=True)
    return place / output


def compile_in(folder: Path, arguments: Sequence[str]) -> None:
    """Run the compiler in a folder; ModelError with its first error where it fails."""
    compiler_version()
    command = [sys.executable, "-m", "ziglang", "cc", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        found = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
        raise ModelError(f"C compiler: found {found!r}, expected the generated sources to build")


def cache_folder() -> Path:
    """Where builds are kept: ``$SPIKEPRESS_CACHE``, else the user's cache folder."""
    given = os.environ.get(CACHE)
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spikepress" / "builds"


def _key(files: Mapping[str, str], flags: Sequence[str]) -> str:
    parts = [compiler_version(), *flags, *(f"{name}\0{text}" for name, text in sorted(files.items()))]
    return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()[:32]
