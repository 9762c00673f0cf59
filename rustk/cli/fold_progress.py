"""Progress of folds that a backend trains in the foreground: bars on a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from rustk.cli.bars import LINE_SECONDS, make_bars

if TYPE_CHECKING:
    from rich.progress import TaskID

    from rustk.backends.base import FoldEvent


class FoldProgress:
    def __init__(self) -> None:
        from rich.console import Console

        self.done = 0
        self.total = 0
        self._console = Console()
        self._bars = make_bars(self._console)
        self._all: TaskID | None = None
        self._of_worker: dict[int, TaskID] = {}
        self._printed = 0.0

    def __enter__(self) -> "FoldProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def _count(self, done: int, total: int) -> None:
        """How many folds there are: at the start, and once a search has dropped some or asked for more."""
        if self._all is None:
            self._start(done, total)
        elif (done, total) != (self.done, self.total):
            self.done, self.total = done, total
            self._bars.update(self._all, completed=done, total=total)

    def _start(self, done: int, total: int) -> None:
        self._bars.start()
        self.done, self.total = done, total
        self._all = self._bars.add_task("folds", total=total, completed=done, note="")
        self._line(f"{done} of {total} folds were done already" if done else f"0 of {total} folds done")

    def update(self, event: "FoldEvent") -> None:
        """Show one event of a backend that trains in the foreground; nothing is shown before the first."""
        if event.kind == "total":
            self._count(event.details["done"], event.details["total"])
            return
        if event.kind == "round":
            self._say(event.details["sentence"])
            return
        bar = self._bar(event.worker)
        where = f"trial {event.trial} fold {event.fold}"
        if event.kind == "started":
            self._bars.reset(bar, description=where, total=None, note="")
        elif event.kind == "features":
            done, total = event.details["done"], event.details["total"]
            self._bars.update(bar, completed=done, total=total, note="features, once for all folds")
            self._line_now_and_then(f"features: {done} of {total} shards")
        elif event.kind == "epoch":
            note = f"val AUROC {event.details['val_auroc']:.4f}"
            self._bars.update(bar, completed=event.details["epoch"], total=event.details["epochs"], note=note)
        elif event.kind == "done":
            self.done += 1
            if self._all is not None:
                self._bars.update(self._all, completed=self.done)
            if event.details.get("outcome") == "diverged":
                self._say(f"{where} diverged at epoch {event.details['diverged_epoch']}")
            self._line_now_and_then(f"{self.done} of {self.total} folds done", always=self.done == self.total)
        elif event.kind == "retried":
            self._say(f"{where} is tried again: {event.details['message']}")
        elif event.kind == "failed":
            self._say(f"{where} failed: {event.details['message']}")

    def _bar(self, worker: int) -> "TaskID":
        if worker not in self._of_worker:
            self._of_worker[worker] = self._bars.add_task("", total=None, note="")
        return self._of_worker[worker]

    def _say(self, text: str) -> None:
        if self._console.is_terminal:
            self._bars.console.print(text, highlight=False)
        else:
            typer.echo(text)

    def _line(self, text: str) -> None:
        if not self._console.is_terminal:
            typer.echo(text)

    def _line_now_and_then(self, text: str, always: bool = False) -> None:
        now = time.monotonic()
        if always or now - self._printed >= LINE_SECONDS:
            self._printed = now
            self._line(text)
