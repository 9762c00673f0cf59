"""Progress of writing many images: a bar on a terminal, a line now and then elsewhere."""

import os
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
    # The images are written by TensorFlow's TFRecordWriter; its start-up notes would tear the bar, and nothing is
    # computed.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    with make_bars(console) as bars:
        task = bars.add_task(what, total=None, note="")

        def update(done: int, total: int) -> None:
            nonlocal printed
            bars.update(task, completed=done, total=total)
            if not console.is_terminal and time.monotonic() - printed >= LINE_SECONDS:
                printed = time.monotonic()
                typer.echo(f"{what}: {done} of {total}", err=True)

        yield update
