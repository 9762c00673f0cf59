"""Watches: one thread while somebody asks."""

from collections.abc import Iterator
from typing import Any

from rustk.ui.watching import LogWatch, Watch
from rustk.vocabulary.errors import RustkError
from tests.ui.conftest import eventually


class Counting(Watch[int]):
    """Counts its looks."""

    def __init__(self, **pace: float) -> None:
        super().__init__(0, **pace)
        self.rested = 0

    def look(self) -> bool:
        self.publish(self._state + 1)
        return False

    def rest(self) -> None:
        self.rested += 1


def test_a_watch_ends_when_nobody_asks_and_begins_again() -> None:
    watch = Counting(seconds=0.01, idle_seconds=0.05)
    assert not watch.watched
    assert watch.state(5.0) >= 1
    eventually(lambda: not watch.watched)
    eventually(lambda: watch.rested == 1)
    looks = watch.state()
    eventually(lambda: watch.state() > looks)
    watch.close()
    eventually(lambda: not watch.watched)
    assert watch.rested == 2
    watch.state()
    assert not watch.watched


class Logs:
    """A backend whose logs are read, and counted."""

    def __init__(self) -> None:
        self.lines: list[str] | None = None
        self.read = 0

    def logs(self, run: str, trial: int, fold: int, *, follow: bool = False) -> Iterator[str]:
        self.read += 1
        if self.lines is None:
            raise RustkError(f"run {run}: trial {trial} fold {fold} has no log")
        return iter(self.lines)


def test_a_log_is_read_until_its_fold_has_ended_and_once_more() -> None:
    backend, ended = Logs(), False
    anything: Any = backend
    watch = LogWatch(anything, "run", 1, 2, ended=lambda: ended, seconds=0.01, idle_seconds=60)
    assert watch.state(5.0) == ((), "run run: trial 1 fold 2 has no log")
    backend.lines = ["a"]
    eventually(lambda: watch.state() == (("a",), ""))
    backend.lines = [str(number) for number in range(500)]
    ended = True
    eventually(lambda: watch.state() == (tuple(str(number) for number in range(300, 500)), ""))
    looks = backend.read
    eventually(lambda: not watch.look())
    assert backend.read <= looks + 1
    watch.close()
