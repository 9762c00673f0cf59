"""One worker process, and the JSON lines spoken with it (`python -m rustk.training serve`)."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rustk.backends.local.logs import TOLD

_STOP_SECONDS = 5.0

# What a worker's end looks like in the queue of messages.
END = {"event": "end"}


def serve_command(store_url: str, run: str) -> list[str]:
    """The program that trains the folds of a run as it is told to."""
    return [sys.executable, "-m", "rustk.training", "serve", "--store", store_url, "--run", run]


class Worker:
    """Starts at once; its messages arrive in `messages` as (worker number, message), the last being END.

    log: what it writes to stderr is appended there. environment: besides this process's own.
    """

    def __init__(
        self,
        number: int,
        command: Sequence[str],
        log: Path,
        messages: "queue.SimpleQueue[tuple[int, dict[str, Any]]]",
        environment: Mapping[str, str],
    ) -> None:
        self.number = number
        self._log = log
        self._messages = messages
        self._log_file: IO[bytes] = log.open("ab")
        self._log_begins = self._log_file.tell()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            # Ctrl-C goes to the whole foreground group; only the controller should act on it.
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, trial: int, fold: int) -> None:
        """Hand over a fold. A worker that is already dead says so by its END."""
        if self._process.stdin is None:
            raise RuntimeError("a worker has a pipe for its input")
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"trial": trial, "fold": fold}).encode() + b"\n")
            self._process.stdin.flush()

    def ask_to_stop(self) -> None:
        """End the worker's input, upon which it ends itself."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def stop(self) -> None:
        """End the process; it is killed if it does not do so itself."""
        self.ask_to_stop()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log_file.close()

    def last_words(self) -> str:
        """How the process ended, and the last line that it left on stderr."""
        code = self._process.wait()
        ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        with self._log.open("rb") as log:
            log.seek(self._log_begins)
            lines = log.read().decode(errors="replace").splitlines()
        own = [line.strip() for line in lines if line.strip() and not line.startswith(TOLD)]
        return f"worker {ended}" + (f": {own[-1]}" if own else "")

    @property
    def exit_code(self) -> int:
        return self._process.wait()

    def _listen(self) -> None:
        if self._process.stdout is None:
            raise RuntimeError("a worker has a pipe for its output")
        with self._process.stdout as lines:
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    # A library that prints is no reason to lose a run.
                    continue
                self._messages.put((self.number, message))
        self._messages.put((self.number, END))
