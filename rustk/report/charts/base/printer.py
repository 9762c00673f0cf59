"""Charts printed by processes of their own, which get ready while this one reads and counts."""

import contextlib
import gc
import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

from rustk.report.charts.base import Chart

_HEAD = struct.Struct(">Q")  # how many bytes follow
_MODULE = "rustk.report.charts.base.printer"
Printed = dict[str, dict[str, bytes]]


class Printer:
    """Print charts beside other work. Start a process as early as it is clear that there will be charts, and give it
    charts as they are described; `files` waits.

    Where a process can't be had, or dies, its charts are printed here: slower, but the same bytes.
    """

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._tasks: list[list[tuple[str, Chart]]] = [[]]

    def __enter__(self) -> "Printer":
        self.start_process()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):  # what it was still to be told
                        pipe.close()

    def start_process(self) -> None:
        """Start one process more, which imports what it needs."""
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # The package is found there wherever it was found here.
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        except OSError:
            return
        self._processes.append(process)
        if len(self._processes) > 1:
            self._tasks.append([])

    def print(self, charts: Mapping[str, Sequence[Chart]]) -> None:
        """Set the processes to work on these charts of each run. It may be called again with more."""
        every = sorted(((run, chart) for run, of_run in charts.items() for chart in of_run), key=_cost, reverse=True)
        new: list[list[tuple[str, Chart]]] = [[] for _ in self._tasks]
        for task in every:
            loads = [sum(map(_cost, [*old, *more])) for old, more in zip(self._tasks, new, strict=True)]
            new[loads.index(min(loads))].append(task)
        for process, tasks in zip(self._processes, new, strict=False):
            try:
                if process.stdin is not None and tasks:
                    data = pickle.dumps(tasks)
                    process.stdin.write(_HEAD.pack(len(data)) + data)
                    process.stdin.flush()
            except OSError:
                process.kill()
        for old, more in zip(self._tasks, new, strict=True):
            old += more

    def files(self) -> Printed:
        """By run, file name to content of its charts. There can't be more then."""
        found: Printed = {}
        for process in self._processes:
            with contextlib.suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
        for place, tasks in enumerate(self._tasks):
            for run, files in (self._read(place) or print_charts(tasks)).items():
                found.setdefault(run, {}).update(files)
        return found

    def _read(self, place: int) -> Printed | None:
        if place >= len(self._processes):
            return None
        process = self._processes[place]
        data = process.stdout.read() if process.stdout is not None else b""
        if process.wait() != 0:
            return None
        found: Printed = pickle.loads(data)
        return found


def print_charts(tasks: Sequence[tuple[str, Chart]]) -> Printed:
    """By run, file name to content of the charts, drawn here."""
    from rustk.report.charts.base.printing import files_of

    found: Printed = {}
    for run, chart in tasks:
        found.setdefault(run, {}).update(files_of(chart))
    return found


def _cost(task: tuple[str, Chart]) -> float:
    """Roughly how long a chart takes: a part is the same for all, a part goes by the number of marks."""
    return 300.0 + sum(len(panel.marks) for panel in task[1].panels)


def _serve() -> None:
    gc.disable()  # what is imported stays, and the process is short
    said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    # Read at once, so that who writes need not wait for the imports.
    threading.Thread(target=_listen, args=(said,), daemon=True).start()
    from rustk.report.charts.base.printing import warm_up

    warm_up()
    found: Printed = {}
    while data := said.get():
        for run, files in print_charts(pickle.loads(data)).items():
            found.setdefault(run, {}).update(files)
    sys.stdout.buffer.write(pickle.dumps(found))
    sys.stdout.buffer.flush()
    os._exit(0)  # who waits need not wait for the modules to be taken down too


def _listen(said: "queue.SimpleQueue[bytes]") -> None:
    while head := sys.stdin.buffer.read(_HEAD.size):
        said.put(sys.stdin.buffer.read(_HEAD.unpack(head)[0]))
    said.put(b"")


if __name__ == "__main__":
    _serve()
