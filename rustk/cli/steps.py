"""What a command is at, said on stderr once it takes longer than a second."""

import threading
import time
from types import TracebackType

import typer

_PATIENCE_SECONDS = 1.0


class Steps:
    """A line a step, from the first second on; nothing for a command that is quicker."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._timer: threading.Timer | None = None

    def __enter__(self) -> "Steps":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancel()

    def say(self, step: str) -> None:
        """The step that begins now."""
        self._cancel()
        left = _PATIENCE_SECONDS - (time.monotonic() - self._began)
        self._timer = threading.Timer(max(left, 0.15), lambda: typer.echo(f"{step} ...", err=True))
        self._timer.daemon = True
        self._timer.start()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
