"""Who looks at the store and the backend: one thread for whatever is looked at, however many look.

A watch looks again every few seconds while its state is asked for, and ends some time after nobody asked any more.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from rustk.backends.base import Backend
from rustk.vocabulary.errors import RustkError

S = TypeVar("S")

_LOG_LINES = 200


class Watch(Generic[S]):
    """Keeps a state up to date while it is asked for. What it is, `look` says.

    seconds: between two looks. idle_seconds: how long after the last question the watch ends.
    """

    def __init__(self, empty: S, *, seconds: float, idle_seconds: float) -> None:
        self.seconds = seconds
        self._idle_seconds = idle_seconds
        self._state = empty
        self._asked = float("-inf")
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._known = threading.Event()

    def state(self, wait_seconds: float = 0.0) -> S:
        """What is known; the first time, whatever comes within this long. From here on somebody looks."""
        with self._lock:
            self._asked = time.monotonic()
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
                self._thread.start()
        if not self._known.is_set():
            self._known.wait(wait_seconds)
        return self._state

    def close(self) -> None:
        """End the watch for good."""
        self._closed.set()
        if (thread := self._thread) is not None:
            thread.join(timeout=1)

    @property
    def watched(self) -> bool:
        """Whether the watch is at work."""
        return self._thread is not None

    def look(self) -> bool:
        """Look once, and `publish` what is there. Whether to look again at once."""
        raise NotImplementedError

    def rest(self) -> None:
        """Let go of what is held only while somebody looks."""

    def publish(self, state: S) -> None:
        """From here on, this is known."""
        self._state = state
        self._known.set()

    def _run(self) -> None:
        try:
            while True:
                again = self.look()
                if not again:
                    self._closed.wait(self.seconds)
                with self._lock:
                    idle = time.monotonic() - self._asked > self._idle_seconds
                    if idle or self._closed.is_set():
                        self._thread = None
                        break
        except BaseException:
            with self._lock:
                self._thread = None  # the next question starts another
            raise
        finally:
            self.rest()


class LogWatch(Watch[tuple[tuple[str, ...], str]]):
    """(the last lines of a fold's log, why there are none)."""

    def __init__(
        self,
        backend: Backend,
        run: str,
        trial: int,
        fold: int,
        *,
        ended: Callable[[], bool],
        seconds: float,
        idle_seconds: float,
    ) -> None:
        super().__init__(((), ""), seconds=seconds, idle_seconds=idle_seconds)
        self._backend = backend
        self._fold = (run, trial, fold)
        self._ended = ended
        self._whole = False

    def look(self) -> bool:
        if self._whole:  # a log that can't grow is read once
            return False
        ended = self._ended()  # before the log is read: what is said afterwards is read the next time
        try:
            lines = tuple(deque(self._backend.logs(*self._fold), maxlen=_LOG_LINES))
        except RustkError as error:
            self.publish(((), str(error)))
            return False
        self.publish((lines, ""))
        self._whole = ended
        return False
