"""Drives C compilers: the clang of the ``ziglang`` wheel, and cross compilers that the system has.

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
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runtime.errors import ConfigError, ModelError

STRICT = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")
CACHE = "SPIKEPRESS_CACHE"


@dataclass(frozen=True)
class Compiler:
    """A compiler by its command; ``package``: what ``apt-get install`` brings it, empty for the wheel's."""

    command: tuple[str, ...]
    package: str = ""

    def version(self) -> str:
        """Name and version; ConfigError with the command that installs it where it is missing."""
        return _system_version(self.command[0], self.package) if self.package else compiler_version()


ZIG = Compiler((sys.executable, "-m", "ziglang", "cc"))
AVR_GCC = Compiler(("avr-gcc",), "gcc-avr")


def compiler_version() -> str:
    """The wheel's; ConfigError with the command that installs it where it is missing."""
    try:
        return f"ziglang {version('ziglang')}"
    except PackageNotFoundError:
        raise ConfigError(
            "compiler: found no ziglang, expected it from `pip install 'spikepress[mcu]'`"
        ) from None


@cache
def _system_version(command: str, package: str) -> str:
    if shutil.which(command) is None:
        raise ConfigError(f"compiler: found no {command}, expected it from `apt-get install {package}`")
    done = subprocess.run([command, "-dumpversion"], capture_output=True, text=True, check=False)
    return f"{command} {done.stdout.strip()}"


def build(files: Mapping[str, str], flags: Sequence[str], output: str, compiler: Compiler = ZIG) -> Path:
    """Compile the ``.c`` among ``files`` with ``flags`` into ``output``; its path in the cache.

    ``ModelError`` with the compiler's first words where it refuses them.
    """
    place = cache_folder() / _key(files, flags, compiler)
    if (place / output).exists():
        return place / output
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        sources = sorted(name for name in files if name.endswith(".c"))
        libraries = [flag for flag in flags if flag.startswith("-l")]
        others = [flag for flag in flags if flag not in libraries]
        compile_in(Path(folder), (*others, *sources, *libraries, "-o", output), compiler)
        try:
            os.replace(shutil.copytree(folder, f"{folder}.done"), place)
        except OSError:  # another process was faster: its build is the same
            shutil.rmtree(f"{folder}.done", ignore_errors=True)
    return place / output


def compile_in(folder: Path, arguments: Sequence[str], compiler: Compiler = ZIG) -> None:
    """Run the compiler in a folder; ModelError with its first error where it fails."""
    compiler.version()
    command = [*compiler.command, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        found = next((line for line in done.stderr.splitlines() if _tells(line)), done.stderr.strip())
        raise ModelError(f"C compiler: found {found!r}, expected the generated sources to build")


def _tells(line: str) -> bool:
    return any(word in line for word in ("error", "undefined", "overflowed"))


def cache_folder() -> Path:
    """Where builds are kept: ``$SPIKEPRESS_CACHE``, else the user's cache folder."""
    given = os.environ.get(CACHE)
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spikepress" / "builds"


def _key(files: Mapping[str, str], flags: Sequence[str], compiler: Compiler) -> str:
    parts = [compiler.version(), *flags, *(f"{name}\0{text}" for name, text in sorted(files.items()))]
    return hashlib.sha256("\0\0".join(parts).encode()).hexdigest()[:32]
