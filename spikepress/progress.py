"""How long work tells what it is doing: a plain callable, so that libraries stay silent by default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Notify = Callable[[str, float], None]
"""Called with what is being done and the share done of it, 0 to 1."""


def silent(what: str, share: float) -> None:
    """Tells nobody."""


@contextmanager
def shown() -> Iterator[Notify]:
    """A progress display on stderr, one line per piece of work; plain nothing when it is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def notify(what: str, share: float) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=1.0)
            progress.update(tasks[what], completed=share)

        yield notify
