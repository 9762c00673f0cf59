"""Progress of writing many images: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from rustk.cli.bars import LINE_SECONDS, make_bars


@contextmanager
def image_progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how many images are done; what it yields is called with (done, total) after each. Writes to stderr."""
    from rich.console import Console

    console = Console(stderr=True)
    printed = time.monotonic()
    with make_bars(console) as bars:
        task = bars.add_task(what, total=None, note="")

        def update(done: int, total: int) -> None:
            nonlocal printed
            bars.update(task, completed=done, total=total)
            if not console.is_terminal and time.monotonic() - printed >= LINE_SECONDS:
                printed = time.monotonic()
                typer.echo(f"{what}: {done} of {total}", err=True)

        yield update
