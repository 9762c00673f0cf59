import os
import sys
from pathlib import Path

import psutil
import pytest

from rustk.backends.base import FoldEvent
from rustk.backends.local.pool import FoldFailure, run_folds

SCRIPTED = Path(__file__).with_name("scripted_worker.py")


class Script:
    """What the scripted workers do, and what the pool told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events: list[FoldEvent] = []

    def says(self, trial: int, fold: int, acts: str) -> None:
        (self.directory / f"{trial}-{fold}").write_text(acts)

    def run(self, tasks: list[tuple[int, int]], *, workers: int = 2, retries: int = 2) -> list[FoldFailure]:
        return run_folds(
            [sys.executable, str(SCRIPTED), str(self.directory)],
            tasks,
            workers=workers,
            retries=retries,
            log_dir=self.directory,
            on_event=self.events.append,
        )

    def of(self, kind: str) -> list[tuple[int, int]]:
        return [(event.trial, event.fold) for event in self.events if event.kind == kind]

    @property
    def tries(self) -> list[str]:
        path = self.directory / "tries"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def script(tmp_path: Path) -> Script:
    return Script(tmp_path)


TASKS = [(trial, fold) for trial in range(4) for fold in range(3)]


@pytest.mark.parametrize("workers", [1, 3, 30])
def test_every_fold_is_trained_once(script: Script, workers: int) -> None:
    assert script.run(TASKS, workers=workers) == []
    assert sorted(script.of("done")) == TASKS
    assert sorted(script.tries) == sorted(f"{trial}-{fold}" for trial, fold in TASKS)


def test_nothing_to_do_starts_nothing(script: Script) -> None:
    assert script.run([]) == []
    assert script.events == []


@pytest.mark.parametrize("death", ["crash", "kill"])
def test_the_fold_of_a_dead_worker_is_tried_again(script: Script, death: str) -> None:
    script.says(1, 1, f"{death} {death} ok")
    assert script.run(TASKS) == []
    assert sorted(script.of("done")) == TASKS
    assert script.of("retried") == [(1, 1), (1, 1)]


def test_a_fold_that_always_kills_its_worker_is_given_up(script: Script) -> None:
    script.says(1, 1, "crash")
    (failure,) = script.run(TASKS, retries=2)
    assert (failure.trial, failure.fold) == (1, 1)
    assert failure.message == "worker ended with exit code 3: last words"
    assert script.tries.count("1-1") == 3
    assert len(script.of("done")) == len(TASKS) - 1


def test_a_signal_is_named(script: Script) -> None:
    script.says(0, 0, "kill")
    (failure,) = script.run([(0, 0)], retries=0)
    assert failure.message == "worker was killed by signal 9: at 0-0 with endpoint None"


def test_a_failed_store_is_tried_again_in_the_same_worker(script: Script) -> None:
    script.says(0, 2, "75 ok")
    assert script.run(TASKS, workers=1) == []
    assert script.of("retried") == [(0, 2)]


@pytest.mark.parametrize("code", [65, 78])
def test_bad_data_or_a_bad_study_ends_the_run_at_once(script: Script, code: int) -> None:
    script.says(0, 1, str(code))
    (failure,) = script.run(TASKS, workers=1)
    assert (failure.exit_code, failure.message) == (code, f"reason {code}")
    assert script.tries == ["0-0", "0-1"]


def test_divergence_is_an_outcome_not_a_failure(script: Script) -> None:
    script.says(2, 0, "diverge")
    assert script.run(TASKS) == []
    (event,) = [event for event in script.events if event.details.get("outcome") == "diverged"]
    assert (event.trial, event.fold, event.details["diverged_epoch"]) == (2, 0, 1)


def test_what_a_library_prints_is_no_message(script: Script) -> None:
    script.says(0, 0, "garbage")
    assert script.run([(0, 0)]) == []


def test_a_worker_that_can_not_start_says_why(script: Script) -> None:
    (script.directory / "broken").touch()
    failures = script.run(TASKS)
    assert failures[0].exit_code == 78
    assert "TensorFlow is not installed" in failures[0].message
    assert script.tries == []


def test_an_interrupted_pool_leaves_no_process(script: Script) -> None:
    script.says(0, 0, "hang")

    def interrupt(event: FoldEvent) -> None:
        if event.kind == "epoch":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_folds(
            [sys.executable, str(SCRIPTED), str(script.directory)],
            TASKS,
            workers=2,
            retries=0,
            log_dir=script.directory,
            on_event=interrupt,
        )
    left = [child for child in psutil.Process(os.getpid()).children() if str(SCRIPTED) in child.cmdline()]
    assert left == []
