import multiprocessing
from pathlib import Path

import pytest

from rustk.backends.base import FoldEvent
from rustk.backends.local.live import LiveFiles, live_folds, only_runner, state_dir, stop_runner
from rustk.vocabulary.errors import RustkError

Seen = tuple[int, int, str, str]


def test_nothing_runs_until_something_does() -> None:
    assert live_folds("store", "never-run") == []


def test_folds_are_live_while_the_run_is_held() -> None:
    with only_runner("store", "live") as directory:
        live = LiveFiles(directory, epochs=20)
        live.expect([(3, 1), (3, 2), (3, 3), (4, 0), (4, 1)])
        live.update(FoldEvent("started", 0, 3, 1))
        live.update(FoldEvent("epoch", 0, 3, 1, {"epoch": 7, "epochs": 20}))
        live.update(FoldEvent("started", 1, 3, 2))
        live.update(FoldEvent("started", 2, 3, 3))
        live.update(FoldEvent("failed", 2, 3, 3))
        assert _in_another_process("store", "live") == [
            (3, 1, "running", "epoch 7 of 20"),
            (3, 2, "running", "epoch 0 of 20"),
            (4, 0, "pending", "waits for a worker of this machine"),
            (4, 1, "pending", "waits for a worker of this machine"),
        ]
    assert _in_another_process("store", "live") == []  # the file is still there, but nobody holds the run


def test_a_run_is_run_once_at_a_time() -> None:
    with only_runner("store", "held"):
        message = _hold_in_another_process("store", "held")
        assert "run held is already running on this machine" in message
    assert _hold_in_another_process("store", "held") == ""


def test_runs_and_stores_have_state_of_their_own() -> None:
    directories: set[Path] = {state_dir("a", "r"), state_dir("b", "r"), state_dir("a", "s")}
    assert len(directories) == 3


def _look(store: str, run: str, answers: "multiprocessing.Queue[list[Seen]]") -> None:
    answers.put([(fold.trial, fold.fold, fold.state, fold.reason) for fold in live_folds(store, run)])


def _in_another_process(store: str, run: str) -> list[Seen]:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_look, args=(store, run, answers))
    process.start()
    found: list[Seen] = answers.get(timeout=60)
    process.join()
    return found


def _hold(store: str, run: str, answers: "multiprocessing.Queue[str]") -> None:
    try:
        with only_runner(store, run):
            answers.put("")
    except RustkError as error:
        answers.put(str(error))


def _hold_in_another_process(store: str, run: str) -> str:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_hold, args=(store, run, answers))
    process.start()
    message: str = answers.get(timeout=60)
    process.join()
    return message


@pytest.mark.parametrize("content", ["", "{"])
def test_a_half_written_file_counts_as_nothing(content: str) -> None:
    with only_runner("store", "odd") as directory:
        (directory / "live.json").write_text(content)
        assert _in_another_process("store", "odd") == []


def test_nothing_is_stopped_where_nothing_runs() -> None:
    assert stop_runner("store", "idle", 1.0) is None
    with only_runner("store", "idle") as directory:
        pass
    (directory / "pid").write_text("1")  # as a process leaves it that was killed
    assert stop_runner("store", "idle", 1.0) is None


def test_a_state_directory_that_can_not_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(RustkError, match="set XDG_STATE_HOME"), only_runner("store", "r"):
        pass
